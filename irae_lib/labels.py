"""The labels of an assessment: grade, urgency, organ system and causality, each in its clinical order."""

from __future__ import annotations

from enum import StrEnum


class OrderedLabel(StrEnum):
    """A label whose order of definition is its clinical order, so that `max()` and `<` mean what they say."""

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

    # str would compare alphabetically ("emergency" < "routine"), which is exactly the wrong way round.
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
    """Organ system, in the order the design lists them."""

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
    """How plausibly the checkpoint inhibitor is the cause (a mapping of WHO-UMC; not ordered)."""

    HIGHLY_LIKELY = "Highly likely"
    POSSIBLE = "Possible"
    UNLIKELY = "Unlikely"
    UNCERTAIN = "Uncertain"
