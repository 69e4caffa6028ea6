"""Words for people: relatives, acquaintances, informants, people who are dead or under treatment (`subjects.json`)."""

from __future__ import annotations

import functools
import json
import re
from typing import Any, NamedTuple

from ..files import DATA
from .alternatives import any_of, any_word

_OWNER = (
    r"(?:(?P<owner>my|our|your|his|her|their|the|a|an|another|[a-z]+'s?) "
    r"(?:(?:late|older|elder|younger|elderly|little|own|ex|\d+[- ]year[- ]old) )?)?"
)


class PeopleWords(NamedTuple):
    """Patterns of the words for people; `gender` gives "f", "m" or "n" (either) for each relation."""

    someone: re.Pattern[str]  # a relation without its owner
    relation: re.Pattern[str]
    gender: dict[str, str]
    animals: frozenset[str]
    informs: re.Pattern[str]
    dead: re.Pattern[str]
    treated: re.Pattern[str]
    about_self: re.Pattern[str]
    acquaintance: re.Pattern[str]


@functools.cache
def people_words() -> PeopleWords:
    """`subjects.json`, compiled into patterns."""
    data = subject_data()
    gender = {word: kind for kind, listed in data["relations"].items() for word in listed}
    return PeopleWords(
        someone=any_word(gender),
        relation=re.compile(rf"\b{_OWNER}(?P<word>{any_of(gender)})\b(?!'s (?:{any_of(gender)})\b)"),
        gender=gender,
        animals=frozenset(data["animals"]),
        informs=any_word(data["informs"]),
        dead=any_word(data["dead"]),
        treated=any_word(data["treated"]),
        about_self=any_word(data["about_self"]),
        acquaintance=re.compile(rf"\b(?:{'|'.join(data['acquaintance'])})\b"),
    )


@functools.cache
def subject_data() -> dict[str, Any]:
    """`subjects.json`, parsed."""
    return json.loads((DATA / "clinical" / "subjects.json").read_text(encoding="utf-8"))
