"""Scan a note into tokens, and build findings from them without validation."""

from __future__ import annotations

import functools
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from decimal import Decimal

from ..files import built_once
from ..schemas import Finding
from .lexicon import Meaning, any_phrase, meanings, opened, openers, plain
from .quantities import MONTH, MONTHS, NUMBER, UNITS, WORD_NUMBER, WORD_VALUE, concentration, decimal, ordinal
from .quantities import unit as to_unit
from .text import normalise

_DEFAULTS = {name: field.default for name, field in Finding.model_fields.items() if not field.is_required()}
_FIELDS = set(Finding.model_fields)
_set = object.__setattr__


def make(text: str, token: Token, kind: str, name: str, *, end: int = 0, start: int = -1, **fields) -> Finding:
    """A Finding over the span from `token` (or `start`) to `end`, with the token's status.

    The values come from this package and have the right types; validating them again would take a third of the time of
    a whole review.
    """
    first = token.first if start < 0 else start
    last = max(end, token.end)
    span = {"kind": kind, "name": name, "quote": text[first:last], "start": first, "end": last, "status": token.status}
    return _built({**_DEFAULTS, **span, **fields})


def changed(finding: Finding, **fields) -> Finding:
    """The finding with some fields replaced."""
    return _built({**finding.__dict__, **fields})


def _built(values: dict) -> Finding:
    finding = Finding.__new__(Finding)
    _set(finding, "__dict__", values)
    _set(finding, "__pydantic_fields_set__", _FIELDS)
    _set(finding, "__pydantic_extra__", None)
    _set(finding, "__pydantic_private__", None)
    return finding


class Token:
    """A potentially relevant piece of the note. `kind`: one of the Meaning kinds, number, pair, date, or a mark."""

    low: Decimal | None = None
    high: Decimal | None = None
    sign = unit = ""
    status = "current"
    cues: tuple[str, ...] = ()
    sentence = 0
    resolved = False  # the note says that it is over

    def __init__(self, kind: str, start: int, end: int, names: tuple[str, ...] = (), detail: str = ""):
        self.kind, self.start, self.end, self.names, self.detail = kind, start, end, names, detail
        self.first = start  # start of the quote: before `start` for a concept in several words

    def __repr__(self) -> str:
        return f"<{self.kind} {self.names or self.low} {self.unit} {self.status}>"


def within(tokens: Sequence[Token], start: int, end: int) -> Iterator[tuple[int, Token]]:
    """The tokens that begin in a span of the note, each with its index in `tokens`."""
    at = bisect_left(tokens, start, key=lambda token: token.start)
    while at < len(tokens) and tokens[at].start < end:
        yield at, tokens[at]
        at += 1


@functools.cache
def _pattern() -> re.Pattern[str]:
    """Words, numbers, dates and marks; `scan` looks up which words open a phrase."""
    others = any_phrase(openers()[""])
    any_number = rf"(?:{NUMBER}|{WORD_NUMBER})"
    return re.compile(
        r"(?P<word>[a-z]+)"
        rf"|(?=\d)(?:(?P<date>(?<![\d/.-])(?:\d{{4}}-\d\d-\d\d|\d{{1,2}}[/.]\d{{1,2}}[/.](?:\d{{4}}|\d\d)|"
        rf"\d{{1,2}}(?:st|nd|rd|th)? {MONTH}(?:,? \d{{4}})?|\d{{1,2}}:\d\d(?::\d\d)?)(?![\w/]))"
        r"|(?P<pair>(?<![\d.])\d{1,4}(?:\.\d+)? ?/ ?\d{1,4}(?:\.\d+)?(?![\d.]*/|\d)))"
        rf"|(?P<odd>(?<![a-z0-9])(?:{others})(?![a-z0-9]))"
        r"|(?P<arrow>-{1,3}>|={1,2}>|¬)"
        rf"|(?P<number>(?<![\d.])(?P<sign>[<>~+=]{{1,2}} ?)?(?P<low>{NUMBER})"
        rf"(?P<plus>\+)?(?:(?: ?- ?| ?to ?| or )(?P<high>{any_number}))?(?: {{0,3}}-?(?P<unit>{UNITS})(?![a-z]))?)"
        r"|(?P<mark>\n|\.(?=\s|$)|[;,:()!?\[\]|/=])"
    )


# Items that begin with a word but are not phrases: "may 5", "since 2018", "t38.2", "four to six a day".
_WORD_THINGS = re.compile(
    rf"(?P<month>{MONTH} \d{{1,2}}(?:,? \d{{4}})?(?![\w/]))"
    r"|(?P<year>(?:in|since|from) (?:19|20)\d\d(?!\d))"
    r"|(?P<glued>(?:t|hr|rr|k|na|hb|bp|plt|wbc|ef|ck|g|x|alt|ast)(?=\d))"
    rf"|(?P<number>(?P<sign>(?!))?(?P<low>{WORD_NUMBER})(?P<plus>(?!))?"
    rf"(?:(?: ?- ?| ?to ?| or )(?P<high>{NUMBER}|{WORD_NUMBER}))?(?: {{0,3}}-?(?P<unit>{UNITS})(?![a-z]))?)"
)
_RATIO = re.compile(rf"(?=[a-z]{{1,2}}/)(?:{UNITS})(?![a-z])")
_LONG_MONTHS = "january february march april june july august september october november december"
_SHORT_NAMES = "in since from t hr rr k na hb bp plt wbc ef ck g x alt ast"
_OPENERS = frozenset((*MONTHS, *WORD_VALUE, *_LONG_MONTHS.split(), *_SHORT_NAMES.split()))


def scan(text: str) -> tuple[str, list[Token]]:
    """The normalised note and its tokens in order, each with its sentence number."""
    norm, tokens = normalise(text), []
    opening = openers()
    find = _pattern().finditer
    matches = find(norm)
    sentence, depth, glue, after = 0, 0, -1, 0
    while (match := next(matches, None)) is not None:
        group = match.lastgroup
        start, end = match.span()
        if start < after:  # part of a phrase already taken; the rest is scanned again
            if end > after:
                matches = find(norm, after)
            continue
        if group == "word":
            word = match.group()
            found = opened(word).match(norm, end) if word in opening else None
            token = None
            if found is not None and not (start and norm[start - 1].isdigit()):
                token = _phrase(norm[start : found.end()], text, start, found.end())
            if token is not None and token.kind == "lab" and _in_compound(norm, start, found.end()):
                continue  # the K of "K-Dur"
            if token is not None:
                after = found.end()
            elif word in _OPENERS and (other := _WORD_THINGS.match(norm, start)) is not None:
                group, after = other.lastgroup, other.end()
                if start and (norm[start - 1].isalnum() or norm[start - 1] in "-_") and group == "number":
                    continue
                token = _token_of(other, text)
                glue = after if group == "glued" else glue
            else:
                continue
        elif group == "mark":
            mark = match.group()
            if mark in "([":
                depth, mark = min(depth + 1, 3), "("
            elif mark in ")]":
                depth, mark = max(depth - 1, 0), ")"
            if (mark == ";" and depth == 0) or (mark in ".!?\n" and _ends(norm, text, start, mark)):
                mark, depth = "end", 0
                sentence += 1
            elif mark in ".\n!?":
                continue
            token = Token(mark, start, end)
        elif group == "number":
            if start and norm[start - 1].isalpha() and glue != start and norm[start].isdigit():
                continue  # the 4 of "cd4"
            token, after = _number(match), end
        else:
            token = _token_of(match, text)
        if token is not None:
            token.sentence = sentence
            tokens.append(token)
    return norm, tokens


def _token_of(match: re.Match[str], text: str) -> Token | None:
    """The token of a number, date, year, pair or arrow, of a name glued to its number, or of an odd phrase."""
    group, phrase, (start, end) = match.lastgroup, match.group(), match.span()
    if group == "number":
        return _number(match)
    if group == "odd" or (group == "glued" and phrase in meanings()):
        return _phrase(phrase, text, start, end)
    if group == "glued":
        return Token("glue", start, end, (phrase,))
    token = Token("date" if group == "month" else group, start, end)
    if group == "pair":
        token.low, token.high = (decimal(part.strip()) for part in phrase.split("/"))
    elif token.kind == "date":
        token.low = ordinal(phrase)
    return token


def _number(match: re.Match[str]) -> Token:
    token = Token("number", *match.span())
    sign, low, plus, high, unit = match.group("sign", "low", "plus", "high", "unit")
    token.low = decimal(low)
    token.high = decimal(high) if high else token.low
    token.sign = sign.strip() if sign else ""
    token.detail = plus or ""
    token.unit = concentration(to_unit(unit), low) if unit else ""
    return token


@built_once
def _resolved() -> dict[str, tuple[str, tuple[str, ...], str, tuple[str, ...]]]:
    """Phrase to kind, names, detail and cues, for the phrases whose meaning does not depend on capitals."""
    return {
        phrase: _chosen(found, capitals=False)
        for phrase, found in meanings().items()
        if not any(meaning.capitals for meaning in found)
    }


def _chosen(found: tuple[Meaning, ...], capitals: bool) -> tuple[str, tuple[str, ...], str, tuple[str, ...]]:
    kind, names, detail, cues = "", (), "", ()
    for meaning in found:
        if meaning.capitals and not capitals:
            continue
        if meaning.kind == "cue":
            cues = meaning.names
        elif not kind:
            kind, names, detail = meaning.kind, meaning.names, meaning.detail
    return kind or ("cue" if cues else ""), names, detail, cues


def _phrase(phrase: str, text: str, start: int, end: int) -> Token | None:
    known = _resolved().get(phrase)
    if known is None:
        phrase = plain(phrase)
        known = _resolved().get(phrase) or _chosen(meanings()[phrase], text[start:end].isupper())
    kind, names, detail, cues = known
    if not kind:
        return None
    token = Token(kind, start, end, names, detail)
    if cues:
        token.cues = cues
    return token


def _in_compound(norm: str, start: int, end: int) -> bool:
    """Whether a short name is only the first part of a longer word or of a unit ("K-Dur", "mg/dL", "K/uL")."""
    if end - start > 2 or norm[end : end + 1] not in ("-", "/"):
        return False
    return norm[end + 1 : end + 2].isalpha() if norm[end] == "-" else _RATIO.match(norm, start) is not None


def _ends(norm: str, text: str, at: int, mark: str) -> bool:
    """Whether this mark ends a sentence; not after an initial ("C. difficile"), nor at a line wrapped mid-sentence."""
    if mark == "\n":
        rest = text[at + 1 : at + 4].lstrip(" ")
        before = norm[max(0, at - 1) : at]
        return not (rest[:1].islower() and before not in ".:;!?" and rest[:1].isalpha())
    if mark == "." and at >= 2 and norm[at - 1].isalpha() and not norm[at - 2].isalnum():
        # "C. difficile", "E. coli" - but "37 C." and "45 U/L." end a sentence
        following = norm[at + 1 : at + 3].strip()
        return not (
            norm[at - 2] in " \n("
            and following.isalpha()
            and not norm[max(0, at - 4) : at - 2].strip().isdigit()
            and text[at - 1].isupper()
            and text[at + 2 : at + 3].islower()
        )
    return not (mark == "." and norm[max(0, at - 3) : at] in (" vs", "rox", " dr", "i.e", "e.g", "ncl"))
