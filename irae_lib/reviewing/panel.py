"""Review cases with mouse or keyboard: note and answer side by side, each field accepted or changed.

The panel uses only widgets common to ipywidgets 7.7 (Colab) and 8; callbacks set HTML and never print. Every click is a
method that a test or a cell can call. The panel is independent of models: an arm is None for the rules alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import IraeError, SchemaError
from ..evaluation.calibration import Calibration, judged
from ..model.answers import Answer
from ..reporting.note_html import case_html
from ..safety.exposure import assumed
from ..safety.floors import review
from ..safety.reader import read
from ..safety.reviews import Review
from ..schemas import FIELDS, Case
from . import verdicts
from .arms import Arm, Asker
from .form import LONGEST_COMMENT, Form
from .key_line import KeyLine
from .layout import Frame
from .opening import ToReview
from .quotes import QuoteEditor


class ReviewPanel:
    """Cases, arms that answer them, and a folder for the verdicts of one reviewer.

    Args:
        cases: what to review; labels are hidden from the reviewer.
        arms: by name; None is the rules alone.
        folder: holds `<reviewer>.jsonl`; saved verdicts are shown again.
        fitted: the calibration of an arm, by its name.
    """

    def __init__(
        self,
        cases: Sequence[ToReview],
        arms: Mapping[str, Arm | None],
        *,
        folder: Path,
        reviewer: str,
        fitted: Mapping[str, Calibration | None] | None = None,
    ):
        self.cases = {item.case.id: item for item in cases}
        self.names = {name: name for name in self.cases}  # as shown
        self.arms, self.fitted = dict(arms), dict(fitted or {})
        self.path = verdicts.verdict_file(folder, reviewer)
        self.done = verdicts.read_verdicts(self.path)
        self._history: list[tuple[str, dict[str, Any]]] = []  # what undo restores: the case and its form, oldest first
        self.asker = Asker(self.arms, self._arrived)
        self.form, self.quotes = Form(self._field_changed), QuoteEditor(self._quotes_changed, self._refuse)
        moves = {"a": self.accept, "n": lambda: self.step(1), "p": lambda: self.step(-1), "z": self.undo}
        self.keys = KeyLine(moves | self.quotes.keys | self.form.keys, self._refuse)
        self.frame = Frame(list(self.arms), self.form, self.quotes, self.keys)
        self._wire()
        self._list(next(iter(self.cases)))

    # --- actions of the reviewer ---

    @property
    def case(self) -> Case:
        """The case in view."""
        return self.cases[self.frame.picker.value].case

    def show(self):
        """The panel, to be the last value of a cell."""
        return self.frame.box

    def step(self, by: int) -> None:
        """Go to the next (+1) or previous (-1) case of the list; stop at the ends."""
        names = [name for _, name in self.frame.picker.options]
        self.frame.picker.value = names[min(len(names) - 1, max(0, names.index(self.case.id) + by))]

    def read_note(self, text: str) -> None:
        """Take a pasted note as a case and show it, named by its first words."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        if not text.strip():
            self._refuse("The note is empty: paste one first.")
            return
        try:
            case = Case(id=f"pasted-{digest[:10]}", text=text)
        except ValueError:
            self._refuse("The note is longer than 2,000,000 characters: paste one note at a time.")
            return
        self.cases.setdefault(case.id, ToReview(case))
        self.names[case.id] = f"{' '.join(text.split())[:24].rstrip()} · {digest[:4]}"
        self.frame.say("")
        self._list(case.id)

    def accept(self) -> bool:
        """Save the verdict and go to the next open case; or stay, show the reason, and return False."""
        name, item, before = self.case.id, self.cases[self.case.id], self._state()
        try:
            if problem := self._incomplete():
                raise SchemaError(problem)
            basis = self._review().final.model_copy(update={"evidence": self.quotes.quotes.texts})
            verdict = verdicts.verdict(item.case, self.form.assessment(basis), kind=item.kind)
            verdicts.save_verdict(self.path, verdict)
        except (SchemaError, OSError) as error:
            why = str(error) if isinstance(error, SchemaError) else f"{self.path.name} not written: {error.strerror}"
            return self._refuse(f"{self.names[name]} not accepted: {why}.")
        self._history.append((name, before | {"verdict": self.done.get(name)}))
        self.done[name] = verdict
        self.frame.say(f"{self.names[name]} saved to {self.path.name}")
        self._list(self._next_open(name))
        return True

    def undo(self) -> None:
        """Take back the last change of this case, or the last *Accept*, and show that case as it was."""
        if not self._history:
            self._refuse("There is nothing to undo.")
            return
        name, state = self._history.pop()
        if "verdict" in state:
            verdicts.restore_verdict(self.path, name, state["verdict"])
            self.done = verdicts.read_verdicts(self.path)
            self._list(name)
        self.form.restore(state)
        self.quotes.fill(self.case.text, state["spans"])
        self.frame.say(f"{self.names[name]}: the last {'verdict' if 'verdict' in state else 'change'} was taken back")

    def cancel(self) -> None:
        """Stop the model that is reading, and show the rules alone."""
        if not self.asker.reading:
            self._refuse("No model is reading.")
            return
        self.asker.stop()
        self.frame.say("Cancelled: the rules' answer is shown. Choose the model again to ask it.")
        self.frame.arm.value = next(name for name, arm in self.arms.items() if arm is None)

    def type(self, line: str) -> None:
        """Apply a line of keys, as shown on the labels; stop at the first unknown key or refused *Accept*."""
        self.keys.type(line)

    def wait(self, seconds: float = 60) -> None:
        """Wait until the model that is reading has answered, for a test or a cell."""
        self.asker.wait(seconds)

    # --- view ---

    def _wire(self) -> None:
        frame = self.frame
        for widget in (frame.picker, frame.arm, frame.exposed):
            widget.observe(self._chosen, names="value")
        frame.filter.observe(lambda _: self._list(self.case.id), names="value")
        clicks = {frame.read: lambda: self.read_note(frame.paste.value), frame.cancel: self.cancel}
        clicks |= {button: self.keys.keys[key] for key, button in frame.buttons.items()}
        for button, action in clicks.items():
            button.on_click(lambda _, action=action: action())

    def _chosen(self, change: Mapping[str, Any]) -> None:
        if not self._listing:
            self._show()

    _listing = False  # whether the list of cases is being filled, which selects cases that must not be shown

    def _list(self, name: str) -> None:
        """Fill the list of cases by the filter and show one of them, which stays in the list whatever its status."""
        wanted = {"open": False, "done": True}.get(self.frame.filter.value)
        shown = [one for one in self.cases if wanted is None or (one in self.done) is wanted or one == name]
        self._listing = True
        self.frame.picker.options = [
            (f"{self.names[one]} \N{CHECK MARK}" if one in self.done else self.names[one], one) for one in shown
        ]
        self.frame.picker.value = name
        self._listing = False
        self._show()

    def _show(self) -> None:
        """Show the case in view with the chosen arm, which is asked if it has not answered yet."""
        self._history = [entry for entry in self._history if "verdict" in entry[1]]
        self.asker.ask(self.case, self.frame.arm.value)
        self._render()

    def _arrived(self) -> None:
        chosen = any("verdict" not in state for _, state in self._history)
        self._render(fill=not chosen)
        if chosen:
            self.frame.say("The model has answered; what you chose stays.")

    def _render(self, fill: bool = True) -> None:
        name, result = self.frame.arm.value, self._review()
        given = self.asker.get(self.case, name)
        answer = given if isinstance(given, Answer) else None
        confidence, abstains = judged(self.fitted.get(name), answer) if answer else ({}, False)
        sure = "sure, calibrated" if self.fitted.get(name) else "sure, not calibrated"
        view = {"confidence": confidence, "sure": sure, "note_first": True, "anchors": True, "prefix": "panel-"}
        self.frame.view.value = case_html(self.case.text, result, answer, **view)
        self.frame.show_asking(name if self.asker.reading else "")
        blank = () if self.case.id in self.done else self._blank(result)
        lines = [self.cases[self.case.id].why, _failure(name, given)]
        lines += ["the model is not sure of this answer"] if abstains else []
        lines += ["your verdict from before is filled in"] if self.case.id in self.done else []
        self.frame.show_status([*lines, *_to_choose(blank)])
        self.frame.show_progress(sum(one in self.done for one in self.cases), len(self.cases), self.path.name)
        if fill:
            self._fill(result, blank)

    def _fill(self, result: Review, blank: Sequence[str]) -> None:
        verdict, text = self.done.get(self.case.id), self.case.text
        if verdict:
            self.form.fill(verdict.expected, comment=verdict.expected.reasoning)
            spans = [(at := text.find(quote), at + len(quote)) for quote in verdict.expected.evidence]
        else:
            self.form.fill(result.final, blank=blank)
            spans = [(one.start, one.end) for one in (*result.evidence, *result.corrections) if one.start is not None]
        self.quotes.fill(text, spans)

    def _blank(self, result: Review) -> Sequence[str]:
        """The fields that nobody judged: all in a note that was not assessed, causality where the rules were alone."""
        if self.asker.reading or not result.assessed or not self.cases[self.case.id].assessed:
            return FIELDS
        return ("likelihood",) if result.proposed is None else ()

    def _review(self) -> Review:
        """The shown answer under the rules, or the rules alone."""
        answer = self.asker.get(self.case, self.frame.arm.value)
        exposed = assumed(read(self.case), self.case.text, self.frame.exposed.value)
        return review(self.case, answer.assessment if isinstance(answer, Answer) else None, exposed)

    # --- changes and messages ---

    def _incomplete(self) -> str:
        if missing := self.form.missing:
            return f"choose {', '.join(missing)}"
        length = len(self.form.comment.value.strip())
        return f"the comment has {length} characters, at most {LONGEST_COMMENT}" if length > LONGEST_COMMENT else ""

    def _next_open(self, name: str) -> str:
        """The next case without a verdict, after `name` or else from the beginning; `name` if all have one."""
        names = list(self.cases)
        at = names.index(name)
        return next((one for one in names[at + 1 :] + names[:at] if one not in self.done), name)

    def _state(self) -> dict[str, Any]:
        return self.form.state() | {"spans": list(self.quotes.quotes.spans)}

    def _field_changed(self, before: dict[str, Any]) -> None:
        self._history.append((self.case.id, before | {"spans": list(self.quotes.quotes.spans)}))
        self.frame.say("")

    def _quotes_changed(self, before: list[tuple[int, int]]) -> None:
        self._history.append((self.case.id, self.form.state() | {"spans": before}))
        self.frame.say("")

    def _refuse(self, why: str) -> bool:
        self.frame.say(why, bad=True)
        return False


def _failure(name: str, given: Answer | Exception | None) -> str:
    """Why an arm gave no answer; only the library's own errors are quoted, since any other may hold note text."""
    if not isinstance(given, Exception):
        return ""
    reason = f": {given}" if isinstance(given, IraeError) else f" ({type(given).__name__})"
    return f"{name} could not answer{reason}; the rules' answer is shown"


def _to_choose(blank: Sequence[str]) -> list[str]:
    if len(blank) > 1:
        return ["nothing is chosen below, because nobody has assessed this note: choose every field"]
    return ["the rules do not judge causality: choose it"] if blank else []
