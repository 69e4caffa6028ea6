"""What synthetic notes are made of: loads `data/synthesis/*.json`, which a clinician can read and extend.

One file per organ group holds illnesses (one CTCAE v5.0 term at one grade, with its label), ideas (what a note
can state, in three pools of phrasings) and contrasts (minimal pairs); `common.json` holds what every note needs.
`(a|b)` in a phrasing offers alternatives, `{n}` is the graded number, `{m}` a small free one; "! " before a rival cause
marks it as urgent in itself, so that it never explains a routine illness. No note that
fine-tuning sees contains a line of the calibration or the test pool. (The rehearsal base has read all three, with
wrong labels: MedGemma, too, has read medical English before.) Sources: CTCAE v5.0 for grades, ASCO 2021
(10.1200/JCO.21.01440) and project policy for urgency.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ..files import DATA
from ..schemas import System, Urgency

POOLS = ("train", "calibration", "test")
FOLDER = DATA / "synthesis"


class Idea(NamedTuple):
    """One thing a note can state: the section it belongs to and its pools of phrasings."""

    section: str
    train: tuple[str, ...]
    calibration: tuple[str, ...]
    test: tuple[str, ...]


class Fact(NamedTuple):
    """A phrase (`idea`) with the range of its number, or a laboratory value (`lab`) that the engine writes.

    `per` says what `low` and `high` count: "value" (standard unit of labs.json), or multiples of "uln", "lln" or
    the patient's own "baseline", which is then drawn from `base_low` to `base_high`.
    """

    idea: str = ""
    low: float = 1
    high: float = 9
    step: float = 1
    m_low: int = 2
    m_high: int = 6
    lab: str = ""
    per: str = "value"
    base_low: float = 0
    base_high: float = 0


class Illness(NamedTuple):
    """One illness at one grade.

    `key` facts carry the grade (they become evidence); `also` go along with it. `cause` names the group of ideas on
    causality and history: `<cause>_excluded`, `_pending`, `_confounder`, `_rival`, `_past`, `_family`, `_no`.
    """

    term: str
    systems: tuple[System, ...]
    grade: int
    urgency: Urgency
    key: tuple[Fact, ...]
    also: tuple[Fact, ...]
    cause: str
    why: str
    actions: tuple[str, ...]
    rival: str = ""


class Contrast(NamedTuple):
    """Two illnesses whose notes differ in one fact; `shared` facts stand in both notes."""

    name: str
    cause: str
    shared: tuple[Fact, ...]
    sides: tuple[Illness, Illness]


def _illness(row: dict[str, Any]) -> Illness:
    facts = {name: tuple(Fact(**fact) for fact in row.get(name, ())) for name in ("key", "also")}
    labels = {
        "systems": tuple(map(System, row["systems"])),
        "urgency": Urgency(row["urgency"]),
        "actions": tuple(row["actions"]),
    }
    return Illness(**row | facts | labels)


def _contrast(row: dict[str, Any]) -> Contrast:
    sides = (
        _illness(
            {key: value for key, value in side.items() if key != "fact"}
            | {"key": [side["fact"]], "cause": row["cause"]}
        )
        for side in row["sides"]
    )
    return Contrast(row["name"], row["cause"], tuple(Fact(**fact) for fact in row.get("shared", ())), tuple(sides))


def _idea(row: dict[str, Any]) -> Idea:
    return Idea(row["section"], *(tuple(row[pool]) for pool in POOLS))


COMMON: dict[str, Any] = json.loads((FOLDER / "common.json").read_text(encoding="utf-8"))
_GROUPS = [
    json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json")) if path.name != "common.json"
]

ILLNESSES: tuple[Illness, ...] = tuple(_illness(row) for group in _GROUPS for row in group["illnesses"])
CONTRASTS: tuple[Contrast, ...] = tuple(_contrast(row) for group in _GROUPS for row in group.get("contrasts", ()))
IDEAS: dict[str, Idea] = {
    name: _idea(row)
    for ideas in (COMMON["exposure"], COMMON["ideas"], *(group["ideas"] for group in _GROUPS))
    for name, row in ideas.items()
}
LAB_NAMES: dict[str, tuple[str, ...]] = {}
LAB_UNITS: dict[str, tuple[str, ...]] = {}
for _group in (*_GROUPS, COMMON):
    for _lab, _names in _group["lab_names"].items():
        LAB_NAMES[_lab] = tuple(dict.fromkeys((*LAB_NAMES.get(_lab, ()), *_names)))
    for _lab, _units in _group.get("lab_units", {}).items():
        LAB_UNITS[_lab] = tuple(dict.fromkeys((*LAB_UNITS.get(_lab, ()), *_units)))

ICIS: tuple[str, ...] = tuple(COMMON["checkpoint_inhibitors"])
# Exposure, causality and what they do to the label. The test split holds 42 % negatives and mimics; training holds
# fewer, so that grades are seen often enough.
KINDS: dict[str, dict[str, float]] = COMMON["shares"]
