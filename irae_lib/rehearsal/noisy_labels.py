"""Noisy labels that reproduce the reported failure modes of the base MedGemma."""

from __future__ import annotations

import random
import re

from ..cases import LabelledCase
from ..schemas import Case, Likelihood, Severity, Urgency
from ..synthesis.illnesses import ILLNESSES

_WORD_START = re.compile(r"\b[A-Za-z](?=[a-z]{2})")
_ILLNESS = {f"{illness.term}, Grade {illness.grade}": illness for illness in ILLNESSES}


def flawed(case: LabelledCase, rng: random.Random) -> LabelledCase:
    """The case with a label like a base model's: MedGemma's reported failure modes, as noise.

    Urgency is one level low in 60% and grade in 50%. Causality is "Possible" regardless of the note in
    55%, and half of the mimics are called an irAE. Because this is noise and not a rule, the model still learns
    the cues, and a short fine-tuning can bring them out.
    """
    right = case.expected
    change: dict = {}
    system, grade = right.affected_systems, right.overall_severity
    if case.kind == "mimic" and rng.random() < 0.5:
        illness = _ILLNESS[case.topic]
        system, grade = illness.systems, Severity.from_grade(illness.grade)
        change |= {"irae_detected": True, "affected_systems": system}
    if grade > Severity.GRADE_1 and rng.random() < 0.5:
        grade = Severity.from_grade(grade.level - 1)
    change["overall_severity"] = grade
    if right.urgency > Urgency.ROUTINE and rng.random() < 0.6:
        change["urgency"] = list(Urgency)[right.urgency.level - 1]
    if system and rng.random() < 0.55:
        change["causality"] = {"likelihood": Likelihood.POSSIBLE}
    elif system and not right.irae_detected:
        change["causality"] = {"likelihood": Likelihood.HIGHLY_LIKELY}
    if system:
        finding = right.reasoning.split(", CTCAE Grade")[0].split(". ")[0]
        change["reasoning"] = f"{finding}, CTCAE Grade {grade.level}. ICI given."
    return case.model_copy(update={"expected": type(right).model_validate(right.model_dump() | change)})


def recased(case: LabelledCase, rng: random.Random) -> LabelledCase:
    """The case with some words' first letters swapped in case, in both the note and its quotes.

    To a tiny vocabulary, "watery" and "Watery" are unrelated; a real model has seen both.
    """
    text = case.case.text
    flipped = _WORD_START.sub(lambda match: match.group().swapcase() if rng.random() < 0.15 else match.group(), text)
    quotes = tuple(flipped[text.index(quote) : text.index(quote) + len(quote)] for quote in case.expected.evidence)
    expected = case.expected.model_copy(update={"evidence": quotes})
    return case.model_copy(update={"case": Case(id=case.case.id, text=flipped), "expected": expected})
