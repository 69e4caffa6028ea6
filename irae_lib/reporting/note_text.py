"""Render a case as text for a terminal: the verdict, every raise, the five fields, and the note with marked findings.

Without color, signs mark the findings. Control characters of a note are replaced, so that it cannot act on the terminal.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

from ..safety.reviews import Review
from ..schemas import FIELD_NAMES
from .note_html import Piece, marked
from .verdict import final_labels, raises, verdict

WIDTH = 100  # characters
_SIGNS = {"current": "[]", "negated": "{}", "other": "<>"}
_STYLES = {"current": "1;4", "negated": "9;2", "other": "2;3"}  # bold underlined, struck through, dim italic
_LEVELS = {"emergency": "97;41", "urgent": "97;45", "soon": "30;43", "routine": "97;42", "unread": "30;47"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_MEANING = {"current": "current", "negated": "negated", "other": "past, family, planned or possible"}


def case_text(text: str, result: Review, *, color: bool = False) -> str:
    """The review of a note, 100 characters wide except for the note; `color` adds the codes of ANSI terminals."""
    level, title, detail = verdict(result)
    title = title.upper() if not color else _code(_LEVELS[level], f" {title.upper()} ")
    parts = [[title, *_wrapped(detail)], [*_reasons(result)], [*_fields(result)], [*_advice(result)]]
    parts.append([f"Note ({_legend(color)})", *_note(text, result, color)])
    return "\n\n".join("\n".join(part) for part in parts if part)


def _reasons(result: Review) -> Iterator[str]:
    for one in raises(result):
        yield from _wrapped(f"{one.first.reason} ({one.first.rule}, {one.first.source})", "- ")
        yield from _wrapped(f"{', '.join(one.changes)}", "    ")
        if one.first.quote:
            yield from _wrapped(f'"{_safe(one.first.quote)}"', "    ")


def _fields(result: Review) -> Iterator[str]:
    for name, value in final_labels(result).items():
        yield f"{FIELD_NAMES[name] + ':':<11}{value}"


def _advice(result: Review) -> Iterator[str]:
    for line in result.advisories:
        yield from _wrapped(_safe(line), "* ")


def _note(text: str, result: Review, color: bool) -> list[str]:
    pieces = marked(text, result.findings, (), result.corrections)
    out = []
    for look, group in groupby(pieces, _look):
        words = "".join(_safe(piece.text) for piece in group)
        out.append(_marked(words, look, color) if look else words)
    return "".join(out).strip("\n").split("\n")


def _look(piece: Piece) -> str:
    """The mark of a piece: the quote of a raise is current, whatever else holds it."""
    if "basis" in piece.looks:
        return "current"
    return next((look for look in _SIGNS if look in piece.looks), "")


def _marked(words: str, look: str, color: bool) -> str:
    left, right = _SIGNS[look]
    return _code(_STYLES[look], words) if color else f"{left}{words}{right}"


def _legend(color: bool) -> str:
    return ", ".join(_marked(meaning, look, color) for look, meaning in _MEANING.items())


def _code(style: str, words: str) -> str:
    return f"\x1b[{style}m{words}\x1b[0m"


def _safe(text: str) -> str:
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r", ""))


def _wrapped(text: str, lead: str = "") -> Sequence[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead))
