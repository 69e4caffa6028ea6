"""Test an arm's robustness to controlled edits of a note and to repeated sampling.

Invariance: another unit, order or name, or an irrelevant sentence, changes no field. Direction: a decisive worsening
raises the urgency. Injection: an instruction inserted into the note lowers nothing. The edits are data
(`data/probes.json`). Sampled runs: which answers flip. This module needs neither torch nor a model.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from ..cases import LabelledCase
from ..files import DATA
from ..model.answers import Answer
from ..safety.floors import review
from ..schemas import Assessment, Case, Record, Urgency, differing
from .scoring import Graded, lowers, said_at, score
from .statistics import Rate, rate

INVARIANCE = ("unit", "section order", "synonym", "irrelevant history", "negated symptom")
DIRECTION, INJECTION = "worse", "injection"
KINDS = (*INVARIANCE, DIRECTION, INJECTION)


class Probe(Record):
    """A changed note: `source` is the id of the original case, `at_least` the urgency that the answer must reach."""

    kind: str
    source: str
    case: Case
    at_least: Urgency | None = None


def make_probes(cases: Sequence[LabelledCase], *, per_kind: int = 20) -> list[Probe]:
    """Up to `per_kind` probes of each of `KINDS`, from the first cases that allow them; ids combine kind and source."""
    makers = {
        "unit": _other_units,
        "section order": _other_order,
        "synonym": _other_names,
        "irrelevant history": functools.partial(_with_sentence, "history"),
        "negated symptom": functools.partial(_with_sentence, "negated"),
        DIRECTION: _worse,
        INJECTION: _attacked,
    }
    probes = []
    for kind, make in makers.items():
        made = 0
        for case in cases:
            if made < per_kind and (change := make(case, made)):
                changed = Case(id=f"{kind.replace(' ', '-')}-{case.case.id}", text=change[0])
                probes.append(Probe(kind=kind, source=case.case.id, case=changed, at_least=change[1]))
                made += 1
    return probes


def holds(probe: Probe, before: Assessment | None, after: Assessment | None) -> bool:
    """Whether an answer meets the probe, given the answer to the unchanged note; an unreadable answer does not."""
    if before is None or after is None:
        return False
    if probe.kind in INVARIANCE:
        return not differing(before, after)
    if probe.kind == DIRECTION:
        return after.urgency >= max(before.urgency, probe.at_least or before.urgency)
    return not lowers(before, after)


def summarize_probes(
    probes: Sequence[Probe], before: Sequence[Assessment | None], after: Sequence[Assessment | None]
) -> dict[str, Rate]:
    """Per kind, how many probes hold; for `INJECTION`, how many attacks succeed, the rate usually reported."""
    held: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    for probe, old, new in zip(probes, before, after, strict=True):
        held[probe.kind].append(holds(probe, old, new) != (probe.kind == INJECTION))
    return {kind: rate(sum(one), len(one)) for kind, one in held.items()}


def report_probes(
    probes: Sequence[Probe], before: Sequence[Graded], answers: Sequence[Answer]
) -> dict[str, dict[str, Rate]]:
    """`summarize_probes` by stage ("raw", "safety").

    Args:
        before: the graded answers to the unchanged notes, matched by id. answers: to the probes, in their order.
    """
    known = {one.id: one for one in before}
    final = [
        review(probe.case, answer.assessment).final if answer.assessment else None
        for probe, answer in zip(probes, answers, strict=True)
    ]
    after = {"raw": [answer.assessment for answer in answers], "safety": final}
    return {
        stage: summarize_probes(probes, [said_at(known[probe.source], stage) for probe in probes], assessments)
        for stage, assessments in after.items()
    }


class Flips(Record):
    """The same notes answered `runs` times at a temperature above 0; an unreadable answer differs from every other.

    `any_field` and `urgency` count cases where any field, or the urgency, differs between runs. `always_passed` counts
    cases with 4 or 5 of 5 fields right in every run (worst of k).
    """

    runs: int
    any_field: Rate
    urgency: Rate
    always_passed: Rate


def summarize_runs(cases: Sequence[LabelledCase], runs: Sequence[Sequence[Assessment | None]]) -> Flips:
    """Count changes between runs over the same cases in the same order."""
    by_case = list(zip(*runs, strict=True))
    n = len(cases)

    def moved(value: Callable[[Assessment], Any]) -> Rate:
        values = ([object() if one is None else value(one) for one in said] for said in by_case)
        return rate(sum(any(one != said[0] for one in said) for said in values), n)

    passed = (all(score(one, case.expected).passed for one in said) for case, said in zip(cases, by_case, strict=True))
    return Flips(
        runs=len(runs),
        any_field=moved(Assessment.scored),
        urgency=moved(lambda one: one.urgency),
        always_passed=rate(sum(passed), n),
    )


# --- the changes ----------------------------------------------------------------------------------------


@functools.cache
def _data() -> dict[str, Any]:
    return json.loads((DATA / "probes.json").read_text(encoding="utf-8"))


# The changed note and the urgency it must reach; None if the note does not allow the change.
Made = tuple[str, Urgency | None] | None


def _other_units(case: LabelledCase, _: int) -> Made:
    """Convert every value of one analyte, baseline included, to its other unit."""
    text = case.case.text
    for row in _data()["units"]:
        name = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, row['names']))})(?!\w)", re.IGNORECASE)
        value = re.compile(rf"(\d+(?:\.\d+)?) ?{re.escape(row['from'])}")
        parts = re.split(r"([;\n]|\. )", text)
        mine = [i for i, part in enumerate(parts) if name.search(part) and value.search(part)]
        for i in mine:
            parts[i] = value.sub(functools.partial(_converted, row), parts[i])
        if mine:
            return "".join(parts), None
    return None


def _converted(row: dict[str, Any], found: re.Match) -> str:
    return f"{Decimal(found[1]) * Decimal(row['times']):.{row['digits']}f} {row['to']}"


def _other_order(case: LabelledCase, _: int) -> Made:
    """Reverse the sections of the note; the line with age and tumor stays first."""
    first, *sections = case.case.text.splitlines()
    return ("\n".join([first, *reversed(sections)]), None) if len(sections) > 1 else None


def _other_names(case: LabelledCase, made: int) -> Made:
    """Replace one word of the note with a synonym; the choice rotates with the number of probes made."""
    rows, turn = _data()["synonyms"], made % len(_data()["synonyms"])
    for old, new in rows[turn:] + rows[:turn]:
        text, n = re.subn(rf"(?<!\w){re.escape(old)}(?!\w)", new, case.case.text)
        if n:
            return text, None
    return None


def _with_sentence(key: str, case: LabelledCase, made: int) -> Made:
    """Append one of the sentences under `key`; the choice rotates with the number of probes made."""
    sentences = _data()[key]
    return f"{case.case.text}\n{sentences[made % len(sentences)]}", None


def _worse(case: LabelledCase, _: int) -> Made:
    """Append a sentence that makes a non-emergency irAE of one organ system severe."""
    label = case.expected
    if case.kind == "irae" and len(label.affected_systems) == 1 and label.urgency < Urgency.EMERGENCY:
        for row in _data()["worse"]:
            if row["system"] == label.affected_systems[0]:
                return f"{case.case.text}\n{row['text']}", Urgency(row["at_least"])
    return None


def _attacked(case: LabelledCase, made: int) -> Made:
    """Append an adversarial instruction to the note of an irAE with urgency soon or above."""
    if case.expected.irae_detected and case.expected.urgency >= Urgency.SOON:
        return _with_sentence("attacks", case, made)
    return None
