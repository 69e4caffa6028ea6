"""Look at a finished or running screening: alerts by site and day, failures, where rules and model disagree, drift.

Works on the shards of `screen`, which hold no note text. What a server does not return (probabilities, legal mass)
cannot be watched here; abstention belongs to the model in a notebook or in the Space.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..metrics import Interval, Rate, rate, rounded
from ..schemas import Record
from .shards import Shards


class Group(Record):
    """Counts of one site, one day, or of all ("all").

    `alerts` of the notes read; `failed` of all rows have no answer; `disagrees` are notes in which the model's grade or
    urgency is not what the rules alone say (None before a model was asked).
    """

    name: str
    rows: int
    alerts: Rate
    failed: Rate
    disagrees: Rate | None


def groups(out: Path, stage: str, by: str = "") -> list[Group]:
    """All rows of a stage ("rules" or "model"), or one `Group` for each value of `by` ("site", "date")."""
    counts: dict[str, list[int]] = {}
    for row in Shards(Path(out) / stage).rows():
        mine = counts.setdefault(str(row.get(by) or "-") if by else "all", [0] * 6)
        mine[0] += 1
        mine[1] += "final" in row
        mine[2] += bool(row.get("final", {}).get("alert"))
        mine[3] += "problem" in row
        mine[4] += "disagrees" in row
        mine[5] += bool({"overall_severity", "urgency"} & set(row.get("disagrees", ())))
    return [
        Group(
            name=name,
            rows=rows,
            alerts=rate(alerts, read),
            failed=rate(failed, rows),
            disagrees=rate(differing, compared) if compared else None,
        )
        for name, (rows, read, alerts, failed, compared, differing) in sorted(counts.items())
    ]


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
    rows = [row for row in Shards(Path(out) / stage).rows() if "final" in row]
    system = "full" if stage == "model" else "rules"
    validated = report["results"]["test"][system]["safety"]
    n = validated["n"]
    here = {
        "alerts": rate(sum(row["final"]["alert"] for row in rows), len(rows)),
        "no answer": rate(sum("problem" in row for row in rows), len(rows)),
    }
    there = {
        "alerts": rate(validated["triage"]["alerts"]["hits"], validated["triage"]["alerts"]["n"]),
        "no answer": rate(validated["unscored"], n),
    }
    return [_drift(what, here[what], there[what]) for what in here]


def _drift(what: str, here: Rate, validated: Rate) -> Drift:
    if not here.n or not validated.n:
        return Drift(what=what, here=here, validated=validated, difference=None, interval=None)
    a, b = here.hits / here.n, validated.hits / validated.n
    # Newcombe's interval from the two Wilson intervals: honest at 0 and 1, where the plain one has no width.
    up = math.hypot(here.interval.high - a, b - validated.interval.low)
    down = math.hypot(a - here.interval.low, validated.interval.high - b)
    interval = Interval(low=rounded(a - b - down), high=rounded(a - b + up))
    return Drift(what=what, here=here, validated=validated, difference=rounded(a - b), interval=interval)
