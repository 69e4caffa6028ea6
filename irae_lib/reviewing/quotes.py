"""The quotes that support a verdict: spans of the note whose edges move by words, so a quote is always verbatim."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ipywidgets as w

from ..schemas import MAX_QUOTE
from .form import LABEL, indented

MOST = 6  # quotes of an assessment
_Span = tuple[int, int]


class Quotes:
    """Spans of one note, one of them chosen (`at`); every change returns "" or the reason why it was refused."""

    def __init__(self, text: str, spans: Iterable[_Span] = ()):
        self.text, self.at = text, 0
        self.spans = [span for span in dict.fromkeys(spans) if 0 < span[1] - span[0] <= MAX_QUOTE][:MOST]
        self._words = [match.span() for match in re.finditer(r"\S+", text)]

    @property
    def texts(self) -> tuple[str, ...]:
        """The quotes, word for word as in the note."""
        return tuple(self.text[start:end] for start, end in self.spans)

    def choose(self, at: int) -> str:
        """Choose a quote by its position; past the last one, the first."""
        self.at = at % len(self.spans) if self.spans else 0
        return ""

    def move_start(self, by: int) -> str:
        """Move the start of the chosen quote by one word: -1 earlier (longer), +1 later (shorter)."""
        if not self.spans:
            return "there is no quote to move"
        start, end = self.spans[self.at]
        if by < 0:
            return self._set(max((s for s, _ in self._words if s < start), default=start), end)
        return self._set(min((s for s, _ in self._words if start < s < end), default=start), end)

    def move_end(self, by: int) -> str:
        """Move the end of the chosen quote by one word: +1 later (longer), -1 earlier (shorter)."""
        if not self.spans:
            return "there is no quote to move"
        start, end = self.spans[self.at]
        if by > 0:
            return self._set(start, min((e for _, e in self._words if e > end), default=end))
        return self._set(start, max((e for _, e in self._words if start < e < end), default=end))

    def add(self, quote: str) -> str:
        """Add a quote that the note contains word for word, and choose it."""
        start = self.text.find(quote.strip()) if quote.strip() else -1
        if start < 0:
            return "this quote is not in the note word for word; copy it from the note"
        span = (start, start + len(quote.strip()))
        if len(self.spans) == MOST or span[1] - span[0] > MAX_QUOTE:
            return f"a verdict has at most {MOST} quotes of at most {MAX_QUOTE} characters"
        self.spans = [*(other for other in self.spans if other != span), span]
        return self.choose(len(self.spans) - 1)

    def remove(self) -> str:
        """Remove the chosen quote."""
        if not self.spans:
            return "there is no quote to remove"
        self.spans = [span for i, span in enumerate(self.spans) if i != self.at]
        return self.choose(min(self.at, max(0, len(self.spans) - 1)))

    def around(self, reach: int = 60) -> tuple[str, str, str]:
        """The chosen quote with `reach` characters of the note before and after it."""
        start, end = self.spans[self.at] if self.spans else (0, 0)
        return self.text[max(0, start - reach) : start], self.text[start:end], self.text[end : end + reach]

    def _set(self, start: int, end: int) -> str:
        if (start, end) == self.spans[self.at]:
            return "the quote does not move further in this direction"
        if end - start > MAX_QUOTE:
            return f"a quote has at most {MAX_QUOTE} characters"
        self.spans = [(start, end) if i == self.at else span for i, span in enumerate(self.spans)]
        return ""


_ACTIONS = {  # key: what the button says, and the change
    "[": ("start earlier", lambda quotes: quotes.move_start(-1)),
    "{": ("start later", lambda quotes: quotes.move_start(1)),
    "}": ("end earlier", lambda quotes: quotes.move_end(-1)),
    "]": ("end later", lambda quotes: quotes.move_end(1)),
    "x": ("remove", lambda quotes: quotes.remove()),
}


class QuoteEditor:
    """Widgets for the quotes of a verdict: choose one, move its edges, remove it, or add one copied from the note.

    Args:
        changed: called after each change, with the spans before it. say: shows an error to the reviewer.
    """

    def __init__(self, changed: Callable[[list[_Span]], None], say: Callable[[str], None]):
        self._changed, self._say, self._quiet = changed, say, False
        fixed = w.Layout(width="auto", flex="0 0 auto")
        self.quotes = Quotes("")
        self.picker = w.Dropdown(description="quotes · q", style=LABEL, layout=w.Layout(width="700px"))
        self.buttons = {
            key: w.Button(description=f"{name} · {key}", layout=fixed) for key, (name, _) in _ACTIONS.items()
        }
        self.new = w.Text(
            description="add a quote", placeholder="copied from the note", style=LABEL, layout=w.Layout(width="700px")
        )
        self.new.continuous_update = False
        self._context = indented(w.HTML())
        self.keys = {key: lambda change=change: self.change(change) for key, (_, change) in _ACTIONS.items()}
        self.keys["q"] = self.next
        for key, button in self.buttons.items():
            button.on_click(lambda _, action=self.keys[key]: action())
        self.picker.observe(self._picked, names="value")
        self.new.observe(self._pasted, names="value")
        buttons = indented(w.HBox(list(self.buttons.values()), layout=w.Layout(flex_flow="row wrap")))
        self.rows = [self.picker, self._context, buttons, self.new]

    def fill(self, text: str, spans: Iterable[_Span]) -> None:
        """Show the quotes of a note."""
        self.quotes = Quotes(text, spans)
        self._show()

    def change(self, change: Callable[[Quotes], str]) -> None:
        """Apply a change to the quotes, or say why not."""
        before = list(self.quotes.spans)
        if problem := change(self.quotes):
            self._say(problem)
            return
        self._show()
        self._changed(before)

    def next(self) -> None:
        """Choose the next quote."""
        self.quotes.choose(self.quotes.at + 1)
        self._show()

    def _picked(self, change: Mapping[str, Any]) -> None:
        if change["new"] is not None and not self._quiet:
            self.quotes.choose(change["new"])
            self._show()

    def _pasted(self, change: Mapping[str, Any]) -> None:
        if change["new"].strip():
            self.change(lambda quotes: quotes.add(change["new"]))
            self.new.value = ""

    def _show(self) -> None:
        self._quiet = True
        texts = self.quotes.texts
        self.picker.options = [(f"{i}: {' '.join(text.split())[:60]}", i - 1) for i, text in enumerate(texts, start=1)]
        self.picker.value = self.quotes.at if texts else None
        self._quiet = False
        before, quote, after = map(html.escape, self.quotes.around())
        shown = f"… {before}<mark>{quote}</mark>{after} …" if quote else "No quotes yet: add one, or none is saved."
        self._context.value = f'<div class="irae-line">{shown}</div>'
