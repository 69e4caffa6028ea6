"""Make synthetic cases whose labels are correct by construction.

A case is drawn in three steps: the illness (an `Illness`, or none), the documented drug exposure and other causes (the
kind), and the wording (the pool of phrasings). Labels follow from the first two and never from the text.
"""

from __future__ import annotations

import itertools
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from ..cases import LabelledCase
from ..schemas import Assessment, Likelihood, Severity, Urgency
from .background import BACKGROUND, left_out
from .consistency import awaits_what_is_known, dated, drawn, fits_cancer, has_ended
from .illnesses import COMMON, ICIS, IDEAS, ILLNESSES, KINDS, Fact, Illness
from .long_notes import choose_form, normal_values, write_long_note
from .note_styles import GRAVE, Draft, Form, Part, agreeing, say, write_note

Side = tuple[str, Illness, str, Draft]  # kind, illness, workup, and draft of the note
SEXES = ("man", "woman", "male", "female")
# Documented workup of other causes in a note on an irAE, and the resulting causality (clinical fact base 4.1).
WORKUPS = {"excluded": Likelihood.HIGHLY_LIKELY, "pending": Likelihood.POSSIBLE, "confounder": Likelihood.POSSIBLE}
_WELL = ("well", "resolved")
_TIME = re.compile(r"\b(?:minutes?|hours?|days?|weeks?|months?|since|today|yesterday|overnight|night|now)\b|\dd\b")
_ALSO = {"man": "male", "woman": "female"}


def make_cases(
    n: int,
    *,
    pool: str,
    seed: int,
    prefix: str,
    detail: str = "full",
    deal: int = 0,
    shares: Mapping[str, float] | None = None,
) -> list[LabelledCase]:
    """`n` cases from one pool of phrasings and numbers, in a fixed order for a seed.

    Kinds, illnesses and workup are dealt in turn, the same for every seed, so the balance of labels does not depend
    on the seed. The seed decides phrasings, numbers, style, distractors and order. No two cases have the same text.

    Args:
        pool: "train", "calibration" or "test"; no two share a sentence frame or a graded laboratory value.
        prefix: start of the case ids ("test-0001").
        detail: "full" notes of nine kinds, or "short" ones for the rehearsal base.
        deal: another number deals illnesses and kinds in another order.
        shares: of the kinds; default: those of the pool.
    """
    hands = list(itertools.islice(_dealer(pool, deal, shares or KINDS[pool]), n))
    rng = random.Random(f"{seed}-{pool}-{prefix}")
    rng.shuffle(hands)
    cases, seen = [], set()
    for number, hand in enumerate(hands, start=1):
        for _ in range(50):
            side = (*hand, make_draft(rng, pool, *hand, detail, stays=True))
            case = write_case(rng, pool, side, f"{prefix}-{number:04d}")
            if case.case.text not in seen:
                break
        seen.add(case.case.text)
        cases.append(case)
    return cases


def _dealer(pool: str, deal: int, shares: Mapping[str, float]) -> Iterator[tuple[str, Illness, str]]:
    rng = random.Random(f"deal-{pool}-{deal}")
    hands = {kind: _by_cell(rng) for kind in shares}
    deck = [kind for kind, share in shares.items() for _ in range(round(share * 100))]
    workups = itertools.cycle(("excluded", "pending", "excluded", "confounder"))
    for kind in _shuffled_forever(rng, deck):
        # "No chemotherapy for years" excludes a cause for one patient and contradicts the chemotherapy of another.
        others = ("pending", "") if kind in ("never", "planned") else (*WORKUPS, "")
        yield kind, next(hands[kind]), next(workups) if kind == "irae" else rng.choice(others)


def _by_cell(rng: random.Random) -> Iterator[Illness]:
    """Deal illnesses so that every organ at every grade is equally frequent, however many illnesses it has."""
    cells: dict[tuple, list[Illness]] = defaultdict(list)
    for illness in ILLNESSES:
        cells[illness.systems, illness.grade].append(illness)
    within = {cell: _shuffled_forever(rng, members) for cell, members in cells.items()}
    for cell in _shuffled_forever(rng, cells):
        yield next(within[cell])


def _shuffled_forever(rng: random.Random, items) -> Iterator:
    items = list(items)
    while True:
        rng.shuffle(items)
        yield from items


def write_case(
    rng: random.Random, pool: str, side: Side, case_id: str, *, slips: bool = True, pair: str = ""
) -> LabelledCase:
    """The note of a draft with its label; `topic` is the illness at its grade, or "well" or "resolved"."""
    kind, illness, workup, draft = side
    write = write_long_note if draft.form else write_note
    case, quotes = write(rng, pool, draft, case_id, slips=slips)
    home = draft.form is not None and draft.form.kind == "discharge"
    expected = label(kind, illness, workup, quotes, exposed=draft.drug.role, home=home)
    topic = kind if kind in _WELL else f"{illness.term}, Grade {illness.grade}"
    return LabelledCase(case=case, expected=expected, kind=kind, family=pool, topic=topic, pair=pair)


def make_draft(
    rng: random.Random,
    pool: str,
    kind: str,
    illness: Illness,
    workup: str,
    detail: str,
    *,
    lean: bool = False,
    stays: bool = False,
) -> Draft:
    """Draft the note of one case.

    `lean` omits accompanying facts; `stays` allows a discharge summary, which reports treatment and recovery and is
    therefore for irAEs only.
    """
    form = choose_form(rng, pool, illness, inpatient=stays and kind == "irae") if detail == "full" else None
    how = {"plain": form is None, "form": form}
    # Report the whole episode and its end; one of Grade 3-4, or with values, would need its own date.
    tellable = illness.grade <= 2 and not any(fact.lab for fact in (*illness.key, *illness.also))
    over = bool(form) and kind == "resolved" and tellable and rng.random() < 0.6
    if kind in _WELL and not over:
        parts = [say(rng, pool, Fact("feels_well"), is_key=True, form=form)]
        if kind == "resolved":
            past = rng.choice(("past", "past", "family"))
            parts.append(say(rng, pool, Fact(f"{illness.cause}_{past}"), is_key=True))
        parts += [say(rng, pool, fact) for fact in (Fact(f"{illness.cause}_no"), Fact("stable", 2, 9))]
    else:
        parts = [say(rng, pool, fact, is_key=True, role="key", **how) for fact in illness.key]
        also = () if lean else illness.also
        parts += [say(rng, pool, fact, **how) for fact in also if rng.random() < 0.85]
        if kind == "mimic":
            parts.append(state_rival(rng, pool, illness, form))
        elif workup and not over:
            # A rival that is itself an irAE ("myocarditis not ruled out") is only for illnesses as urgent.
            grave = illness.urgency >= Urgency.URGENT
            about = Fact(_about_cause(pool, illness, workup, form))
            known = [*parts] if form else []
            parts.append(
                drawn(
                    lambda: say(rng, pool, about, role="cause", grave=grave),
                    lambda part: workup != "pending" or not awaits_what_is_known(part.text, known),
                )
            )
    age = rng.randint(34, 86)
    if form:
        home = form.kind == "discharge"
        has_course = over or home or (kind == "irae" and illness.grade >= 2 and not lean and rng.random() < 0.35)
        draft = long_draft(rng, pool, kind, illness, form, age, parts, has_course=has_course)
        # A drug that has ended can no longer be held, as most courses report.
        if not (over or home) and (not has_course or draft.drug.role == "past"):
            return draft
        return draft._replace(course=state_course(rng, pool, over=over, home=home, grade=illness.grade))
    parts += distractors(rng, pool, illness, kind, age)
    cancer = rng.choice(COMMON["cancers"][pool])
    return Draft(age, rng.choice(SEXES), cancer, state_exposure(rng, pool, kind), tuple(parts))


def long_draft(
    rng: random.Random,
    pool: str,
    kind: str,
    illness: Illness,
    form: Form,
    age: int,
    parts: list[Part],
    *,
    has_course: bool = False,
) -> Draft:
    """Draft a long note: a patient whose cancer and sex match, normal values, and an onset if an ICI was given.

    It states one time, since two could contradict each other: that of a statement, a course, the drug, or the onset.
    """
    cancer = rng.choice(BACKGROUND[pool].cancers)
    sex = rng.choice([sex for sex in SEXES if not cancer.sex or sex in (cancer.sex, _ALSO[cancer.sex])])
    values = normal_values(rng, pool, form, illness, parts)
    treated = kind not in ("never", "planned", "undocumented")
    quiet = frozenset() if kind == "well" else left_out(illness.systems)
    timed = has_course or any(_TIME.search(part.text) for part in parts)

    def fits(drug: Part) -> bool:
        cured = cancer.clear or "adjuvant" not in drug.text.lower()
        undated = drug.role != "current" or not timed or not dated(drug.text)
        return cured and undated and fits_cancer(drug.text, cancer.name)

    drug = drawn(lambda: state_exposure(rng, pool, kind, in_words=True), fits)
    timed = timed or drug.role != "current" or dated(drug.text)
    felt = any(fact.idea for fact in illness.key)  # nobody dates the start of a laboratory value
    has_onset = kind in ("irae", "mimic") and felt and not timed and rng.random() < 0.9
    slow = illness.urgency < Urgency.URGENT  # nobody is in a coma for weeks before presenting
    onsets = [text for text in BACKGROUND[pool].onset if slow or "week" not in text]
    onset = rng.choice(onsets).format(n=rng.randint(2, 9)) if has_onset else ""
    draft = Draft(age, sex, cancer.name, drug, (*parts, *values), form, onset)
    return draft._replace(quiet=quiet, calm=kind in _WELL, treated=treated, urgency=illness.urgency)


def state_course(rng: random.Random, pool: str, *, over: bool, home: bool = False, grade: int = 2) -> Part:
    """The course of the illness: treatment started, at times with a first effect; the label stays (contract *Time*).

    `over` ends the episode; `home` ends the stay, improved and on treatment. Grade 4 shows no effect yet.
    """
    mine, n = BACKGROUND[pool], rng.randint(2, 6)
    if over:
        return Part("notes", rng.choice(mine.settled).format(n=n), is_key=True, role="course")
    if home:
        return Part("notes", rng.choice(mine.sent_home).format(n=n + 3), role="course")
    said = [rng.choice(mine.treated)] + ([rng.choice(mine.improving)] if grade < 4 and rng.random() < 0.4 else [])
    return Part("notes", " ".join(said).format(n=n), role="course")


def state_rival(rng: random.Random, pool: str, illness: Illness, form: Form | None = None) -> Part:
    """The sentence on another cause that explains the findings and is not more urgent than they are.

    In a long note the cause is proven: a result, and the finding attributed to it (contract *Cause*).
    """
    rival = illness.rival or f"{illness.cause}_rival"
    how = {"is_key": True, "role": "cause", "grave": illness.urgency >= Urgency.URGENT}
    if not form:
        return say(rng, pool, Fact(rival), **how)
    proven = Fact(rival.replace("_rival", "_proven"))
    return drawn(lambda: say(rng, pool, proven, **how), lambda part: not has_ended(part.text))


def _about_cause(pool: str, illness: Illness, workup: str, form: Form | None) -> str:
    """The idea on other causes; in a long note, a rival is suspected, pending, coexisting or refuted."""
    rival = (illness.rival or f"{illness.cause}_rival").replace("_rival", "_open")
    calm = illness.urgency >= Urgency.URGENT or any(not line.startswith(GRAVE) for line in getattr(IDEAS[rival], pool))
    return rival if form and workup == "confounder" and calm else f"{illness.cause}_{workup}"


def state_exposure(rng: random.Random, pool: str, kind: str, *, in_words: bool = False) -> Part:
    """The sentence on the drug: current, days to months after the last dose, planned, never, or unknown.

    A long note states `in_words` that no inhibitor was given: "paclitaxel only" leaves it open.
    """
    drug = rng.choice(COMMON["other_treatment"][pool] if kind == "never" else ICIS)
    idea = kind
    if kind in ("irae", "mimic", "well", "resolved"):
        idea = "past" if kind == "irae" and rng.random() < 0.25 else "current"
    elif kind == "undocumented" and rng.random() < 0.3:
        idea = "conflict"
    said = "never_stated" if in_words and idea == "never" else idea
    return say(rng, pool, Fact(said, 2, 11), drug=drug, role=idea)


def label(
    kind: str, illness: Illness, workup: str, quotes: tuple[str, ...], *, exposed: str = "", home: bool = False
) -> Assessment:
    """The label of a case under the design contracts: it follows from the kind, the illness and the workup.

    `exposed` is the exposure in the note; if the ICI has ended, there is nothing to hold. A patient sent `home` has
    the grade of the worst day and the urgency of the last: soon, during treatment (contract *Time*).
    """
    detected = kind in ("irae", "undocumented")
    reason = COMMON["reasons"]["excluded" if (kind, workup) == ("irae", "excluded") else kind]
    finding = f"{illness.why[0].upper()}{illness.why[1:]}: {illness.term}"
    finding = f"{finding}, CTCAE Grade {illness.grade}. " if detected else "" if kind in _WELL else f"{finding}. "
    likelihood = {"irae": WORKUPS.get(workup, Likelihood.POSSIBLE), "undocumented": Likelihood.UNCERTAIN}
    actions = illness.actions if detected else ("Treat the other cause",) if kind == "mimic" else ()
    if exposed == "past":
        actions = tuple(action for action in actions if not action.startswith(("Hold", "Continue")))
    if kind == "undocumented":
        actions = ("Ask for ICI exposure", *actions[:2])
    urgency = Urgency.ROUTINE if kind in _WELL else illness.urgency
    if home:
        reason += " Sent home improving, treatment goes on."
        urgency = Urgency.SOON
    return Assessment(
        evidence=quotes,
        reasoning=finding + reason,
        irae_detected=detected,
        affected_systems=illness.systems if detected else (),
        overall_severity=Severity.from_grade(illness.grade if detected else None),
        urgency=urgency,
        causality={"likelihood": likelihood.get(kind, Likelihood.UNLIKELY)},
        actions=actions,
    )


def distractors(rng: random.Random, pool: str, illness: Illness, kind: str, age: int) -> list[Part]:
    """True but irrelevant statements of a short note: a home drug, a normal value, history, normal vital signs."""
    home = rng.sample(COMMON["home_drugs"][pool], rng.randint(0, 2))
    normal = agreeing([Fact(**row) for row in COMMON["normal_labs"]], COMMON["normal_unless"], illness)
    labs = rng.sample(normal, rng.randint(0, 1)) if rng.random() < 0.7 else []
    parts = [Part("medications", drug) for drug in home]
    parts += [say(rng, pool, fact, plain=True) for fact in labs]
    if rng.random() < 0.35:
        parts.append(say(rng, pool, Fact("history"), age=age)._replace(section="history"))
    if kind in _WELL and rng.random() < 0.5:
        parts.append(Part("vitals", rng.choice(COMMON["vitals"][pool]).format(d=rng.randint(0, 9))))
    return parts
