"""The view of a note that the reader works on, with a map back to the original note.

`View.of` decodes HTML and typed escapes, drops invisible characters, joins hard-wrapped lines, unifies numbers ("fifty
five percent" is "55 percent", "1'250" is "1250") and corrects typing slips. `View.span` maps a span of the view back to
the original text.
"""

from __future__ import annotations

import bisect
import functools
import html
import re
import unicodedata
from collections.abc import Callable

from . import spelling
from .written_numbers import WORDING, may_be_worded, wording

_SINGLE = {
    **dict.fromkeys("–—−‐‑‒", "-"),
    **dict.fromkeys("\u00a0\u2007\u2009\u200a\u202f\t\r", " "),
    **dict.fromkeys("µμ", "u"),
    **dict.fromkeys("≥＞", ">"),
    **dict.fromkeys("≤＜", "<"),
    **dict.fromkeys("’‘`´", "'"),
    **dict.fromkeys("“”", '"'),
    **dict.fromkeys("éèêë", "e"),
    **dict.fromkeys("öóòô", "o"),
    **dict.fromkeys("üúùû", "u"),
    **dict.fromkeys("áàâä", "a"),
    **dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", "01234567890123456789", strict=True)),
    **dict(zip("０１２３４５６７８９", "0123456789", strict=True)),
    "×": "x",
    "β": "b",
    "ß": "s",
    "→": "¬",
    "⇒": "¬",
    "➔": "¬",
    "↑": "h",
    "▲": "h",
    "⇑": "h",
    "↓": "l",
    "▼": "l",
    "⇓": "l",
    "º": "°",
    "，": ",",
    "．": ".",
    "：": ":",
    "‹": "<",
}
_TABLE = str.maketrans(_SINGLE)


def normalise(text: str) -> str:
    """The text in lower case with look-alike characters unified, character for character (same length)."""
    lower = text.lower()
    if len(lower) != len(text):  # a few capitals become two characters; these stay as they are
        lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return lower.translate(_TABLE)


class View:
    """A readable form of a note: `text`, and the origin of each of its characters."""

    __slots__ = ("_layers", "text")

    def __init__(self, text: str):
        self.text = text
        self._layers: list[tuple[list[int], list[tuple[int, int, bool]]]] = []

    @classmethod
    def of(cls, text: str) -> View:
        """The view of a note."""
        view = cls(text)
        if "<" in text or "&" in text or "\\" in text:
            view.replace(_MARKUP, _Decoder())
        if not text.isascii() or not view.text.isascii():
            view.replace(_special_characters(), _character)
        view.text = view.text.translate(_BREAKS)
        if ".." in view.text or "___" in view.text:
            view.text = _LEADERS.sub(lambda match: ":".ljust(len(match.group())), view.text)
        if may_be_worded(view.text):
            view.replace(WORDING, wording)
        view.replace(spelling.WORD, spelling.corrected)
        view.text = _unwrapped(view.text)
        return view

    def replace(self, pattern: re.Pattern[str], replacement: Callable[[re.Match[str]], str | None]) -> None:
        """Replace every match and record the origin of the new characters; None leaves a match unchanged."""
        pieces: list[str] = []
        starts: list[int] = []
        origins: list[tuple[int, int, bool]] = []
        old = new = 0
        for match in pattern.finditer(self.text):
            written = replacement(match)
            if written is None:
                continue
            start, end = match.span()
            for piece, origin in ((self.text[old:start], (old, start, True)), (written, (start, end, False))):
                if piece:
                    pieces.append(piece)
                    starts.append(new)
                    origins.append(origin)
                    new += len(piece)
            old = end
        if not old:
            return
        if old < len(self.text):
            pieces.append(self.text[old:])
            starts.append(new)
            origins.append((old, len(self.text), True))
        self.text = "".join(pieces)
        self._layers.append((starts, origins))

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original text behind a span of the view."""
        for starts, origins in reversed(self._layers):
            at = bisect.bisect_right(starts, start) - 1
            first, last, exact = origins[at]
            before = start - starts[at]
            at = bisect.bisect_right(starts, max(start, end - 1)) - 1
            start = first + before if exact else first
            first, last, exact = origins[at]
            end = first + end - starts[at] if exact else last
        return start, end


# --- markup: tags, entities, typed escapes ------------------------------------------------------------------

_INLINE_TAGS = "a abbr b big code content em font i ins mark o:p s small span strong sub sup tt u"
_INLINE = frozenset(_INLINE_TAGS.split())
_CELLS = frozenset(("td", "th"))
_BLOCK_TAGS = (
    "address article aside blockquote body br caption center dd div dl dt fieldset footer form h1 h2 h3 h4 h5 h6 head "
    "header hr html list main ol p paragraph pre section table tbody text tfoot thead title tr ul"
)
_BLOCKS = frozenset(_BLOCK_TAGS.split())
_ITEMS = frozenset(("li", "item"))
_KNOWN = _INLINE | _CELLS | _BLOCKS | _ITEMS | {"col", "colgroup", "img", "input", "label", "option", "select"}
_ATTRIBUTES = r"(?:\s+[\w:.-]+(?:\s*=\s*(?:\"[^\"<]{0,2000}\"|'[^'<]{0,2000}'|[^\s\"'<>&]{1,200}))?){0,40}"
_MARKUP = re.compile(
    r"<!--(?:[^<]|<(?!!--)){0,20000}?-->|<!\[CDATA\[|<[!?][^<>]{0,2000}>"
    r"|<(?P<silent>script|style)\b[^<>]{0,500}>(?:[^<]|<(?!script|style)){0,20000}?</(?P=silent)\s*>"
    rf"|(?:<|&lt;)(?P<close>/?)(?P<tag>[A-Za-z][\w:.-]{{0,40}})(?P<attributes>{_ATTRIBUTES})\s*(?P<alone>/?)(?:>|&gt;)"
    r"|&(?:amp;){0,2}(?:[A-Za-z]{2,8}|#\d{1,6}|#[xX][0-9A-Fa-f]{1,5});"
    r"|\\\.br\\|\\r\\n|\\(?:par|line|tab)(?![a-z])|\\u[0-9A-Fa-f]{4}|\\[nrt\"]"
    r"|\n\s*"
)


class _Decoder:
    """Decode a tag, entity or escape; line breaks inside a table become spaces."""

    def __init__(self) -> None:
        self._in_table = False

    def __call__(self, match: re.Match[str]) -> str | None:
        written = match.group()
        first = written[0]
        if match["tag"]:
            return self._tag(match)
        if first == "&":
            return html.unescape(html.unescape(written.replace("&amp;", "&")))
        if first == "\\":
            return _escape(written)
        if first == "<":
            return "" if written == "<![CDATA[" else " "
        return " " if self._in_table else None  # a line break

    def _tag(self, match: re.Match[str]) -> str | None:
        name, attributes = match["tag"].lower(), match["attributes"]
        if name not in _KNOWN and "=" not in attributes and not match["close"] and not match["alone"]:
            return None  # "<uln", "<redacted>": not markup
        if name in ("table", "tr"):
            self._in_table = name == "tr" or not match["close"]
        if name == "input":
            return "[x] " if "checked" in attributes.lower().replace('="checkbox"', "") else "[ ] "
        if name in _CELLS:
            return "\t" if match["close"] else ""
        if name in _ITEMS:
            return "" if match["close"] else "\n- "
        if name in _BLOCKS:
            return " " if self._in_table and name not in ("tr", "table") else "\n"
        return "" if name in _INLINE else " "


def _escape(written: str) -> str:
    if written.startswith("\\u"):
        return chr(int(written[2:], 16))
    if written in ("\\t", "\\tab"):
        return "\t"
    return '"' if written == '\\"' else "\n"


def readable(text: str) -> str:
    """The text with tags, entities and escapes decoded in place, character for character (same length)."""
    if "<" not in text and "&" not in text and "\\" not in text:
        return text
    decode = _Decoder()

    def fill(match: re.Match[str]) -> str:
        written, length = decode(match), len(match.group())
        return match.group() if written is None else written.ljust(length)[:length]

    return _MARKUP.sub(fill, text)


# --- characters ---------------------------------------------------------------------------------------------

_LEADERS = re.compile(  # "Diarrhea ........ No", "Trop T .. 95"
    r"(?<=[\w)])(?:[ ]?(?:\.{4,}|_{4,})(?=[ \w])| \.{2,3}(?= ?\d))"
)
_BREAKS = str.maketrans(dict.fromkeys("\x0b\x0c\x85\u2028\u2029", "\n"))
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\ufe0e\ufe0f" + "".join(
    chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0x0300, 0x0370))
)
_UNTICKED, _TICKED = "☐□▢◻⬜❏❑", "☑☒✓✔✅🗹🗸"
_FRACTIONS = "¼½¾" + "".join(chr(code) for code in range(0x2150, 0x215F))


@functools.cache
def _special_characters() -> re.Pattern[str]:
    compatible = "".join(
        chr(code)
        for code in (
            *range(0xFB00, 0xFB07),
            *range(0x2100, 0x214A),
            *range(0x3371, 0x33E0),
            0x2026,
            *range(0xFF21, 0xFF5B),
        )
        if unicodedata.normalize("NFKC", chr(code)) != chr(code)
    )
    return re.compile(rf" ?[{_FRACTIONS}]|[{_INVISIBLE}{_UNTICKED}{_TICKED}⁄∕{compatible}]")


def _character(match: re.Match[str]) -> str:
    character = match.group()[-1]
    if character in _INVISIBLE:
        return ""
    if character in _UNTICKED:
        return "[ ]"
    if character in _TICKED:
        return "[x]"
    if character in "⁄∕":
        return "/"
    if character in _FRACTIONS:
        part = f"{unicodedata.numeric(character):.3g}"
        if match.start() and match.string[match.start() - 1].isdigit():
            return part.removeprefix("0")  # "1 1/2" in one character after a digit: 1.5
        return " " * (len(match.group()) - 1) + part
    return unicodedata.normalize("NFKC", character)


# --- hard-wrapped lines -------------------------------------------------------------------------------------

_NARROWEST, _WIDEST = 55, 130  # line widths typical of automatic wrapping
_OPEN_END = re.compile(
    r"(?:\b(?:a|an|the|of|with|and|or|to|in|on|for|at|by|from|was|is|are|were|has|had|no|not|without|his|her|their|"
    r"which|that|but|as|than|per|after|before|since|grade|about|up)|[,(/])\s*$",
    re.I,
)
_CELLS_IN_LINE = re.compile(r"\S {3,}\S|\|")
_OWN_LINE = re.compile(r"\s*(?:[-*•·>|#\[(]|\d{1,2}[.)]\s|[A-Za-z][^:.\n]{0,40}:|$)|.*(?:\t|\||\S {3,}\S)")


def _unwrapped(text: str) -> str:
    """The text with line breaks inside a hard-wrapped paragraph turned into spaces, character for character."""
    if "\n" not in text:
        return text
    lines = text.split("\n")
    widths = [len(line.rstrip()) for line in lines]
    if not any(_NARROWEST <= width <= _WIDEST for width in widths):
        return text
    joined = [lines[0]]
    first = 0
    for i in range(1, len(lines)):
        if not widths[i - 1]:
            first = i
        joined.append(" " if _continues(lines, widths, first, i) else "\n")
        joined.append(lines[i])
    return "".join(joined)


def _continues(lines: list[str], widths: list[int], first: int, i: int) -> bool:
    """Whether line `i` begins only because line `i - 1` was full."""
    width = widths[i - 1]
    if not _NARROWEST <= width <= _WIDEST or not widths[i] or _OWN_LINE.match(lines[i]) or "\t" in lines[i - 1]:
        return False
    before = lines[i - 1].rstrip()
    if before[-1] in ".:;!?|" or _CELLS_IN_LINE.search(before):
        return False
    if _OPEN_END.search(before):
        return True
    full = max(widths[max(first, i - 4) : i + 4])
    word = len(lines[i].split(maxsplit=1)[0])
    return i - first >= 2 and full <= _WIDEST and width + 1 + word > full
