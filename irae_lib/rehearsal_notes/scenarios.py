"""What can be wrong with a patient, and the label each illness carries: loads `data/rehearsal_notes/illnesses.json`.

A row is one illness at one CTCAE v5.0 grade: the facts a note must state, the number range that makes the
grade true, and the urgency that the grade, the organ and the rules of the project give it. Numbers stay
inside their band; borders are for contrast pairs. Sources: CTCAE v5.0 for grades, ASCO 2021
(10.1200/JCO.21.01440) for the urgency of named illnesses (pneumonitis, myocarditis, myasthenia, adrenal crisis).
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ..runtime import DATA
from ..schemas import System, Urgency


class Fact(NamedTuple):
    """One idea of `phrases.IDEAS` with the range its number `{n}` is drawn from (and `{m}`, where it has two)."""

    idea: str
    low: float = 1
    high: float = 9
    step: float = 1
    m_low: int = 2
    m_high: int = 4


class Illness(NamedTuple):
    """One illness at one grade.

    `key` are the facts that carry the grade (they become evidence); `also` go along with it. `cause` names the
    group of notes on causality: `<cause>_excluded`, `<cause>_pending`, `<cause>_rival` (or `rival`, where given).
    """

    term: str
    system: System
    grade: int
    urgency: Urgency
    key: tuple[Fact, ...]
    also: tuple[Fact, ...]
    cause: str
    actions: tuple[str, ...]
    rival: str = ""


def _illness(row: dict[str, Any]) -> Illness:
    facts = {name: tuple(Fact(**fact) for fact in row[name]) for name in ("key", "also")}
    labels = {"system": System(row["system"]), "urgency": Urgency(row["urgency"]), "actions": tuple(row["actions"])}
    return Illness(**row | facts | labels)


_FILE = json.loads((DATA / "rehearsal_notes" / "illnesses.json").read_text(encoding="utf-8"))

ILLNESSES: tuple[Illness, ...] = tuple(map(_illness, _FILE["illnesses"]))

# Exposure, causality and what they do to the label: shares of a training and a test split.
# The test split holds 42 % negatives and mimics; training holds fewer, so that grades are seen often enough.
KINDS: dict[str, dict[str, float]] = _FILE["shares"]
