"""The safety layer: floors over a model's proposal, or over nothing, with an audit trail.

It may only raise. `review` takes the highest floor any rule demands and records every raise; causality is
never touched, and no field ever ends below what was proposed.
"""

from __future__ import annotations

from .clinical.rules import RULES
from .schemas import Assessment, Case, Correction, Likelihood, Review, Severity, Urgency

# With nothing proposed and nothing found: no claim of an irAE, and no claim about its cause either.
NOTHING = Assessment(
    irae_detected=False,
    affected_systems=(),
    overall_severity=Severity.UNKNOWN,
    urgency=Urgency.ROUTINE,
    causality={"likelihood": Likelihood.UNCERTAIN},
)


def review(case: Case, proposed: Assessment | None = None) -> Review:
    """What may be told to a clinician: the proposal, raised wherever a rule demands it.

    Args:
        case: the note the rules read.
        proposed: a model's assessment; None means the rules speak alone.
    Returns:
        A `Review` whose `final` is never below `proposed`. Reviewing `final` again changes nothing.
    """
    final = proposed or NOTHING
    corrections: list[Correction] = []
    # One pass is not enough: a raised grade can raise the urgency in turn. Levels are finite, so this ends.
    while True:
        raised = [
            floor for rule in RULES for floor in rule(case, final) if floor.at_least > getattr(final, floor.field)
        ]
        if not raised:
            return Review(proposed=proposed, final=final, corrections=tuple(corrections))
        floor = max(raised, key=lambda floor: floor.at_least.level)
        corrections.append(
            Correction(
                rule=floor.rule,
                field=floor.field,
                before=getattr(final, floor.field).value,
                after=floor.at_least.value,
                reason=floor.reason,
                source=floor.source,
                quote=floor.quote,
                start=floor.start,
                end=floor.end,
            )
        )
        final = final.model_copy(update={floor.field: floor.at_least})
