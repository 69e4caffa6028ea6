"""Look at a finished or running screening: by site and day, failures, doubt, where rules and model disagree, drift.

Works on the shards of `screen`, which hold no note text. Doubt can be watched where the server sends probabilities, as
vLLM does: abstention always, legal mass where answers are kept to no schema (see `chances`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..evaluation.calibration import Calibration, CalibrationReport
from ..evaluation.statistics import Interval, Rate, rate, rounded
from ..schemas import Record
from .shards import Shards

_OF_NOTES = ("alerts", "unanswered", "not_assessed", "worklist")


class Group(Record):
    """Counts of one site, one day, or of all ("all").

    `bad` rows are no notes; `alerts` and `unanswered` (the rules' verdict stands alone) are of the notes read, as are
    `not_assessed` (the rules did not understand the note) and `worklist` (an alert, or not assessed). Once a
    model was asked: `disagrees` are answers whose grade or urgency is not what the rules alone say. Where its server
    sends probabilities: `abstains` are whole answers too uncertain to stand (with a calibration that has a threshold),
    `legal_mass` is the mean over answers that were kept to no schema.
    """

    name: str
    rows: int
    bad: int
    alerts: Rate
    unanswered: Rate
    disagrees: Rate | None
    abstains: Rate | None
    legal_mass: float | None
    not_assessed: Rate
    worklist: Rate


class Task(Record):
    """A note that a person must look at: an alert, or a note that was not assessed, with the reasons."""

    place: int
    id: str
    alert: bool
    not_assessed: tuple[str, ...] = ()


def worklist(out: Path, stage: str) -> Iterator[Task]:
    """Every note of a stage ("rules" or "model") that needs a person, in the order of the file."""
    for row in Shards(Path(out) / stage).rows():
        alert, why = bool(row.get("final", {}).get("alert")), tuple(row.get("not_assessed", ()))
        if alert or why:
            yield Task(place=row["place"], id=row["id"], alert=alert, not_assessed=why)


def groups(out: Path, stage: str, by: str = "", calibration: Calibration | None = None) -> list[Group]:
    """All rows of a stage ("rules" or "model"), or one `Group` for each value of `by` ("site", "date")."""
    sums: dict[str, dict[str, list[float]]] = {}
    for row in Shards(Path(out) / stage).rows():
        mine = sums.setdefault(str(row.get(by) or "-") if by else "all", {})
        for what, value in _observed(row, calibration).items():
            one = mine.setdefault(what, [0, 0])
            one[0], one[1] = one[0] + value, one[1] + 1
    return [_group(name, sums[name]) for name in sorted(sums)]


def _observed(row: Mapping[str, Any], calibration: Calibration | None) -> dict[str, float]:
    """What one row adds to the sums; nothing for what was not asked or not sent."""
    seen: dict[str, float] = {"bad": "final" not in row}
    if "final" in row:
        alert, unread = row["final"]["alert"], "not_assessed" in row
        seen |= {"alerts": alert, "unanswered": "problem" in row}
        seen |= {"not_assessed": unread, "worklist": alert or unread}
    if "disagrees" in row:
        seen["disagrees"] = bool({"overall_severity", "urgency"} & set(row["disagrees"]))
    if calibration and calibration.threshold and row.get("asked") == "full" and "certainty" in row:
        seen["abstains"] = row["certainty"] < calibration.threshold
    if "legal_mass" in row:
        seen["legal_mass"] = row["legal_mass"]
    return seen


def _group(name: str, sums: Mapping[str, Sequence[float]]) -> Group:
    total, n = sums.get("legal_mass", (0.0, 0))
    return Group(
        name=name,
        rows=int(sums["bad"][1]),
        bad=int(sums["bad"][0]),
        **{what: rate(*map(int, sums.get(what, (0, 0)))) for what in _OF_NOTES},
        legal_mass=rounded(total / n) if n else None,
        **{what: rate(*map(int, sums[what])) if what in sums else None for what in ("disagrees", "abstains")},
    )


class Drift(Record):
    """A share of this run against the validation report: `difference` is run minus report, with its 95 % interval."""

    what: str
    here: Rate
    validated: Rate
    difference: float | None
    interval: Interval | None

    @property
    def moved(self) -> bool:
        """The interval leaves out zero: more than chance."""
        return self.interval is not None and not self.interval.low <= 0 <= self.interval.high


def drift(out: Path, stage: str, report: Mapping[str, Any]) -> list[Drift]:
    """How far a run is from the cases its adapter was validated on.

    Those are no sample of anybody's notes (half of them are irAEs by construction), so the shares will differ; what
    counts is a difference that grows from one month to the next.
    """
    fitted = CalibrationReport.model_validate(report["calibration"]) if report.get("calibration") else None
    everyone = groups(out, stage, calibration=fitted.calibration if fitted else None)
    if not everyone:
        return []
    (seen,) = everyone
    validated = report["results"]["test"]["full" if stage == "model" else "rules"]["safety"]
    alerts = validated["triage"]["alerts"]
    pairs = [
        ("alerts", seen.alerts, rate(alerts["hits"], alerts["n"])),
        ("no answer", seen.unanswered, rate(validated["unscored"], validated["n"])),
    ]
    if fitted and seen.abstains:
        answered = fitted.answered
        pairs.append(("abstains", seen.abstains, rate(answered.n - answered.hits, answered.n)))
    return [_drift(*pair) for pair in pairs]


def _drift(what: str, here: Rate, validated: Rate) -> Drift:
    if not here.n or not validated.n:
        return Drift(what=what, here=here, validated=validated, difference=None, interval=None)
    a, b = here.hits / here.n, validated.hits / validated.n
    # Newcombe's interval from the two Wilson intervals: honest at 0 and 1, where the plain one has no width.
    up = math.hypot(here.interval.high - a, b - validated.interval.low)
    down = math.hypot(a - here.interval.low, validated.interval.high - b)
    interval = Interval(low=rounded(a - b - down), high=rounded(a - b + up))
    return Drift(what=what, here=here, validated=validated, difference=rounded(a - b), interval=interval)
