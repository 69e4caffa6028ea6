"""The table of `concepts.json`: word classes, and the word combinations that express each concept."""

from __future__ import annotations

import functools
import json
import re
from typing import Any, NamedTuple

from ..files import DATA, built_once
from .inflection import spellings
from .ways import Ways

THING = "THING"  # the class of objects that cannot be ill


class Table(NamedTuple):
    """The data file, parsed and indexed; `ends` are the words that begin a new clause."""

    ways: Ways
    kinds: dict[str, str]
    absorbs: dict[str, frozenset[str]]
    ends: frozenset[str]


@built_once
def vocabulary() -> frozenset[str]:
    """Every word in a class, except those that only indicate another meaning of a word."""
    words: set[str] = set()
    indicators = showing()
    for first, begun in concept_table().ways.words.items():
        for rest, names in (((), begun.alone), *(row for rows in begun.further.values() for row in rows)):
            if not names <= indicators:
                words.update((first, *rest))
    return frozenset(filter(str.isalpha, words))


def written_words() -> frozenset[str]:
    """The words of the table as written, in British and American spelling, without inflected forms."""
    data = _data()
    ways = (part for row in data["concepts"].values() for way in row["ways"] for part in re.split(r"[ |]", way))
    text = " ".join((*data["words"].values(), *(part.replace("_", " ") for part in ways if part.islower())))
    return frozenset(spelled for word in set(re.findall(r"[a-z]+", text)) for spelled in spellings(word))


@built_once
def concept_table() -> Table:
    """`concepts.json`, parsed and indexed."""
    data = _data()
    concepts = data["concepts"]
    said = ((concept, "", written) for concept, row in concepts.items() for written in row["ways"])
    return Table(
        Ways("concepts.json", data["words"], data["numbers"], said, lambda literal: (literal,)),
        {concept: row["kind"] for concept, row in concepts.items()},
        {concept: frozenset(row.get("absorbs", ())) for concept, row in concepts.items()},
        frozenset(data["ends"].split()),
    )


@functools.cache
def guards() -> dict[str, frozenset[str]]:
    """The classes with a second meaning, each with the classes that indicate it."""
    return {name: frozenset(row.split()) for names, row in _data()["guards"].items() for name in names.split()}


@functools.cache
def showing() -> frozenset[str]:
    """The classes that indicate another meaning of a nearby word."""
    return frozenset((THING,)).union(*guards().values())


@functools.cache
def _data() -> dict[str, Any]:
    return json.loads((DATA / "clinical" / "concepts.json").read_text(encoding="utf-8"))
