"""Minimal pairs: two notes that differ in one fact, and labels that differ exactly where that fact matters.

Half of the pairs come from the organ files: a value on either side of a CTCAE boundary, room air or oxygen, "no
blood" or "blood". The others change what all illnesses share: the drug, its timing, the cause, the workup.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from functools import partial

from ..cases import LabelledCase
from .consistency import dated, drawn, fits_cancer
from .illnesses import COMMON, CONTRASTS, ICIS, ILLNESSES, Contrast, Fact, Illness
from .long_notes import choose_form
from .make_cases import SEXES, Side, distractors, long_draft, make_draft, state_exposure, state_rival, write_case
from .note_styles import Draft, Part, say


def make_contrasts(
    n_pairs: int, *, pool: str = "test", seed: int, prefix: str = "contrast", detail: str = "full", deal: int = 0
) -> list[LabelledCase]:
    """`2 * n_pairs` cases; two neighbors share `pair` ("contrast-001: what changes") and differ in one fact.

    The order of changes and illnesses is the same for every seed; another `deal` gives another order.
    """
    rng = random.Random(f"{seed}-{pool}-{prefix}")
    order = random.Random(f"deal-contrast-{deal}")
    borders = itertools.cycle(order.sample(CONTRASTS, len(CONTRASTS)))
    changes = itertools.cycle(order.sample(list(CHANGES), len(CHANGES)))
    hand = order.sample(ILLNESSES, len(ILLNESSES))
    hands = {name: itertools.cycle([i for i in hand if fits(name, i)]) for name in CHANGES}
    cases: list[LabelledCase] = []
    for number in range(1, n_pairs + 1):
        if number % 2:
            contrast = next(borders)
            workup = ("excluded", "pending")[number // 2 % 2]
            name, sides = contrast.name, _border(rng, pool, contrast, workup, detail)
        else:
            name = next(changes)
            sides = CHANGES[name](rng, pool, next(hands[name]), detail)
        state = rng.getrandbits(64)
        pair = f"{prefix}-{number:03d}"
        cases += [
            write_case(random.Random(state), pool, side, pair + letter, slips=False, pair=f"{pair}: {name}")
            for letter, side in zip("ab", sides, strict=True)
        ]
    return cases


def pairs(cases: list[LabelledCase]) -> list[tuple[LabelledCase, LabelledCase]]:
    """The two sides of every pair: neighbors in the file."""
    return list(zip(cases[::2], cases[1::2], strict=True))


def fits(change: str, illness: Illness) -> bool:
    """Whether `change` alters only one fact of this illness."""
    single = len(illness.key) == 1 and bool(illness.key[0].idea) and illness.grade < 4
    return change not in _ONE_SENTENCE or single


def _border(rng: random.Random, pool: str, contrast: Contrast, workup: str, detail: str) -> tuple[Side, Side]:
    a, b = contrast.sides
    worse = {"grade": max(a.grade, b.grade), "urgency": max(a.urgency, b.urgency)}
    both = a._replace(**worse, key=(*a.key, *b.key), also=contrast.shared)
    form = choose_form(rng, pool, both) if detail == "full" else None
    how = {"plain": form is None, "form": form}
    shared = tuple(say(rng, pool, fact, **how) for fact in contrast.shared)
    line, state = rng.randrange(1000), rng.getrandbits(64)
    cause = say(rng, pool, Fact(f"{contrast.cause}_{workup}"), role="cause" if form else "")
    age = rng.randint(34, 86)
    if form:
        draft = long_draft(rng, pool, "irae", both, form, age, [*shared, cause])
    else:
        extra = distractors(rng, pool, both, "irae", age)
        who = (age, rng.choice(SEXES), rng.choice(COMMON["cancers"][pool]), state_exposure(rng, pool, "irae"))
        draft = Draft(*who, (*shared, cause, *extra))

    def side(illness: Illness) -> Side:
        # The same generator state on both sides: the same name, unit and template, but another value.
        key = say(random.Random(state), pool, illness.key[0], is_key=True, line=line, **how)
        return "irae", illness, workup, draft._replace(parts=(key, *draft.parts))

    return side(a), side(b)


def _drug(rng: random.Random, pool: str, illness: Illness, detail: str) -> tuple[Side, Side]:
    draft = make_draft(rng, pool, "irae", illness, "pending", detail)._replace(course=None)
    line, state = rng.randrange(1000), rng.getrandbits(64)
    a, b = (
        say(random.Random(state), pool, Fact("current", 2, 9), drug=drug, line=line)
        for drug in (rng.choice(ICIS), rng.choice(COMMON["other_treatment"][pool]))
    )
    if draft.form:
        # The note states one time, and not the drug's.
        a = drawn(lambda: state_exposure(rng, pool, "mimic"), lambda part: not dated(part.text))
        b = drawn(
            lambda: state_exposure(rng, pool, "never", in_words=True), lambda part: fits_cancer(part.text, draft.cancer)
        )
    return ("irae", illness, "pending", draft._replace(drug=a)), ("never", illness, "", draft._replace(drug=b))


def _timing(rng: random.Random, pool: str, illness: Illness, detail: str) -> tuple[Side, Side]:
    draft = make_draft(rng, pool, "irae", illness, "pending", detail)._replace(course=None)
    drug = rng.choice(ICIS)
    a, b = (say(rng, pool, Fact(idea, 2, 9), drug=drug) for idea in ("current", "planned"))
    if draft.form:
        a = drawn(lambda: say(rng, pool, Fact("current", 2, 9), drug=drug), lambda part: not dated(part.text))
    return ("irae", illness, "pending", draft._replace(drug=a)), ("planned", illness, "", draft._replace(drug=b))


def _cause(rng: random.Random, pool: str, illness: Illness, detail: str) -> tuple[Side, Side]:
    draft = make_draft(rng, pool, "irae", illness, "excluded", detail)
    other = _swap(draft, "cause", state_rival(rng, pool, illness, draft.form))
    return ("irae", illness, "excluded", draft), ("mimic", illness, "", other)


def _workup(rng: random.Random, pool: str, illness: Illness, detail: str) -> tuple[Side, Side]:
    draft = make_draft(rng, pool, "irae", illness, "excluded", detail)
    pending = say(rng, pool, Fact(f"{illness.cause}_pending"), role="cause")
    return ("irae", illness, "excluded", draft), ("irae", illness, "pending", _swap(draft, "cause", pending))


def _not_current(idea: str, rng: random.Random, pool: str, illness: Illness, detail: str) -> tuple[Side, Side]:
    draft = make_draft(rng, pool, "irae", illness, "", detail, lean=True)._replace(onset="")
    then = say(rng, pool, Fact(f"{illness.cause}_{idea}"), is_key=True, role="key")
    return ("irae", illness, "", draft), ("resolved", illness, "", _swap(draft, "key", then))


def _swap(draft: Draft, role: str, part: Part) -> Draft:
    return draft._replace(parts=tuple(part if p.role == role else p for p in draft.parts))


CHANGES: dict[str, Callable[[random.Random, str, Illness, str], tuple[Side, Side]]] = {
    "ICI to another cancer drug": _drug,
    "other causes excluded to another cause found": _cause,
    "current to resolved": partial(_not_current, "past"),
    "ICI given to only planned": _timing,
    "other causes excluded to pending": _workup,
    "the patient's to a relative's": partial(_not_current, "family"),
}
# To become history, the whole illness must be one sentence.
_ONE_SENTENCE = ("current to resolved", "the patient's to a relative's")
