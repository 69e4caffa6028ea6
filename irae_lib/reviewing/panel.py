"""Review cases with mouse or keyboard: note, answer and raises in view, each field accepted or changed.

The panel uses only widgets common to ipywidgets 7.7 (Colab) and 8; callbacks set HTML and never print. Every click is a
method that a test or a cell can call. The panel is independent of models: an arm is a function from a case to an
answer, or None for the rules alone.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import ipywidgets as w

from ..cases import LabelledCase
from ..errors import SchemaError
from ..evaluation.calibration import Calibration, judged
from ..model.answers import Answer
from ..reporting.note_html import case_html
from ..safety.exposure import assumed
from ..safety.floors import NOTHING, review
from ..safety.reader import read
from ..safety.reviews import Review
from ..schemas import Assessment, Case, Likelihood, Severity, System, Urgency
from . import verdicts

HELP = (
    "Keys, in one line, then Enter: <b>a</b> accept · <b>n</b> next · <b>p</b> back · <b>i</b>/<b>o</b> irAE yes/no · "
    "<b>g0</b>-<b>g4</b> grade · <b>u0</b>-<b>u3</b> urgency · <b>c0</b>-<b>c3</b> causality · "
    "<b>s</b>+letters organ on or off (<b>shep</b> Hepatic). Example: <b>g3 u2 a n</b>. Tab goes to the next field."
)
Arm = Callable[[Case], Answer] | None


class ReviewPanel:
    """Cases, arms that answer them, and a folder for the verdicts of one reviewer.

    Args:
        cases: labeled cases; the labels are hidden from the reviewer.
        arms: by name; None is the rules alone.
        folder: holds `<reviewer>.jsonl`; saved verdicts are shown again.
        fitted: the calibration of an arm, by its name.
    """

    def __init__(
        self,
        cases: Sequence[LabelledCase],
        arms: Mapping[str, Arm],
        *,
        folder: Path,
        reviewer: str,
        fitted: Mapping[str, Calibration | None] | None = None,
    ):
        self.cases = {case.case.id: case for case in cases}
        self.arms, self.fitted = dict(arms), dict(fitted or {})
        self.path = verdicts.verdict_file(folder, reviewer)
        self.done = verdicts.read_verdicts(self.path)
        self._answers: dict[tuple[str, str], Answer | None] = {}
        self._build()
        self._wire()
        self._show()

    # --- actions of the reviewer ---

    @property
    def case(self) -> Case:
        """The case in view."""
        return self.cases[self.picker.value].case

    def step(self, by: int) -> None:
        """Go to the next (+1) or previous (-1) case; stop at the ends."""
        names = list(self.cases)
        self.picker.value = names[min(len(names) - 1, max(0, names.index(self.picker.value) + by))]

    def read_note(self, text: str) -> None:
        """Take a pasted note as a case and show it."""
        if not text.strip():
            self._say("The note is empty: paste one first.", bad=True)
            return
        name = f"pasted-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
        self.cases.setdefault(name, LabelledCase(case=Case(id=name, text=text), expected=NOTHING, kind=""))
        # Setting the options selects the first case, which must not be shown here.
        self.picker.unobserve(self._picked, names="value")
        self.picker.options = list(self.cases)
        self.picker.value = name
        self.picker.observe(self._picked, names="value")
        self._show()

    def accept(self) -> bool:
        """Save the five fields; on failure (contradicting fields, a disk error), show the reason and return False."""
        basis = self._review().final
        assessment = basis.model_copy(
            update={
                "irae_detected": self.irae.value == "yes",
                "affected_systems": tuple(s for s, box in self.organs.items() if box.value),
                "overall_severity": Severity(self.grade.value),
                "urgency": Urgency(self.urgency.value),
                "causality": basis.causality.model_copy(update={"likelihood": Likelihood(self.likelihood.value)}),
                "reasoning": self.comment.value.strip()[:600],
            }
        )
        try:
            verdict = verdicts.verdict(self.case, assessment, kind=self.cases[self.case.id].kind)
            verdicts.save_verdict(self.path, verdict)
        except (SchemaError, OSError) as error:
            self._say(str(error) if isinstance(error, SchemaError) else f"not saved: {error.strerror}", bad=True)
            return False
        self.done[self.case.id] = verdict
        self._progress()
        self._say(f"saved to {self.path.name}")
        return True

    def type(self, line: str) -> None:
        """Apply a line of keys (see `HELP`); stop at the first unknown key."""
        for key in line.lower().split():
            if not self._key(key):
                self._say(f"{key}: not a key. Nothing after it was done.", bad=True)
                return

    def _key(self, key: str) -> bool:
        scales = {"g": (self.grade, Severity), "u": (self.urgency, Urgency), "c": (self.likelihood, Likelihood)}
        if key == "a":
            return self.accept()
        if key in ("n", "p"):
            self.step(1 if key == "n" else -1)
        elif key in ("i", "o"):
            self.irae.value = "yes" if key == "i" else "no"
        elif key[0] in scales and key[1:].isdigit() and int(key[1:]) < len(scales[key[0]][1]):
            widget, scale = scales[key[0]]
            widget.value = list(scale)[int(key[1:])].value
        elif key[0] == "s" and len(matches := [s for s in System if s.value.lower().startswith(key[1:])]) == 1:
            self.organs[matches[0]].value = not self.organs[matches[0]].value
        else:
            return False
        return True

    # --- view ---

    def show(self):
        """The panel, to be the last value of a cell."""
        return self.box

    def _build(self) -> None:
        fixed, full = w.Layout(width="auto", flex="0 0 auto"), w.Layout(width="100%")
        label = {"description_width": "90px"}

        def choice(widget: type, options, description: str, **style: str):
            return widget(options=list(options), description=description, style=label | style)

        self.picker = choice(w.Dropdown, self.cases, "case")
        self.arm = choice(w.ToggleButtons, self.arms, "answer of", button_width="auto")
        self.exposed = w.Checkbox(
            value=True, indent=False, layout=fixed, description="on or after a checkpoint inhibitor"
        )
        self.bar = w.IntProgress(min=0, max=len(self.cases), description="reviewed", style=label)
        self.count, self.view, self.message = w.HTML(), w.HTML(), w.HTML()
        self.paste = w.Textarea(
            description="note", placeholder="or paste a synthetic or de-identified one", layout=full
        )
        self.read = w.Button(description="Read the pasted note", layout=fixed)
        self.irae = choice(w.ToggleButtons, ("yes", "no"), "irAE")
        self.organs = {s: w.Checkbox(description=s.value, indent=False, layout=w.Layout(width="150px")) for s in System}
        self.grade = choice(w.Dropdown, (grade.value for grade in Severity), "CTCAE grade")
        self.urgency = choice(w.ToggleButtons, (urgency.value for urgency in Urgency), "urgency")
        self.likelihood = choice(w.Dropdown, (likelihood.value for likelihood in Likelihood), "causality")
        self.comment = w.Text(description="comment", style=label, layout=full)
        self.keys = w.Text(description="keys", placeholder="g3 u2 a n", continuous_update=False, style=label)
        self.back, self.accepts, self.ahead = (
            w.Button(description=name, button_style=look, layout=fixed)
            for name, look in (("Back", ""), ("Accept", "primary"), ("Next", ""))
        )
        wrapped = w.Layout(flex_flow="row wrap")
        fields = (self.grade, self.urgency, self.likelihood, self.comment)
        rows = [
            w.HBox([self.picker, self.bar, self.count], layout=wrapped),
            *(self.arm, self.exposed, self.view),
            *(self.irae, w.HBox(list(self.organs.values()), layout=wrapped), *fields),
            w.HBox([self.back, self.accepts, self.ahead, self.message]),
            w.HBox([self.keys, w.HTML(f'<div style="font-size:12px;line-height:1.4">{HELP}</div>')]),
            w.HBox([self.paste, self.read]),
        ]
        self.box = w.VBox(rows)

    def _wire(self) -> None:
        self.picker.observe(self._picked, names="value")
        self.arm.observe(self._picked, names="value")
        self.exposed.observe(self._picked, names="value")
        self.read.on_click(lambda _: self.read_note(self.paste.value))
        self.accepts.on_click(lambda _: self.accept())
        self.back.on_click(lambda _: self.step(-1))
        self.ahead.on_click(lambda _: self.step(1))
        self.keys.observe(self._typed, names="value")
        self.irae.observe(self._no_irae, names="value")

    def _picked(self, change) -> None:
        self._show()

    def _typed(self, change) -> None:
        if change["new"]:
            self.type(change["new"])
            self.keys.value = ""

    def _no_irae(self, change) -> None:
        if change["new"] == "no":  # without an irAE there is neither an organ system nor a grade
            for box in self.organs.values():
                box.value = False
            self.grade.value = Severity.UNKNOWN.value

    def _show(self) -> None:
        name = self.arm.value
        self._say("")
        if self.arms[name] and (self.case.id, name) not in self._answers:
            self.view.value = "<p>The model is reading ...</p>"
        try:
            answer = self._answer(name)
        except Exception as error:  # the message may hold note text
            self.view.value = f"<p>{html.escape(name)} could not answer ({type(error).__name__}).</p>"
            self._fill(self._review().final)
            return
        result = self._review()
        confidence, abstains = judged(self.fitted.get(name), answer) if answer else ({}, False)
        shown = {"sure": "sure, calibrated" if self.fitted.get(name) else "sure, not calibrated", "note_first": True}
        self.view.value = case_html(self.case.text, result, answer, confidence=confidence, **shown)
        verdict = self.done.get(self.case.id)
        self._fill(verdict.expected if verdict else result.final)
        self._progress()
        if verdict:
            self._say("your verdict from before is filled in")
        elif not result.assessed:
            self._say("not assessed: the fields below are placeholders, set each one before you accept", bad=True)
        elif abstains:
            self._say("the model is not sure of this answer", bad=True)

    def _answer(self, name: str) -> Answer | None:
        key = self.case.id, name
        if key not in self._answers:
            arm = self.arms[name]
            self._answers[key] = arm(self.case) if arm else None
        return self._answers[key]

    def _review(self) -> Review:
        """Initial values of the fields: the shown answer under the rules, or the rules alone."""
        answer = self._answers.get((self.case.id, self.arm.value))
        exposed = assumed(read(self.case), self.case.text, self.exposed.value)
        return review(self.case, answer and answer.assessment, exposed)

    def _fill(self, assessment: Assessment) -> None:
        self.irae.value = "yes" if assessment.irae_detected else "no"
        for organ, box in self.organs.items():
            box.value = organ in assessment.affected_systems
        self.grade.value, self.urgency.value = assessment.overall_severity.value, assessment.urgency.value
        self.likelihood.value = assessment.causality.likelihood.value
        self.comment.value = self.done[self.case.id].expected.reasoning if self.case.id in self.done else ""

    def _progress(self) -> None:
        done = sum(name in self.done for name in self.cases)
        self.bar.max, self.bar.value = len(self.cases), done
        self.count.value = f"{done} of {len(self.cases)}, kept in {html.escape(self.path.name)}"

    def _say(self, text: str, bad: bool = False) -> None:
        self.message.value = (
            f'<b style="color:{"#a33b00" if bad else "#005a32"}">{html.escape(text)}</b>' if text else ""
        )
