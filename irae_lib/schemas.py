"""The nouns of the project: a case, an assessment of it, what the safety layer did to it, and how it scored.

Everything here is immutable. Field names of `Assessment` are those of the project this one continues; key
order is part of the contract: evidence and reasoning come before the labels, so that a model that writes
left to right has read the note before it commits to a grade.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .labels import Likelihood, Severity, System, Urgency


class Record(BaseModel):
    """Base of all data classes here: immutable, and an unknown key is an error rather than a shrug."""

    model_config = ConfigDict(frozen=True, extra="forbid")


SECTIONS = ("medications", "labs", "vitals", "symptoms", "notes")
Section = str | tuple[str, ...]


class Case(Record):
    """One clinical note: `Case(text=...)`, or sections that `text` joins.

    Give the text or the sections, not both: two versions of one note would let a model read the one and the
    safety layer the other. The limit of 2,000,000 characters keeps a pasted archive from being read as a note.
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

    @model_validator(mode="after")
    def _join_sections(self) -> Case:
        joined = _joined(self)
        if self.text and joined and self.text != joined:
            raise ValueError("give either text or sections, not both")
        # The one write to a frozen object: filled in before anybody has seen it.
        object.__setattr__(self, "text", self.text or joined)
        if not self.text.strip():
            raise ValueError("the case has no text and no section")
        return self


def _joined(case: Case) -> str:
    who = f"{case.age}-year-old" if case.age is not None else ""
    context = ", ".join(part for part in (who, case.cancer_type) if part)
    lines = [f"Context: {context}."] if context else []
    for name in SECTIONS:
        value = getattr(case, name)
        joined = value if isinstance(value, str) else "; ".join(value)
        if joined:
            lines.append(f"{name.capitalize()}: {joined}")
    return "\n".join(lines)


Quote = Annotated[str, Field(min_length=1, max_length=200)]
Action = Annotated[str, Field(min_length=1, max_length=200)]


class Causality(Record):
    """The four-way causality label of `Assessment`."""

    likelihood: Likelihood


class Assessment(Record):
    """A structured reading of one note: what a model answers and what the safety layer returns.

    Every string and list is bounded, so that the schema also bounds what constrained decoding can produce.
    """

    evidence: tuple[Quote, ...] = Field(default=(), max_length=6)
    reasoning: str = Field(default="", max_length=600)
    irae_detected: bool
    affected_systems: tuple[System, ...] = Field(max_length=len(System))
    overall_severity: Severity
    urgency: Urgency
    causality: Causality
    actions: tuple[Action, ...] = Field(default=(), max_length=6)

    @field_validator("affected_systems")
    @classmethod
    def _each_system_once(cls, systems: tuple[System, ...]) -> tuple[System, ...]:
        if len(set(systems)) != len(systems):
            raise ValueError("an organ system is listed twice")
        # A set on paper: always in the order of `System`, so that one set is one text.
        return tuple(sorted(systems, key=list(System).index))

    @property
    def is_alert(self) -> bool:
        """Whether a person must look at it the same day: an irAE is called, or the urgency is urgent or above."""
        return self.irae_detected or self.urgency >= Urgency.URGENT

    def scored(self) -> dict[str, Any]:
        """The five scored fields by name (`FIELDS`), as they are compared: organ systems as a set."""
        return {
            "irae_detected": self.irae_detected,
            "affected_systems": frozenset(self.affected_systems),
            "overall_severity": self.overall_severity,
            "urgency": self.urgency,
            "likelihood": self.causality.likelihood,
        }

    def to_json(self) -> str:
        """The compact JSON that training teaches and decoding expects, keys in schema order."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"))


class Finding(Record):
    """One thing the note says, with the exact span it was read from (`case.text[start:end] == quote`).

    Attributes:
        kind: lab, vital, count, grade, ici, drug, or the kind of finding (symptom, sign, imaging, diagnosis, care ...).
        name: canonical name (`data/clinical/labs.json`, `lexicon.json`, `drugs.json`).
        value, unit: as written; `sign` is its comparator ("<", ">").
        low, high: the number or range in the standard unit of `labs.json`; None where there is no number.
        uln, lln: limits printed in the note, standard unit. `times_uln`: stated, or `high` over the limit in force.
        baseline: the patient's own earlier value, standard unit. `when`: "previous", "baseline", a date or "".
        flag: high, low or normal, as the note says. `severity`: mild, moderate, severe.
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


class Correction(Record):
    """One raise by the safety layer, complete enough for a clinician to check it in seconds.

    `scale` is the scale the grade was taken from (CTCAE v5.0 unless the rule says otherwise).
    """

    rule: str
    field: str
    before: str
    after: str
    reason: str
    source: str
    scale: str = ""
    quote: str = ""
    start: int | None = None
    end: int | None = None


class Evidence(Record):
    """A quote of a proposal and where it stands in the note; `found` is False where it does not."""

    quote: str
    found: bool
    start: int | None = None
    end: int | None = None


class Coverage(Record):
    """How much of a note the safety layer understood.

    Attributes:
        words: words of the note. `loaded`: clinically loaded ones, outside a shipped list of common English.
        understood: loaded words that the reader knows. `share`: understood of loaded, 1 where there is none.
        english: whether the text is English.
        not_graded: quotes of tests that a rule grades and whose value has no readable unit or limit.
        gaps: every reason why silence of the rules on this note means nothing; empty where the note was understood.
    """

    words: int = 0
    loaded: int = 0
    understood: int = 0
    english: bool = True
    not_graded: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The share of the clinically loaded words that was understood."""
        return self.understood / self.loaded if self.loaded else 1.0

    @property
    def reasons(self) -> str:
        """The gaps in one line, with the quotes of what was not graded."""
        quotes = f" ({'; '.join(self.not_graded)})" if self.not_graded else ""
        return "; ".join(self.gaps) + quotes


NOT_ASSESSED = "not assessed"  # what is shown, stored and counted in place of the labels of such a note


class Review(Record):
    """A proposal after the safety layer: `final` is never below `proposed` in any field it may raise.

    `corrections` are the raises, `advisories` what the rules say without raising, `findings` what was read, and
    `evidence` where the quotes of the proposal stand. `coverage` says how much of the note was understood. Where
    `assessed` is False the labels of `final` are placeholders: a person must read the note.
    """

    proposed: Assessment | None
    final: Assessment
    corrections: tuple[Correction, ...] = ()
    advisories: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    coverage: Coverage = Coverage()
    assessed: bool = True


FIELD_NAMES = {  # as tables, figures and pages show them
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
