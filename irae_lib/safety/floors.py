"""The safety layer: raise a model's assessment, or an empty one, to floors, with an audit trail.

It only raises. `review` reads the note, takes the highest floor that any rule demands and records every raise with the
rule, the quote and the source; causality is never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..schemas import Assessment, Case, Likelihood, Severity, System, Urgency
from .cause import withhold
from .coverage import coverage
from .episodes import Fired, fire_course
from .exposure import Exposure, exposure
from .reader import read
from .reviews import NOT_ASSESSED, Correction, Evidence, Review
from .rules.base import URGENCY_BY_GRADE, URGENT_SYSTEMS, Advice, Floor

# The empty assessment: no claim of an irAE, and no claim about its cause either.
NOTHING = Assessment(
    irae_detected=False,
    affected_systems=(),
    overall_severity=Severity.UNKNOWN,
    urgency=Urgency.ROUTINE,
    causality={"likelihood": Likelihood.UNCERTAIN},
)
POLICY = "project policy: generic floors of the original safety layer"
RIVAL = "X09"  # its advice says that floors stand
_EXPOSURE_OPEN = "exposure to a checkpoint inhibitor is not stated and no rule fired"


def review(case: Case, proposed: Assessment | None = None, exposed: bool | None = None) -> Review:
    """Review an assessment: read the note and raise the proposal wherever a rule demands it.

    Args:
        case: the note the rules read.
        proposed: a model's assessment; None runs the rules alone.
        exposed: True or False where exposure to a checkpoint inhibitor is known from elsewhere; None reads it from
            the note (see `exposure`).
    Returns:
        A `Review` whose `final` is never below `proposed`. Reviewing `final` again changes nothing. `evidence` gives
        the position of each quote of the proposal in the note, or marks it as not found. `assessed` is False where no
        rule at urgent or above fired and the silence of the others means nothing; it does not depend on `proposed`.
    """
    findings = read(case)
    contact = exposure(findings, case.text, exposed)
    fired = fire_course(findings)
    floors, advice, withheld = fired.floors, fired.advice, ()
    if contact.all_rules:
        floors, withheld = withhold(case.text, findings, floors)
    else:
        floors = [f._replace(grade=0, system=None) for f in floors if _dangerous(f)]
    fired = fired._replace(floors=floors)
    corrections: list[Correction] = []
    final = _raise(proposed or NOTHING, fired, contact, corrections)
    alone = final if proposed is None else _raise(NOTHING, fired, contact, [])
    covered = coverage(case.text, findings)
    if not floors and not contact.stated:
        covered = covered.model_copy(update={"gaps": (*covered.gaps, _EXPOSURE_OPEN)})
    assessed = not covered.gaps or alone.urgency >= Urgency.URGENT
    lines = contact.advice(bool(floors), bool(advice)) + [item.advisory for item in withheld]
    lines += _each_once(item for item in advice if not (withheld and item.rule == RIVAL))
    if covered.gaps:
        lines.insert(0, f"{'Not read in full' if assessed else NOT_ASSESSED.capitalize()}: {covered.reasons}.")
    return Review(
        proposed=proposed,
        final=final,
        corrections=tuple(corrections),
        advisories=tuple(dict.fromkeys(lines)),
        findings=findings,
        evidence=tuple(_locate(case.text, quote) for quote in (proposed.evidence if proposed else ())),
        coverage=covered,
        assessed=assessed,
        withheld=withheld,
    )


def _each_once(advice: Iterable[Advice]) -> list[str]:
    """Each advice once, with all the rules that give it."""
    rules: dict[str, dict[str, None]] = {}
    for item in advice:
        rules.setdefault(item.text, {})[item.rule] = None
    return [f"{text} ({', '.join(names)})" for text, names in rules.items()]


def _dangerous(floor: Floor) -> bool:
    """Whether the floor is urgent whatever the cause.

    Numbness (Grade 1), severe limb pain and help with washing are urgent only as signs of an irAE.
    """
    only_as_irae = floor.grade == 1 or (floor.rule in ("X07", "X08") and floor.system is System.MUSCULOSKELETAL)
    return floor.urgency >= Urgency.URGENT and not only_as_irae


def _raise(labels: Assessment, fired: Fired, contact: Exposure, corrections: list[Correction]) -> Assessment:
    def lift(field: str, value, before: str, after: str, floor: Floor) -> None:
        nonlocal labels
        corrections.append(_correction(field, before, after, floor))
        labels = labels.model_copy(update={field: value})

    floors = fired.floors
    systems = [f for f in floors if f.system is not None]
    if not labels.irae_detected and (first := _highest(systems, _weight)):
        lift("irae_detected", True, "false", "true", first)
    for floor in sorted(systems, key=_weight, reverse=True):
        if floor.system not in labels.affected_systems:
            after = (*labels.affected_systems, floor.system)
            lift("affected_systems", after, _names(labels.affected_systems), _names(after), floor)
    top = _highest(floors, lambda f: f.grade)
    if top is not None and (grade := Severity.from_grade(top.grade)) > labels.overall_severity:
        lift("overall_severity", grade, labels.overall_severity.value, grade.value, top)
    for generic in (None, _generic_floor(labels, fired, contact)):
        pool = floors if generic is None else [generic]
        urgent = _highest(pool, lambda f: f.urgency.level)
        if urgent is not None and urgent.urgency > labels.urgency:
            lift("urgency", urgent.urgency, labels.urgency.value, urgent.urgency.value, urgent)
    return labels


def _weight(floor: Floor) -> tuple[int, int]:
    return floor.grade, floor.urgency.level


def _highest(floors: list[Floor], key: Callable) -> Floor | None:
    return max(floors, key=key, default=None)


def _generic_floor(labels: Assessment, fired: Fired, contact: Exposure) -> Floor:
    """The original floors on the labels themselves, whoever gave them: by grade, and urgent for heart and nerve.

    Where the grade is that of an earlier day of the episode, the grade of the last state decides.
    """
    floors, grade = fired.floors, labels.overall_severity.level
    if fired.grade_now is not None and grade == max((f.grade for f in floors), default=0):
        grade = fired.grade_now
    by_grade = URGENCY_BY_GRADE[grade]
    reason = f"Grade {grade} is at least {by_grade.value}"
    if labels.overall_severity == Severity.GRADE_3:
        supports = [f for f in floors if f.grade >= 3]
        if supports and all(f.rule in ("F44", "X06") and f.urgency == Urgency.SOON for f in supports):
            by_grade, reason = Urgency.SOON, "Grade 3 rests on an asymptomatic laboratory value alone (F44): soon"
    rule = "grade-floor"
    organ = next((s for s in labels.affected_systems if s in URGENT_SYSTEMS), None)
    if organ is not None and by_grade < Urgency.URGENT:
        rule, by_grade, reason = "organ-floor", Urgency.URGENT, f"{organ.value} involvement is at least urgent"
    if not contact.all_rules and by_grade < Urgency.URGENT:
        by_grade = Urgency.ROUTINE
    return Floor(rule, reason, None, 0, by_grade, None, POLICY, "project policy")


def _correction(field: str, before: str, after: str, floor: Floor) -> Correction:
    f = floor.finding
    return Correction.model_construct(
        rule=floor.rule,
        field=field,
        before=before,
        after=after,
        reason=floor.reason,
        source=floor.source,
        scale=floor.scale,
        quote=f.quote if f else "",
        start=f.start if f else None,
        end=f.end if f else None,
    )


def _names(systems: tuple[System, ...]) -> str:
    return ", ".join(system.value for system in systems) or "none"


def _locate(text: str, quote: str) -> Evidence:
    """Locate a quote in the note: word for word, else ignoring case; or mark it as not found."""
    start = text.find(quote)
    if start < 0:
        start = text.lower().find(quote.lower())
        start = start if len(text.lower()) == len(text) else -1
    if start < 0:
        return Evidence(quote=quote, found=False)
    return Evidence(quote=quote, found=True, start=start, end=start + len(quote))
