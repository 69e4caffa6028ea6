"""The five fields and the comment of a verdict as widgets, with a key for every choice.

A field that nobody judged is shown without a choice, and stays so until the reviewer chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ipywidgets as w

from ..schemas import FIELD_NAMES, Assessment, Likelihood, Severity, System, Urgency

LABEL = {"description_width": "90px"}
LONGEST_COMMENT = 600  # characters, those of `Assessment.reasoning`
_OPEN = ("irae_detected", "overall_severity", "urgency", "likelihood")  # fields that may be without a choice
_ORGAN_KEYS = dict(zip(System, "ghpedncrbmo", strict=True))  # blood: hematologic, and no other letter is taken
_SCALES = {"overall_severity": ("g", Severity), "urgency": ("u", Urgency), "likelihood": ("c", Likelihood)}
_LIKELY = (Likelihood.HIGHLY_LIKELY.value, Likelihood.POSSIBLE.value)


def toggles(options: Mapping[str, Any], description: str) -> w.ToggleButtons:
    """A row of buttons, none of them pressed."""
    style = LABEL | {"button_width": "auto"}
    return w.ToggleButtons(options=list(options.items()), value=None, description=description, style=style)


def indented(widget: w.DOMWidget) -> w.DOMWidget:
    """A widget without a label of its own, below the others' fields instead of their labels."""
    widget.add_class("irae-indent")
    return widget


class Form:
    """The fields of one verdict.

    Args:
        changed: called after each change by the reviewer, with the state before it; not called by `fill`.
    """

    def __init__(self, changed: Callable[[dict[str, Any]], None]):
        self._changed, self._quiet = changed, False
        self.irae = toggles({"yes · i": "yes", "no · o": "no"}, FIELD_NAMES["irae_detected"])
        self.organs = {
            system: w.Checkbox(description=f"{system.value} · s{key}", indent=False, layout=w.Layout(width="175px"))
            for system, key in _ORGAN_KEYS.items()
        }
        scales = {
            name: toggles(
                {f"{label.value} · {key}{i}": label.value for i, label in enumerate(scale)}, FIELD_NAMES[name]
            )
            for name, (key, scale) in _SCALES.items()
        }
        self.grade, self.urgency, self.likelihood = scales.values()
        self.comment = w.Text(
            description="comment",
            style=LABEL,
            continuous_update=False,
            layout=w.Layout(width="auto", max_width="700px"),
        )
        self._open = dict(zip(_OPEN, (self.irae, *scales.values()), strict=True))
        self.keys = self._key_table()
        self._last = self.state()
        for widget in (*self._open.values(), *self.organs.values(), self.comment):
            widget.observe(self._on_change, names="value")

    @property
    def rows(self) -> list[w.Widget]:
        """The widgets, one for each row."""
        organs = indented(w.HBox(list(self.organs.values()), layout=w.Layout(flex_flow="row wrap")))
        return [self.irae, organs, self.grade, self.urgency, self.likelihood, self.comment]

    def fill(self, assessment: Assessment, *, blank: Collection[str] = (), comment: str = "") -> None:
        """Show an assessment; the `blank` fields (names of the five) are left without a choice."""
        state = {name: str(value) for name, value in assessment.scored().items()}
        state["irae_detected"] = "yes" if assessment.irae_detected else "no"
        state |= dict.fromkeys(set(blank) & set(_OPEN))
        state["affected_systems"] = () if "affected_systems" in blank else assessment.affected_systems
        self.restore(state | {"comment": comment})

    def state(self) -> dict[str, Any]:
        """What the widgets show, for `restore`."""
        fields = {name: widget.value for name, widget in self._open.items()}
        organs = tuple(system for system, box in self.organs.items() if box.value)
        return fields | {"affected_systems": organs, "comment": self.comment.value}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Show a saved state."""
        with self._silently():
            for name, widget in self._open.items():
                widget.value = state[name]
            for system, box in self.organs.items():
                box.value = system in state["affected_systems"]
            self.comment.value = state["comment"]

    @property
    def missing(self) -> list[str]:
        """The names of the fields without a choice, as shown."""
        return [FIELD_NAMES[name] for name, widget in self._open.items() if widget.value is None]

    def assessment(self, basis: Assessment) -> Assessment:
        """The verdict: the fields and the comment, everything else from `basis`; every field must have a choice."""
        state = self.state()
        return basis.model_copy(
            update={
                "irae_detected": state["irae_detected"] == "yes",
                "affected_systems": state["affected_systems"],
                "overall_severity": Severity(state["overall_severity"]),
                "urgency": Urgency(state["urgency"]),
                "causality": basis.causality.model_copy(update={"likelihood": Likelihood(state["likelihood"])}),
                "reasoning": state["comment"].strip(),
            }
        )

    def _key_table(self) -> dict[str, Callable[[], None]]:
        def choose(widget: w.ToggleButtons, value: str) -> Callable[[], None]:
            return lambda: setattr(widget, "value", value)

        def flip(box: w.Checkbox) -> Callable[[], None]:
            return lambda: setattr(box, "value", not box.value)

        table = {"i": choose(self.irae, "yes"), "o": choose(self.irae, "no")}
        table |= {f"s{key}": flip(self.organs[system]) for system, key in _ORGAN_KEYS.items()}
        for name, (key, scale) in _SCALES.items():
            table |= {f"{key}{i}": choose(self._open[name], label.value) for i, label in enumerate(scale)}
        return table

    @contextmanager
    def _silently(self) -> Iterator[None]:
        self._quiet = True
        try:
            yield
        finally:
            self._quiet, self._last = False, self.state()

    def _on_change(self, change: Mapping[str, Any]) -> None:
        if self._quiet:
            return
        before = self._last
        with self._silently():
            if change["owner"] is self.irae and change["new"] == "no":  # then there is no organ system and no grade
                for box in self.organs.values():
                    box.value = False
                self.grade.value = Severity.UNKNOWN.value
                if self.likelihood.value in _LIKELY:
                    self.likelihood.value = None
        self._changed(before)
