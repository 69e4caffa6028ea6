"""How notes say things: loads `data/rehearsal_notes/phrases.json`, the phrasings a clinician can read and extend.

Each idea names its section and two pools of phrasings: those training may use, and those only the test uses.
`(a|b)` offers alternatives, `{n}`, `{m}` and `{drug}` are filled in by the scenario. A phrasing family is one
line of the file. No note that fine-tuning sees contains a line of the second pool. (The rehearsal base has read
both pools, with wrong labels: MedGemma, too, has read medical English before.) Held-out lines share key words with
their training twins (a reader must know what a stool is) but not their sentence frame.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from ..runtime import DATA


class Idea(NamedTuple):
    """One thing a note can state: the section it belongs to and its two pools of phrasings."""

    section: str
    train: tuple[str, ...]
    test: tuple[str, ...]


_FILE = json.loads((DATA / "rehearsal_notes" / "phrases.json").read_text(encoding="utf-8"))

IDEAS: dict[str, Idea] = {
    name: Idea(idea["section"], tuple(idea["train"]), tuple(idea["test"])) for name, idea in _FILE["ideas"].items()
}
ICIS: tuple[str, ...] = tuple(_FILE["checkpoint_inhibitors"])


def _pools(name: str) -> dict[str, tuple[str, ...]]:
    return {pool: tuple(words) for pool, words in _FILE[name].items()}


CANCERS = _pools("cancers")
OTHER_TREATMENT = _pools("other_treatment")
HOME_DRUGS = _pools("home_drugs")
NORMAL_LABS = _pools("normal_labs")
