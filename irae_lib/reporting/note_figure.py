"""Draw a note as a figure: findings marked by status, with the raises of the rules below."""

from __future__ import annotations

import re
import textwrap

from ..safety.reviews import Review
from .figures import BLUE
from .note_html import marked

_MARKS = {"current": "#cfe8f7", "negated": "#eeeeee", "other": "#fbeed2"}
_LEGEND = {"current": "current", "negated": "negated", "other": "past, family, planned, possible"}


def note_figure(result: Review, text: str, title: str):
    """Current findings are shaded blue, negated ones struck through; past, planned or family findings are dotted."""
    import matplotlib.pyplot as plt

    raises: dict[tuple[str, str, str], list[str]] = {}
    for c in result.corrections:
        what = "irAE" if c.field == "irae_detected" else c.after.split(", ")[-1]
        raises.setdefault((c.rule, c.reason, c.source), []).append(what)
    said = [f"{rule} raises {', '.join(to)}: {reason} ({source})" for (rule, reason, source), to in raises.items()]
    lines = [part for line in said for part in textwrap.wrap(line, _COLUMNS, subsequent_indent="    ")]
    spots = list(_spots(text, result))
    rows = spots[-1][0] + 4 + len(lines)
    figure = plt.figure(figsize=(7.5, 0.21 * (rows + 1)), dpi=110)
    axes = figure.add_axes((0.01, 0, 0.98, rows / (rows + 1)))  # explicit: letters and columns must keep their ratio
    axes.set(xlim=(0, _COLUMNS), ylim=(rows - 0.5, -0.5), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=11, loc="left", pad=7)
    for spot in spots:
        _mark(axes, *spot)
    column = 0
    for look, name in _LEGEND.items():
        _mark(axes, rows - len(lines) - 2, column, name, look)
        column += len(name) + 3
    for row, line in enumerate(lines, start=rows - len(lines)):
        axes.text(0, row, line, family="monospace", fontsize=_TYPE, va="center", color=BLUE)
    return figure


_COLUMNS, _TYPE = 94, 9.2  # monospaced characters per line; font size in points


def _spots(text: str, result: Review):
    """(row, column, piece, look) of a note wrapped at whole words."""
    row = column = 0
    for piece, looks, *_ in marked(text, result.findings):
        look = next((one for one in looks if one in _MARKS), "")
        for number, line in enumerate(piece.split("\n")):
            if number:
                row, column = row + 1, 0
            for word in re.findall(r"\s+|\S+", line):
                if column + len(word) > _COLUMNS and not word.isspace():
                    row, column = row + 1, 0
                yield row, column, word, look
                column += len(word)
    yield row, column, "", ""


def _mark(axes, row: float, column: float, piece: str, look: str) -> None:
    width = len(piece)
    if look:
        axes.broken_barh([(column, width)], (row - 0.45, 0.9), color=_MARKS[look], linewidth=0)
    if look == "negated":
        axes.plot([column, column + width], [row, row], color="#595959", linewidth=0.9)
    if look == "other":
        axes.plot([column, column + width], [row + 0.42] * 2, color="#7a4d00", linewidth=1.2, linestyle=":")
    axes.text(column, row, piece, family="monospace", fontsize=_TYPE, va="center")
