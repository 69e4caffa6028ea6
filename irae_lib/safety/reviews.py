"""The output of the safety layer: a review with its raises, the checked evidence and the coverage of the note."""

from __future__ import annotations

from ..schemas import Assessment, Finding, Record

NOT_ASSESSED = "not assessed"  # shown, stored and counted in place of the labels of such a note


class Correction(Record):
    """One raise by the safety layer, with everything a clinician needs to check it in seconds.

    `scale` is the scale of the grade (CTCAE v5.0 unless the rule says otherwise).
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


class Withheld(Record):
    """A grade and organ system demanded by a rule but withheld, because the note proves another cause.

    `grade` is the withheld grade (0: organ system only), `quote` the result that proves the cause. The urgency of the
    rule stands.
    """

    rule: str
    system: str
    grade: int
    cause: str
    quote: str
    start: int
    end: int

    @property
    def advisory(self) -> str:
        """The advisory shown to the reader."""
        asked = " ".join(filter(None, (f"Grade {self.grade}" if self.grade else "", self.system)))
        return f"{asked} ({self.rule}) withheld: the note proves another cause, '{self.quote}'. (cause)"


class Evidence(Record):
    """A quote of a proposal and its position in the note; `found` is False if the note does not contain it."""

    quote: str
    found: bool
    start: int | None = None
    end: int | None = None


class Coverage(Record):
    """Measures of how much of a note the safety layer understood.

    Attributes:
        words: words of the note. `loaded`: clinically loaded words, outside a shipped list of common English.
        understood: loaded words that the reader knows. `share`: understood of loaded, 1 if there are none.
        english: whether the text is English.
        not_graded: quotes of tests that a rule grades and whose value has no readable unit or limit.
        gaps: every reason why silent rules mean nothing for this note; empty if the note was understood.
    """

    words: int = 0
    loaded: int = 0
    understood: int = 0
    english: bool = True
    not_graded: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The share of the clinically loaded words that were understood."""
        return self.understood / self.loaded if self.loaded else 1.0

    @property
    def reasons(self) -> str:
        """The gaps in one line, with the quotes of tests that were not graded."""
        quotes = f" ({'; '.join(self.not_graded)})" if self.not_graded else ""
        return "; ".join(self.gaps) + quotes


class Review(Record):
    """A proposal after the safety layer: `final` is never below `proposed` in any field it may raise.

    `corrections` are the raises, `advisories` advice from rules that does not raise, `findings` the findings of the
    note, and `evidence` the positions of the proposal's quotes. `coverage` measures how much of the note was
    understood. Where `assessed` is False the labels of `final` are placeholders: a person must read the note.
    `withheld` lists grades and organ systems not raised because the note proves another cause.
    """

    proposed: Assessment | None
    final: Assessment
    corrections: tuple[Correction, ...] = ()
    advisories: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    coverage: Coverage = Coverage()
    assessed: bool = True
    withheld: tuple[Withheld, ...] = ()
