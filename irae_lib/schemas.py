"""Data classes of the project: the labels, a case, its assessment, and a finding of the safety layer.

All are immutable. The field names of `Assessment` come from the project that this one continues. Key order is part of
the contract: evidence and reasoning come before the labels. So a model that writes left to right has read the note
before it commits to a grade.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator


class OrderedLabel(StrEnum):
    """A label whose definition order is its clinical order, so that `max()` and `<` compare clinically."""

    def __new__(cls, value: str):
        label = str.__new__(cls, value)
        label._value_ = value
        label._level = len(cls.__members__)
        return label

    @property
    def level(self) -> int:
        """Position on the scale, 0 for the mildest."""
        return self._level

    def _same_scale(self, other: object) -> bool:
        return isinstance(other, type(self))

    # str would compare alphabetically ("emergency" < "routine"), the reverse of the clinical order.
    def __lt__(self, other):
        return self.level < other.level if self._same_scale(other) else NotImplemented

    def __le__(self, other):
        return self.level <= other.level if self._same_scale(other) else NotImplemented

    def __gt__(self, other):
        return self.level > other.level if self._same_scale(other) else NotImplemented

    def __ge__(self, other):
        return self.level >= other.level if self._same_scale(other) else NotImplemented


class Severity(OrderedLabel):
    """CTCAE grade of the suspected irAE. `UNKNOWN` means no irAE grade and sorts below Grade 1."""

    UNKNOWN = "Unknown"
    GRADE_1 = "Grade 1 - Mild"
    GRADE_2 = "Grade 2 - Moderate"
    GRADE_3 = "Grade 3 - Severe"
    GRADE_4 = "Grade 4 - Life-threatening"

    @classmethod
    def from_grade(cls, grade: int | None) -> Severity:
        """The label of a CTCAE grade 1-4; None or 0 is `UNKNOWN`."""
        return list(cls)[grade or 0]


class Urgency(OrderedLabel):
    """How soon a clinician must act: routine < soon (1-3 days) < urgent (same day) < emergency (now)."""

    ROUTINE = "routine"
    SOON = "soon"
    URGENT = "urgent"
    EMERGENCY = "emergency"


class System(StrEnum):
    """Organ systems, in the order of the design."""

    GASTROINTESTINAL = "Gastrointestinal"
    HEPATIC = "Hepatic"
    PULMONARY = "Pulmonary"
    ENDOCRINE = "Endocrine"
    DERMATOLOGIC = "Dermatologic"
    NEUROLOGIC = "Neurologic"
    CARDIAC = "Cardiac"
    RENAL = "Renal"
    HEMATOLOGIC = "Hematologic"
    MUSCULOSKELETAL = "Musculoskeletal"
    OCULAR = "Ocular"


class Likelihood(StrEnum):
    """How likely the checkpoint inhibitor is the cause (mapped from WHO-UMC; not ordered)."""

    HIGHLY_LIKELY = "Highly likely"
    POSSIBLE = "Possible"
    UNLIKELY = "Unlikely"
    UNCERTAIN = "Uncertain"


class Record(BaseModel):
    """Base of all data classes here: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_OLDEST = 120  # years
_AGE = re.compile(
    r"\s*(?P<open>[>≥]=?)?\s*(?P<years>\d{1,3}(\.\d+)?)\s*(?P<plus>\+)?\s*(y|yo|y/o|yrs?|years?( old)?)?\s*", re.I
)
SECTIONS = ("medications", "labs", "vitals", "symptoms", "notes")


def _texts(value: object) -> object:
    if isinstance(value, str) or (isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)):
        return value
    raise ValueError("expected text, or a list of texts")


Section = Annotated[str | tuple[str, ...], BeforeValidator(_texts)]


class Case(Record):
    """One clinical note: `Case(text=...)`, or sections that `text` joins.

    Give the text or the sections, not both: with two versions, the model could read one and the safety layer the
    other. The limit of 2,000,000 characters prevents reading a pasted archive as a note.
    """

    id: str = Field(default="", max_length=200)
    age: int | None = Field(default=None, ge=0, le=120)
    cancer_type: str = Field(default="", max_length=500)
    medications: Section = ()
    labs: Section = ()
    vitals: Section = ()
    symptoms: Section = ()
    notes: Section = ()
    text: str = Field(default="", max_length=2_000_000)

    @field_validator("age", mode="before")
    @classmethod
    def _deidentified(cls, age: object) -> object:
        """De-identified data write 71.0, "71 y", or "90+", ">89" and 300 for any age above 89: not stated."""
        if isinstance(age, str) and (match := _AGE.fullmatch(age)):
            age = None if match["open"] or match["plus"] else float(match["years"])
        if isinstance(age, float):
            age = int(age) if math.isfinite(age) else None
        return None if isinstance(age, int) and age > _OLDEST else age

    @model_validator(mode="after")
    def _join_sections(self) -> Case:
        joined = _joined(self)
        sections = any(getattr(self, name) for name in SECTIONS)
        if self.text and sections and self.text != joined:
            raise ValueError("give either text or sections, not both")
        # The only write to a frozen object, before it is visible to callers.
        object.__setattr__(self, "text", self.text or joined)
        if not self.text.strip():
            raise ValueError(f"the note is empty; expected text, or one of {', '.join(SECTIONS)}")
        return self


def _joined(case: Case) -> str:
    who = f"{case.age}-year-old" if case.age is not None else ""
    context = ", ".join(filter(None, (who, case.cancer_type)))
    lines = [f"Context: {context}."] if context else []
    for name in SECTIONS:
        value = getattr(case, name)
        if joined := value if isinstance(value, str) else "; ".join(value):
            lines.append(f"{name.capitalize()}: {joined}")
    return "\n".join(lines)


MAX_QUOTE = 200  # characters
Line = Annotated[str, Field(min_length=1, max_length=MAX_QUOTE)]


class Causality(Record):
    """The four-way causality label of `Assessment`."""

    likelihood: Likelihood


class Assessment(Record):
    """A structured assessment of one note, the form of a model's answer and of the safety layer's result.

    Every string and list is bounded, so that the schema also bounds what constrained decoding can produce.
    """

    evidence: tuple[Line, ...] = Field(default=(), max_length=6)
    reasoning: str = Field(default="", max_length=600)
    irae_detected: bool
    affected_systems: tuple[System, ...] = Field(max_length=len(System))
    overall_severity: Severity
    urgency: Urgency
    causality: Causality
    actions: tuple[Line, ...] = Field(default=(), max_length=6)

    @field_validator("affected_systems")
    @classmethod
    def _each_system_once(cls, systems: tuple[System, ...]) -> tuple[System, ...]:
        # Semantically a set: sorted in the order of `System`, so that equal sets serialize equally.
        return tuple(system for system in System if system in systems)

    @property
    def is_alert(self) -> bool:
        """Whether a person must review the note the same day: an irAE is called, or the urgency is urgent or above."""
        return self.irae_detected or self.urgency >= Urgency.URGENT

    def scored(self) -> dict[str, Any]:
        """The five scored fields by name (`FIELDS`), in the form used for comparison: organ systems as a set."""
        return {
            "irae_detected": self.irae_detected,
            "affected_systems": frozenset(self.affected_systems),
            "overall_severity": self.overall_severity,
            "urgency": self.urgency,
            "likelihood": self.causality.likelihood,
        }

    def to_json(self) -> str:
        """The compact JSON used in training and decoding, with keys in schema order."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"))


class Finding(Record):
    """A finding in the note, with its exact span (`case.text[start:end] == quote`).

    Attributes:
        kind: lab, vital, count, grade, ici, drug, or the kind of finding (symptom, sign, imaging, diagnosis, care ...).
        name: canonical name (`data/clinical/labs.json`, `lexicon.json`, `drugs.json`).
        value, unit: as written; `sign` is its comparator ("<", ">").
        low, high: the number or range in the standard unit of `labs.json`; None without a number.
        uln, lln: limits printed in the note, standard unit. `times_uln`: stated, or `high` over the limit in force.
        baseline: the patient's own earlier value, standard unit.
        when: "previous", "baseline", "onset", "resolved", a date or "".
        flag: high, low or normal, as stated in the note. `severity`: mild, moderate, severe.
        certainty: suspected, confirmed or "". `status`: current, negated, historical, family, hypothetical, planned.
    """

    kind: str
    name: str
    value: str = ""
    unit: str = ""
    sign: str = ""
    low: Decimal | None = None
    high: Decimal | None = None
    uln: Decimal | None = None
    lln: Decimal | None = None
    times_uln: Decimal | None = None
    baseline: Decimal | None = None
    flag: str = ""
    severity: str = ""
    certainty: str = ""
    when: str = ""
    status: str = "current"
    quote: str
    start: int
    end: int


FIELD_NAMES = {  # display names in tables, figures and pages
    "irae_detected": "irAE",
    "affected_systems": "organ",
    "overall_severity": "grade",
    "urgency": "urgency",
    "likelihood": "causality",
}
FIELDS = tuple(FIELD_NAMES)


def differing(a: Assessment, b: Assessment) -> tuple[str, ...]:
    """The scored fields in which two assessments differ, in the order of `FIELDS`."""
    said, other = a.scored(), b.scored()
    return tuple(name for name in FIELDS if said[name] != other[name])
