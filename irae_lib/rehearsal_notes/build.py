"""Make synthetic cases whose labels are right by construction.

A case is drawn in three steps: what is wrong (an `Illness`, or nothing), what the note documents about the
drug and about other causes (the kind), and how the note says it (the pool of phrasings). Labels follow from
the first two and never from the text, so no reader can be wrong about them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from ..cases import LabelledCase
from ..schemas import Assessment, Case, Likelihood, Severity, Urgency
from .phrases import CANCERS, HOME_DRUGS, ICIS, IDEAS, NORMAL_LABS, OTHER_TREATMENT
from .scenarios import ILLNESSES, KINDS, Fact, Illness

_CHOICE = re.compile(r"\(([^()|]*(?:\|[^()|]*)+)\)")
_ORDER = ("medications", "labs", "vitals", "symptoms", "notes")


def make_cases(n: int, *, pool: str, seed: int, prefix: str) -> list[LabelledCase]:
    """`n` cases from one pool of phrasings and numbers, in a fixed order for a seed.

    Illnesses and kinds are dealt in turn rather than drawn, so that every illness occurs equally often; the
    seed decides phrasings, numbers, distractors and order. No two cases have the same text.

    Args:
        pool: "train" or "test"; the two share no sentence frame and no graded laboratory value.
        prefix: start of the case ids ("test-0001").
    """
    rng = random.Random(f"{seed}-{pool}-{prefix}")
    deal = _dealer(rng, pool)
    cases, seen = [], set()
    while len(cases) < n:
        kind, illness = next(deal)
        made = _make(rng, pool, kind, illness, f"{prefix}-{len(cases) + 1:04d}")
        if made.case.text not in seen:
            seen.add(made.case.text)
            cases.append(made)
    return cases


def _dealer(rng: random.Random, pool: str) -> Iterator[tuple[str, Illness]]:
    shares = KINDS[pool]
    hands = {kind: _shuffled_forever(rng, ILLNESSES) for kind in shares}
    deck = [kind for kind, share in shares.items() for _ in range(round(share * 100))]
    for kind in _shuffled_forever(rng, deck):
        yield kind, next(hands[kind])


def _shuffled_forever(rng: random.Random, items) -> Iterator:
    items = list(items)
    while True:
        rng.shuffle(items)
        yield from items


class _Said(NamedTuple):
    section: str
    text: str
    is_key: bool


def _make(rng: random.Random, pool: str, kind: str, illness: Illness, case_id: str) -> LabelledCase:
    exposure = {"irae": "past" if rng.random() < 0.2 else "current", "mimic": "current", "well": "current"}.get(
        kind, kind
    )
    said = [_say(rng, pool, Fact(exposure, 2, 9), drug=_drug(rng, pool, exposure))]
    sick = kind != "well"
    if sick:
        said += [_say(rng, pool, fact, is_key=True) for fact in illness.key]
        said += [_say(rng, pool, fact) for fact in illness.also if rng.random() < 0.85]
    workup = _workup(rng, kind)
    if sick and workup:
        idea = illness.rival if workup == "rival" and illness.rival else f"{illness.cause}_{workup}"
        said.append(_say(rng, pool, Fact(idea), is_key=kind == "mimic"))
    if not sick:
        said += [_say(rng, pool, Fact("feels_well"), is_key=True), _say(rng, pool, Fact("clear"))]
        said.append(_say(rng, pool, Fact("stable", 2, 9)))
    if rng.random() < (0.4 if sick else 0.7):
        said.append(_say(rng, pool, Fact("history")))
    said += _distractors(rng, pool)
    case, quotes = _write(rng, said, case_id, pool)
    return LabelledCase(
        case=case,
        expected=_label(kind, illness, workup, quotes),
        kind=kind,
        family=pool,
        topic=illness.term if sick else "well",
    )


def _workup(rng: random.Random, kind: str) -> str:
    if kind == "irae":
        return rng.choice(("excluded", "excluded", "pending"))
    if kind == "mimic":
        return "rival"
    # For the others causality does not hang on the work-up; it is written down now and then, as in life.
    return rng.choice(("pending", "excluded", "")) if kind != "well" else ""


def _label(kind: str, illness: Illness, workup: str, quotes: tuple[str, ...]) -> Assessment:
    detected = kind in ("irae", "undocumented")
    likelihood = {
        "irae": Likelihood.HIGHLY_LIKELY if workup == "excluded" else Likelihood.POSSIBLE,
        "undocumented": Likelihood.UNCERTAIN,
    }.get(kind, Likelihood.UNLIKELY)
    exposure = {
        "irae": "ICI given" + ("; other causes excluded." if workup == "excluded" else "; work-up not complete."),
        "mimic": "ICI given, but another cause explains it.",
        "never": "Never on an ICI.",
        "planned": "ICI only planned.",
        "undocumented": "ICI exposure not documented.",
        "well": "Well on an ICI.",
    }[kind]
    grade = (
        f"{illness.term}, CTCAE Grade {illness.grade}. " if detected else f"{illness.term}. " if kind != "well" else ""
    )
    actions = illness.actions if detected else ("Treat the other cause",) if kind == "mimic" else ()
    return Assessment(
        evidence=quotes,
        reasoning=grade + exposure,
        irae_detected=detected,
        affected_systems=(illness.system,) if detected else (),
        overall_severity=Severity.from_grade(illness.grade if detected else None),
        urgency=Urgency.ROUTINE if kind == "well" else illness.urgency,
        causality={"likelihood": likelihood},
        actions=actions,
    )


def _drug(rng: random.Random, pool: str, exposure: str) -> str:
    return rng.choice(OTHER_TREATMENT[pool] if exposure == "never" else ICIS)


def _say(rng: random.Random, pool: str, fact: Fact, *, is_key: bool = False, drug: str = "") -> _Said:
    idea = IDEAS[fact.idea]
    frame = rng.choice(getattr(idea, pool))
    text = _CHOICE.sub(lambda match: rng.choice(match.group(1).split("|")), frame)
    text = text.format(n=_number(rng, pool, fact), m=rng.randint(fact.m_low, fact.m_high), drug=drug)
    return _Said(idea.section, text, is_key)


def _number(rng: random.Random, pool: str, fact: Fact) -> str:
    """A number in the fact's range. Wide ranges are shared out: every fourth value is the test's alone."""
    step = Decimal(str(fact.step))
    values = [
        Decimal(str(fact.low)) + step * i
        for i in range(int((Decimal(str(fact.high)) - Decimal(str(fact.low))) / step) + 1)
    ]
    if len(values) > 12:
        values = [v for v in values if (int(v / step) % 4 == 1) == (pool == "test")]
    return str(rng.choice(values))


def _distractors(rng: random.Random, pool: str) -> list[_Said]:
    home = rng.sample(HOME_DRUGS[pool], rng.randint(0, 2))
    labs = [rng.choice(NORMAL_LABS[pool]).format(d=rng.randint(0, 9))] if rng.random() < 0.6 else []
    return [_Said("medications", text, False) for text in home] + [_Said("labs", text, False) for text in labs]


def _write(rng: random.Random, said: list[_Said], case_id: str, pool: str) -> tuple[Case, tuple[str, ...]]:
    """The case, sectioned or as one paragraph, and the quotes (exact substrings) that carry the label."""
    who = {"age": rng.randint(38, 84), "cancer_type": rng.choice(CANCERS[pool])}
    drug, *rest = said
    rng.shuffle(rest)
    sections: dict[str, list[str]] = {name: [] for name in _ORDER}
    for part in (drug, *rest):
        sections[part.section].append(part.text)
    key = [part.text for part in said if part.is_key][:3]
    if rng.random() < 0.75:
        joined = {
            name: tuple(parts)
            for name, parts in sections.items()
            if parts and name in ("medications", "labs", "vitals")
        }
        prose = {name: _sentences(parts) for name, parts in sections.items() if parts and name in ("symptoms", "notes")}
        case = Case(id=case_id, **who, **joined, **prose)
    else:
        order = [sections[name] for name in ("medications", "symptoms", "vitals", "labs", "notes")]
        case = Case(
            id=case_id,
            text=f"{who['age']} y/o, {who['cancer_type']}. " + _sentences([p for part in order for p in part]),
        )
    return case, tuple(_quote(case.text, text) for text in key)


def _sentences(parts: list[str]) -> str:
    return " ".join(part[0].upper() + part[1:] + "." for part in parts)


def _quote(note: str, text: str) -> str:
    return text if text in note else text[0].upper() + text[1:]
