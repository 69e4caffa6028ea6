"""Run the rules on the last state of a note and on the whole present episode (contract *Time*).

The worst day of the episode decides the grade, the last state decides the urgency. An organ with every sign back to
normal has recovered: it keeps no grade, only "soon" while treatment continues.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from ..schemas import Finding, System, Urgency
from .chart import Chart
from .course import EARLIER
from .lexicon import ANALYTES
from .rules import fire
from .rules.base import Advice, Floor

_MEASURED = ("lab", "vital", "count")


class Fired(NamedTuple):
    """The result of the rules: floors and advice, and the last state's grade where an earlier day was worse."""

    floors: list[Floor]
    advice: list[Advice]
    grade_now: int | None = None


def fire_course(findings: Sequence[Finding]) -> Fired:
    """The floors of the last state, and those of earlier days with their remaining urgency."""
    state = Chart(findings)
    floors, advice = fire(state)
    if not any(f.when in EARLIER and f.status == "historical" for f in findings):
        return Fired(floors, advice)
    now = {floor.system: max(f.grade for f in floors if f.system == floor.system) for floor in floors}
    worst, _ = fire(Chart(findings, episode=True))
    worse = [floor for floor in worst if floor.grade > now.get(floor.system, 0) and floor.system is not None]
    over = {system for system in {f.system for f in worse} if _is_over(system, worse, now, state)}
    earlier = [_earlier(floor, floor.system in over, state) for floor in worse]
    earlier = [floor for floor in earlier if floor.grade or floor.urgency > Urgency.ROUTINE]
    return Fired(floors + earlier, advice, max((f.grade for f in floors), default=0) if earlier else None)


def _is_over(system: System, worse: list[Floor], now: dict[System | None, int], state: Chart) -> bool:
    """Whether the last state reports every sign of this organ system as normal or gone."""
    if now.get(system, 0) > 0:
        return False
    return all(_is_back(floor.finding, state) for floor in worse if floor.system == system)


def _is_back(sign: Finding | None, state: Chart) -> bool:
    """Whether the last state gives the value of this sign, or says that it is gone."""
    if sign is None:
        return False
    if sign.kind in _MEASURED:
        name = "stools" if sign.name == "stools_over_baseline" else sign.name
        values = state.all(name)
        if name == "creatinine":  # 1.4 after 3.2 is not back where the baseline is 1.0
            return bool(values) and _at_baseline(values[-1])
        return bool(values)
    later = [f for f in state.findings if f.name == sign.name and f.start > sign.start]
    return bool(later) and later[-1].status in ("negated", "historical") and later[-1].when not in EARLIER


def _at_baseline(value: Finding) -> bool:
    """Whether a creatinine is at most 1.25 times the baseline (the upper limit, if no baseline is given)."""
    limit = value.baseline or value.uln or ANALYTES[value.name].uln
    return value.high is None or value.high <= limit * Decimal("1.25")


def _earlier(floor: Floor, is_over: bool, state: Chart) -> Floor:
    """The floor of an earlier day: its grade with the remaining urgency."""
    treated = state.any("steroids") is not None
    urgency = Urgency.SOON if not is_over or treated else Urgency.ROUTINE
    grade, system = (0, None) if is_over else (floor.grade, floor.system)
    reason = f"{floor.reason} (earlier in this episode)"
    return floor._replace(grade=grade, system=system, urgency=urgency, reason=reason)
