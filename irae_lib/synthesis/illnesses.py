"""Content of synthetic notes: load `data/synthesis/*.json`, which a clinician can read and extend.

One file per organ group holds illnesses, ideas and contrasts. An illness is one CTCAE v5.0 term at one grade, with its
label; an idea is a statement in three pools of phrasings; a contrast is a minimal pair. `common.json` holds content for
every note. For long notes, `other_causes.json` holds proven and open other causes, and `lay.json` patients' wordings.
In a phrasing, `(a|b)` offers alternatives, `{n}` is the graded number, `{m}` a small free one. "! " before a rival
cause marks it as urgent in itself, so that it never explains a routine illness. Fine-tuning never sees a line of the
calibration or the test pool. (The rehearsal base has read all three, the test pool with noisy labels only: MedGemma has
read medical English, too.) Sources: CTCAE v5.0 for grades, ASCO 2021 (10.1200/JCO.21.01440) and project policy for
urgency.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from ..files import DATA
from ..schemas import System, Urgency

POOLS = ("train", "calibration", "test")
FOLDER = DATA / "synthesis"


class Idea(NamedTuple):
    """A statement for a note: its section and its pools of phrasings."""

    section: str
    train: tuple[str, ...]
    calibration: tuple[str, ...]
    test: tuple[str, ...]


class Fact(NamedTuple):
    """A phrase (`idea`) with the range of its number, or a laboratory value (`lab`), which `lab_text` writes.

    `per` is the unit of `low` and `high`: "value" (standard unit of labs.json), or multiples of "uln", "lln" or
    the patient's own "baseline", which is then drawn from `base_low` to `base_high`.
    """

    idea: str = ""
    low: int | float = 1  # as in the JSON: "2" and "2.0" read differently in a note
    high: int | float = 9
    step: int | float = 1
    m_low: int = 2
    m_high: int = 6
    lab: str = ""
    per: str = "value"
    base_low: int | float = 0
    base_high: int | float = 0


class Illness(NamedTuple):
    """One illness at one grade.

    `key` facts determine the grade and become evidence; `also` facts accompany it. `cause` names the group of ideas on
    causality and history: `<cause>_excluded`, `_pending`, `_confounder`, `_rival`, `_past`, `_family`, `_no`.
    """

    term: str
    systems: tuple[System, ...]
    grade: int
    urgency: Urgency
    key: tuple[Fact, ...]
    cause: str
    why: str
    actions: tuple[str, ...]
    also: tuple[Fact, ...] = ()
    rival: str = ""


class Contrast(NamedTuple):
    """Two illnesses whose notes differ in one fact; `shared` facts appear in both notes."""

    name: str
    cause: str
    sides: tuple[Illness, Illness]
    shared: tuple[Fact, ...] = ()


def _rows(kind: str) -> list[dict[str, Any]]:
    return [row for group in _GROUPS for row in group.get(kind, ())]


_FILES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
COMMON: dict[str, Any] = _FILES.pop("common")
_GROUPS = tuple(_FILES.values())

ILLNESSES = TypeAdapter(tuple[Illness, ...]).validate_python(_rows("illnesses"))
CONTRASTS = TypeAdapter(tuple[Contrast, ...]).validate_python(
    [row | {"sides": [side | {"cause": row["cause"]} for side in row["sides"]]} for row in _rows("contrasts")]
)
IDEAS: dict[str, Idea] = {
    name: Idea(**row)
    for ideas in (COMMON["exposure"], COMMON["ideas"], *(group.get("ideas", {}) for group in _GROUPS))
    for name, row in ideas.items()
}
# Patients' wordings of an idea, by pool; ideas that only a clinician can state have none.
LAY: dict[str, dict[str, tuple[str, ...]]] = TypeAdapter(dict[str, dict[str, tuple[str, ...]]]).validate_python(
    {name: words for group in _GROUPS for name, words in group.get("lay", {}).items()}
)
LAB_NAMES: dict[str, tuple[str, ...]] = {}
LAB_UNITS: dict[str, tuple[str, ...]] = {}
for _group in (*_GROUPS, COMMON):
    for _lab, _names in _group.get("lab_names", {}).items():
        LAB_NAMES[_lab] = tuple(dict.fromkeys((*LAB_NAMES.get(_lab, ()), *_names)))
    for _lab, _units in _group.get("lab_units", {}).items():
        LAB_UNITS[_lab] = tuple(dict.fromkeys((*LAB_UNITS.get(_lab, ()), *_units)))

ICIS: tuple[str, ...] = tuple(COMMON["checkpoint_inhibitors"])
# Shares of the kinds of case (exposure and causality). The test split holds 42% negatives and mimics; training holds
# fewer, so that grades occur often enough.
KINDS: dict[str, dict[str, float]] = COMMON["shares"]
