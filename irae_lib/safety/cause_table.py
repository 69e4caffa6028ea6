"""The table of `causes.json`: the findings that each cause explains, and the phrases for it."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NamedTuple

from ..files import DATA, built_once
from .inflection import spellings
from .ways import Ways

_ROLES = ("results", "names", "agents")
_NUMBER = re.compile(r"#>([\d.]+)")


class Table(NamedTuple):
    """The data file: its phrases, by cause (or "open", "note") and role, and its other sections."""

    ways: Ways
    causes: dict[str, dict[str, Any]]
    groups: dict[str, tuple[str, frozenset[str]]]
    targets: dict[str, frozenset[str]]  # classes of words for an organ, and the groups they are about
    organs: dict[str, frozenset[str]]
    general: frozenset[str]
    explains: dict[tuple[str, str], tuple[str, ...]]  # organ system and finding to causes, in the order of the file
    begin: dict[str, frozenset[str]]  # words of which every result of the cause has at least one


@built_once
def table() -> Table:
    """`causes.json`, parsed and indexed."""
    data = json.loads((DATA / "clinical" / "causes.json").read_text(encoding="utf-8"))
    said = [(cause, key[:-1], way) for cause, row in data["causes"].items() for key in _ROLES for way in row[key]]
    said += [(name, role, way) for name in ("open", "note") for role, ways in data[name].items() for way in ways]
    groups = {name: (system, frozenset(findings)) for name, (system, findings) in data["groups"].items()}
    explains: dict[tuple[str, str], dict[str, None]] = {}
    for cause, row in data["causes"].items():
        for system, findings in (groups[group] for group in row["explains"]):
            for finding in findings:
                explains.setdefault((system, finding), {})[cause] = None
    ways = Ways("causes.json", data["words"], _numbers(said), said, lambda word: [f"={e}" for e in spellings(word)])
    return Table(
        ways,
        data["causes"],
        groups,
        {name: frozenset(about) for name, about in data["targets"].items()},
        {word: frozenset(names) for word, names in data["organs"].items()},
        frozenset(data["general"]),
        {key: tuple(causes) for key, causes in explains.items()},
        ways.beginnings("result"),
    )


def _numbers(said: list[tuple[str, str, str]]) -> dict[str, list[tuple[float, float]]]:
    """The number classes used in phrases: "#" is any number, "#>20" a number above 20."""
    above = {f"#>{limit}": float(limit) for _, _, way in said for limit in _NUMBER.findall(way)}
    return {"#": [(0, math.inf)]} | {name: [(math.nextafter(low, math.inf), math.inf)] for name, low in above.items()}
