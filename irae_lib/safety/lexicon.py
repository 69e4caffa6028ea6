"""The vocabulary for reading a note: one table from phrase to meaning, and one pattern that finds every phrase.

Loads `lexicon.json` (findings and labels of values), `labs.json` (analytes and vitals), `drugs.json` and
`diagnoses.json`, and takes the cues of `cues.json` from `cues`. Phrases are looked up by their first word, so a note is
scanned once whatever the number of phrases.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from ..files import DATA, built_once
from .alternatives import any_of
from .cues import cue_phrases


class Meaning(NamedTuple):
    """The meaning of a phrase: `kind` is finding, lab, vital, ici, drug or cue; `names` are canonical."""

    kind: str
    names: tuple[str, ...]
    detail: str = ""  # findings: symptom, sign ...; drugs: their class
    capitals: bool = False  # match capitals only ("MG" is myasthenia, "mg" is a dose)


class Analyte(NamedTuple):
    """A laboratory value or vital sign: its standard unit, how to convert to it, and default limits."""

    name: str
    unit: str
    units: dict[str, str]
    uln: Decimal | None
    lln: Decimal | None
    system: str
    missing: str  # "never": a number without a unit is not read as a value
    over: tuple[Decimal, str] | None  # above this bound a bare number must be in the other unit
    under: tuple[Decimal, str, Decimal] | None = None  # below it, down to the last; less is another test
    plausible: tuple[Decimal, Decimal] | None = None  # outside it means something else ("T 4", "pH 35", "sat 2")

    def convert(self, number: Decimal, unit: str) -> Decimal | None:
        """The number in the standard unit; None for a unit that cannot be converted."""
        rule = self.units.get(unit)
        if rule is None:
            return None
        if rule == "f":
            return (number - 32) * 5 / 9
        if rule[0] == "/":
            return number / Decimal(rule[1:])
        return number * Decimal(rule[1:]) if rule[0] == "*" else number


def _file(name: str) -> dict[str, Any]:
    return json.loads((DATA / "clinical" / name).read_text(encoding="utf-8"))


def _analyte(name: str, row: dict[str, Any]) -> Analyte:
    limits = [Decimal(row[key]) if row.get(key) else None for key in ("uln", "lln")]
    over = (Decimal(row["over"][0]), row["over"][1]) if row.get("over") else None
    under = (Decimal(row["under"][0]), row["under"][1], Decimal(row["under"][2])) if row.get("under") else None
    plausible = (Decimal(row["plausible"][0]), Decimal(row["plausible"][1])) if row.get("plausible") else None
    said = (row.get("system", ""), row.get("missing", ""))
    return Analyte(name, row["unit"], row["units"], *limits, *said, over, under, plausible)


_LABS = _file("labs.json")
ANALYTES: dict[str, Analyte] = {
    name: _analyte(name, row) for group in ("analytes", "vitals") for name, row in _LABS[group].items()
}
VITALS = frozenset(_LABS["vitals"])
DIAGNOSES: dict[str, Any] = _file("diagnoses.json")
GRADABLE = DIAGNOSES["rows"].keys() | DIAGNOSES["graded"].keys()  # diagnoses that a stated grade can refer to
DRUGS: dict[str, Any] = _file("drugs.json")
CYTOTOXIC = frozenset(DRUGS["cytotoxic"])
DRUG_CLASSES = tuple(name for name in DRUGS if name not in ("source", "checkpoint_inhibitors", "cytotoxic"))

_GAP = re.compile(r"[\n-][ \n-]*| [ \n-]+")  # anything but a single space
_ALTERNATIVES = re.compile(r"\(([^()]*\|[^()]*)\)")


def expand(phrase: str) -> list[str]:
    """All spellings of "(a|b) c": alternatives may be empty.

    >>> expand("diarrh(o|)ea")
    ['diarrhoea', 'diarrhea']
    """
    if "(" not in phrase:  # most phrases
        return [" ".join(phrase.split())]
    pieces = _ALTERNATIVES.split(phrase)
    choices = [piece.split("|") if i % 2 else [piece] for i, piece in enumerate(pieces)]
    return [" ".join("".join(words).split()) for words in itertools.product(*choices)]


def plain(phrase: str) -> str:
    """The phrase with one space for each run of spaces, line breaks and hyphens."""
    return _GAP.sub(" ", phrase) if _GAP.search(phrase) else phrase


@built_once
def common_english() -> frozenset[str]:
    """The words of common English (`common_english.json`)."""
    shipped = json.loads((DATA / "clinical" / "common_english.json").read_text(encoding="utf-8"))
    return frozenset(word for row in shipped["words"] for word in row.split())


@built_once
def meanings() -> dict[str, tuple[Meaning, ...]]:
    """Map each phrase (lower case, single spaces) to all its meanings."""
    table: dict[str, list[Meaning]] = {}

    def add(phrase: str, meaning: Meaning) -> None:
        known = table.setdefault(plain(phrase), [])
        if meaning not in known:
            known.append(meaning)

    lexicon = _file("lexicon.json")
    for name, (kind, *phrases) in lexicon["findings"].items():
        for phrase in phrases:
            capitals = phrase.startswith("UPPER:")
            for spelling in expand(phrase.removeprefix("UPPER:").lower()):
                add(spelling, Meaning("finding", tuple(name.split("+")), kind, capitals))
    for group, kind in (("analytes", "lab"), ("vitals", "vital")):
        for name, row in _LABS[group].items():
            for phrase in row["names"]:
                add(phrase, Meaning(kind, (name,)))
    for generic, row in DRUGS["checkpoint_inhibitors"].items():
        for phrase in (generic, *row["names"]):
            add(phrase, Meaning("ici", (generic,), row["target"]))
    for group in DRUG_CLASSES:
        for phrase in DRUGS[group]:
            add(phrase, Meaning("drug", (phrase,), group))
    cues: dict[str, list[str]] = {}
    for category, phrases in itertools.chain(lexicon["cues"].items(), cue_phrases().items()):
        for phrase in phrases:
            for spelling in expand(phrase):
                cues.setdefault(plain(spelling), []).append(category)
    for phrase, categories in cues.items():
        add(phrase, Meaning("cue", tuple(dict.fromkeys(categories))))
    return {phrase: tuple(found) for phrase, found in table.items()}


@built_once
def openers() -> dict[str, list[str]]:
    """The rest of each phrase by its first word; "" holds the phrases that do not start with a letter.

    A word that opens no phrase costs one look-up.
    """
    rests: dict[str, list[str]] = {}
    for phrase in meanings():
        word = _WORD.match(phrase)
        rests.setdefault(word.group() if word else "", []).append(phrase[word.end() :] if word else phrase)
    return rests


@functools.cache
def opened(word: str) -> re.Pattern[str]:
    """The rest of an opener's phrases as one pattern; spaces match a hyphen or line break. A note has few openers."""
    return re.compile(f"{any_phrase(openers()[word])}(?![a-z0-9])")


def any_phrase(phrases: Iterable[str]) -> str:
    """These phrases as a regular expression that takes the longest."""
    return any_of(phrases).replace(r"\ ", r"[ \n-]{1,4}")


_WORD = re.compile(r"[a-z]+")
