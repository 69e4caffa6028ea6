"""The widgets of the review panel and how they are arranged; what they do is in `panel`."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

import ipywidgets as w

from ..files import DATA
from .form import LABEL, Form, indented, toggles
from .key_line import KeyLine
from .quotes import QuoteEditor

_WRAPPED = {"flex_flow": "row wrap", "align_items": "center"}
_HELP = (
    "Each key acts at once; put a space after a letter. Enter empties the line. After a refused <b>a</b> nothing more "
    "is done until Enter. In the view, click a quote to see it in the note, and click it there to come back."
)


def line(text: str, look: str = "") -> str:
    """A line of text as HTML; `look` is good, bad or soft."""
    return f'<div class="irae-line {look}">{html.escape(text)}</div>' if text else ""


class Frame:
    """All widgets of the panel: the paste box on top, then the case, its view, the form and the keys."""

    def __init__(self, arms: Sequence[str], form: Form, quotes: QuoteEditor, keys: KeyLine):
        fixed, full = w.Layout(width="auto", flex="0 0 auto"), w.Layout(width="auto")
        self.paste = w.Textarea(
            description="note",
            placeholder="Paste a synthetic or de-identified note here, or choose a case below.",
            rows=3,
            style=LABEL,
            layout=full,
        )
        self.read = indented(
            w.Button(description="Read the pasted note", layout=w.Layout(width="auto", align_self="flex-start"))
        )
        self.picker = w.Dropdown(description="case", style=LABEL, layout=w.Layout(width="400px"))
        self.filter = toggles({"all": "all", "open": "open", "done": "done"}, "show")
        self.filter.value = "all"
        self.bar = w.IntProgress(min=0, layout=w.Layout(width="120px"))
        self.count = w.HTML()
        self.arm = toggles({name: name for name in arms}, "answer of")
        self.arm.value = arms[0]
        self.exposed = w.Checkbox(
            value=True, indent=False, layout=fixed, description="on or after a checkpoint inhibitor"
        )
        self.asking = w.HTML()
        self.cancel = w.Button(description="Cancel", layout=w.Layout(width="auto", flex="0 0 auto", display="none"))
        self.status, self.view, self.message = w.HTML(), w.HTML(), w.HTML()
        labels = {"a": "Accept and go on", "z": "Undo", "p": "Back", "n": "Next"}
        self.buttons = {
            key: w.Button(description=f"{name} · {key}", layout=fixed, button_style="primary" if key == "a" else "")
            for key, name in labels.items()
        }
        style = f"<style>\n{(DATA / 'page' / 'panel.css').read_text(encoding='utf-8')}</style>"
        rows = [
            *(self.paste, self.read),
            w.HBox([self.picker, self.filter, self.bar, self.count], layout=w.Layout(**_WRAPPED)),
            *(self.arm, indented(w.HBox([self.exposed, self.asking, self.cancel], layout=w.Layout(**_WRAPPED)))),
            *(self.status, self.view, *form.rows),
            *(indented(w.HBox(list(self.buttons.values()), layout=w.Layout(**_WRAPPED))), indented(self.message)),
            *(keys.widget, indented(w.HTML(f'<div class="irae-line soft">{_HELP}</div>'))),
            *(*quotes.rows, w.HTML(style)),
        ]
        self.box = w.VBox(rows)
        self.box.add_class("irae-panel")

    def show_asking(self, name: str) -> None:
        """Say that a model is reading and offer *Cancel*; "" hides both."""
        self.asking.value = line(f"{name} is reading ...", "soft") if name else ""
        self.cancel.layout.display = "" if name else "none"

    def show_status(self, lines: Iterable[str]) -> None:
        """What to know about the case in view."""
        self.status.value = "".join(line(text, "bad") for text in lines)

    def show_progress(self, done: int, total: int, file: str) -> None:
        """How many cases have a verdict, and where the verdicts are."""
        self.bar.max, self.bar.value = total, done
        self.count.value = line(f"{done} of {total} reviewed, kept in {file}", "soft")

    def say(self, text: str, bad: bool = False) -> None:
        """Show the outcome of the last action until the next one."""
        self.message.value = line(text, "bad" if bad else "good")
