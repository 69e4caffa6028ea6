"""Summarize a validation report in sentences: the effect of tuning, and the gains and costs of the safety layer."""

from __future__ import annotations

from ..evaluation.report import Report
from ..evaluation.statistics import Rate
from .tables import p_value, spread


def sentences(report: Report) -> tuple[str, str]:
    """Two sentences on the held-out test: tuned versus base, and the safety layer on top of the tuned model."""
    base, tuned = report.results["test"]["base"].raw, report.results["test"]["full"]
    raw, final, compared = tuned.raw, tuned.safety, report.comparisons["test"]
    size = "rehearsal stand-in" if report.rehearsal else report.base_model.split("/")[-1]
    notes = "notes of your own" if report.own_test else "held-out synthetic notes"
    first = (
        f"On {raw.n} {notes} the tuned {size} gets {raw.field_accuracy:.3f} of the five fields right "
        f"(95 % CI {spread(raw.field_accuracy_interval, '.2f')}), its base {base.field_accuracy:.3f}: a difference of "
        f"{compared.difference:+.3f} ({spread(compared.difference_interval, '+.2f')}; cases passed, McNemar "
        f"p {_equals(compared.p_value)})."
    )
    lifted, cost = raw.triage, final.triage
    second = (
        f"The safety layer over it takes urgency that is too low from {_of(lifted.under)} to {_of(cost.under)} and "
        f"missed irAEs from {_of(lifted.missed_irae)} to {_of(cost.missed_irae)}; the fields right go from "
        f"{raw.field_accuracy:.3f} to {final.field_accuracy:.3f}, and of the mimics {_of(cost.specificity_mimics)} stay "
        f"without an irAE instead of {_of(lifted.specificity_mimics)}."
    )
    return first, second


def _equals(p: float) -> str:
    shown = p_value(p)
    return shown if shown.startswith("<") else f"= {shown}"


def _of(rate: Rate) -> str:
    return f"{rate.hits} of {rate.n}"
