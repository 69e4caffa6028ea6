"""Monitor a running or finished screening: counts by site and day, and drift from the validation report.

Reads the shards of `screen`, not the notes. Abstention needs a server that sends probabilities, as vLLM does; legal
mass also needs answers without a schema (see `token_confidence`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..evaluation.calibration import Calibration
from ..evaluation.report import Report
from ..evaluation.statistics import Interval, Rate, rate, rounded
from ..schemas import Record
from .shards import Shards

_OF_NOTES = ("alerts", "emergency", "urgent", "unanswered", "not_assessed", "worklist")


class Group(Record):
    """Counts of one site, one day, or of all rows ("all").

    `bad` rows are not notes. Shares of the notes: `alerts` (of which `emergency` and `urgent`), `unanswered` (the rules' verdict stands alone),
    `not_assessed` (the rules did not understand the note) and `worklist` (an alert, or not assessed). With a model,
    `disagrees` is the share of answers whose grade or urgency differs from the rules alone. If the server sends
    probabilities, `abstains` is the share of full answers below the calibration threshold; `legal_mass` is the mean
    over answers without a schema.
    """

    name: str
    rows: int
    bad: int
    alerts: Rate
    emergency: Rate
    urgent: Rate
    unanswered: Rate
    disagrees: Rate | None
    abstains: Rate | None
    legal_mass: float | None
    not_assessed: Rate
    worklist: Rate


def groups(out: Path, stage: str, by: str = "", calibration: Calibration | None = None) -> list[Group]:
    """Count a stage ("rules" or "model"): one `Group` of all rows, or one per value of `by` ("site", "date")."""
    tallies: dict[str, tuple[Counter, Counter]] = {}
    for row in Shards(Path(out) / stage).rows():
        sums, counts = tallies.setdefault(str(row.get(by) or "-") if by else "all", (Counter(), Counter()))
        measures = _measures(row, calibration)
        sums.update(measures)
        counts.update(measures.keys())
    return [_group(name, *tallies[name]) for name in sorted(tallies)]


def _measures(row: Mapping[str, Any], calibration: Calibration | None) -> dict[str, float]:
    """Values that one row adds to its group; values not asked for or not sent are left out."""
    measures: dict[str, float] = {"bad": "final" not in row}
    if "final" in row:
        alert, unread = row["final"]["alert"], "not_assessed" in row
        measures |= {"alerts": alert, "unanswered": "problem" in row}
        urgency = row.get("at_least", row["final"])["urgency"]
        measures |= {name: urgency == name for name in ("emergency", "urgent")}
        measures |= {"not_assessed": unread, "worklist": alert or unread}
    if "disagrees" in row:
        measures["disagrees"] = bool({"overall_severity", "urgency"} & set(row["disagrees"]))
    if calibration and calibration.threshold and row.get("asked") == "full" and "certainty" in row:
        measures["abstains"] = row["certainty"] < calibration.threshold
    if "legal_mass" in row:
        measures["legal_mass"] = row["legal_mass"]
    return measures


def _group(name: str, sums: Counter, counts: Counter) -> Group:
    rates = {measure: rate(int(sums[measure]), counts[measure]) for measure in _OF_NOTES}
    for measure in ("disagrees", "abstains"):
        rates[measure] = rate(int(sums[measure]), counts[measure]) if counts[measure] else None
    n = counts["legal_mass"]
    legal_mass = rounded(sums["legal_mass"] / n) if n else None
    return Group(name=name, rows=counts["bad"], bad=int(sums["bad"]), legal_mass=legal_mass, **rates)


class Drift(Record):
    """A share in this run and in the validation report; `difference` is run minus report, with its 95% interval."""

    what: str
    here: Rate
    validated: Rate
    difference: float | None
    interval: Interval | None

    @property
    def moved(self) -> bool:
        """Whether the interval excludes zero."""
        return self.interval is not None and not self.interval.low <= 0 <= self.interval.high


def drift(out: Path, stage: str, report: Report) -> list[Drift]:
    """Compare a run with the cases that its adapter was validated on.

    The validation cases are not a sample of real notes (half are irAEs by construction), so some difference is
    expected. A difference that grows from month to month is the signal.
    """
    everyone = groups(out, stage, calibration=report.calibration.calibration)
    if not everyone:
        return []
    (run,) = everyone
    validated = report.results["test"]["full" if stage == "model" else "rules"].safety
    pairs = [
        ("alerts", run.alerts, validated.triage.alerts),
        ("no answer", run.unanswered, rate(validated.unscored, validated.n)),
    ]
    if run.abstains:
        answered = report.calibration.answered
        pairs.append(("abstains", run.abstains, rate(answered.n - answered.hits, answered.n)))
    return [_drift(*pair) for pair in pairs]


def _drift(what: str, here: Rate, validated: Rate) -> Drift:
    if not here.n or not validated.n:
        return Drift(what=what, here=here, validated=validated, difference=None, interval=None)
    a, b = here.hits / here.n, validated.hits / validated.n
    # Newcombe's interval from the two Wilson intervals: valid at 0 and 1, where the Wald interval has zero width.
    up = math.hypot(here.interval.high - a, b - validated.interval.low)
    down = math.hypot(a - here.interval.low, validated.interval.high - b)
    interval = Interval(low=rounded(a - b - down), high=rounded(a - b + up))
    return Drift(what=what, here=here, validated=validated, difference=rounded(a - b), interval=interval)
