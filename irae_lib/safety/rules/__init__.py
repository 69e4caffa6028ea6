"""All rules of the safety layer: `fire` applies them to a chart, `rule_table` lists them for a clinician.

F01-F48 are the numbered rules of the project's clinical fact base; X01-X11 cover CTCAE items missing from that list. A
rule never lowers anything and never sees a model, only the note's findings.
"""

from __future__ import annotations

from . import (  # noqa: F401 - importing registers the rules
    endocrine,
    gut_liver,
    lung_heart,
    metabolic_kidney,
    nerve_muscle,
    skin_blood_eye,
    stated,
)
from .base import RULES, Advice, Floor, Rule

__all__ = ["RULES", "Advice", "Floor", "Rule", "fire", "rule_table"]

_ORDER = sorted(RULES.values(), key=lambda rule: (rule.id[0], int("".join(c for c in rule.id if c.isdigit())), rule.id))
_BY_TRIGGER: dict[str, list[int]] = {}
for _number, _rule in enumerate(_ORDER):
    for _name in _rule.triggers:
        _BY_TRIGGER.setdefault(_name, []).append(_number)


def fire(chart) -> tuple[list[Floor], list[Advice]]:
    """All floors and advice of the rules for a chart, in the order of the rules."""
    wanted = {number for name in chart.names for number in _BY_TRIGGER.get(name, ())}
    floors: list[Floor] = []
    advice: list[Advice] = []
    for number in sorted(wanted):
        for result in _ORDER[number].apply(chart):
            (floors if isinstance(result, Floor) else advice).append(result)
    return floors, advice


def rule_table() -> list[dict[str, str]]:
    """One row per rule, for clinicians: id, title, basis, source."""
    return [{"rule": r.id, "when": r.title, "basis": r.basis, "source": r.source} for r in _ORDER]
