"""The cues of a note and the rule of each: direction, reach, end and resulting status.

Loads `data/clinical/cues.json`. `RULES` are the statuses a cue can give; `cue_phrases` lists every spelling by the name
of its rule or mark, for the table of phrases in `lexicon`.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any, NamedTuple

from ..files import DATA

_TABLE = json.loads((DATA / "clinical" / "cues.json").read_text(encoding="utf-8"))
_NAME = re.compile(r"<([a-z ]+)>")


class Rule(NamedTuple):
    """The effect of a cue on the findings around it. `cues.json` explains the fields."""

    name: str
    status: str
    direction: str = "after"
    reach: int = 0
    reach_of_diagnoses: int = 0
    ends: dict[str, str] = {}
    barrier: tuple[str, ...] = ()
    guard: str = ""
    values: str = ""
    only: tuple[str, ...] = ()
    list: str = ""
    gap: str = ""
    near: int = 0
    details: tuple[str, ...] = ()
    over: tuple[str, ...] = ("current",)
    last_only: bool = False
    resolved: bool = False

    def __hash__(self) -> int:
        return hash(self.name)


def _rule(name: str, row: dict[str, Any]) -> Rule:
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items() if key != "cues"}
    ends = fields.get("ends", {})
    if "as" in ends:  # a named set with overrides
        fields["ends"] = _TABLE["ends"][ends["as"]] | {event: when for event, when in ends.items() if event != "as"}
    return Rule(name, **fields)


RULES: dict[str, Rule] = {name: _rule(name, row) for name, row in _TABLE["rules"].items()}


def cue_phrases() -> dict[str, list[str]]:
    """Map each rule or mark to its phrases. Named spellings are expanded, alternatives are not."""
    listed = {name: row["cues"] for name, row in _TABLE["rules"].items()} | _TABLE["marks"]
    listed["inability"] = _TABLE["inability"]
    return {name: [spelling for phrase in phrases for spelling in _spelled(phrase)] for name, phrases in listed.items()}


def _spelled(phrase: str) -> list[str]:
    match = _NAME.search(phrase)
    if match is None:
        return [phrase]
    return [s for word in _TABLE["spellings"][match[1]] for s in _spelled(phrase.replace(match[0], word, 1))]


@functools.cache
def barrier(rule: Rule) -> re.Pattern[str]:
    """Words that end the reach of a cue; a comma ends their protection from a denial.

    "Known melanoma with diarrhea" gives no history of diarrhea, "no fever since admission" does not deny the admission.
    """
    rest = "[^,]*$" if rule.status == "negated" else ""
    return re.compile(rf"\b(?:{'|'.join(rule.barrier)})\b{rest}")


@functools.cache
def reversal() -> re.Pattern[str]:
    """Words that reverse the denial before them: "no improvement", "cannot be completely excluded"."""
    longest_first = sorted(_TABLE["reversal"], key=len, reverse=True)
    words = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in longest_first)
    return re.compile(rf"\s+(?:[a-z]+\s+){{0,3}}?(?P<word>(?:{words}))(?![a-z])")


@functools.lru_cache(maxsize=1024)
def rules_of(cues: tuple[str, ...], without: str) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """The rules of these cues that reach back and those that reach ahead, except those with the guard `without`."""
    rules = [RULES[cue] for cue in cues if cue in RULES and (not without or RULES[cue].guard != without)]
    return tuple(r for r in rules if r.direction == "before"), tuple(r for r in rules if r.direction == "after")
