"""Phrase facts and write short notes: sections or narrative, with occasional typing errors.

A `Draft` holds the statements of a note; `write_note` turns it into a `Case` and finds the evidence quotes in its text.
The same draft with the same generator state gives the same note, which minimal pairs rely on.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..schemas import MAX_QUOTE, Case, System, Urgency
from .illnesses import COMMON, IDEAS, LAY, Fact, Illness
from .lab_values import draw, lab_text

_STYLES, _WEIGHTS = ("sections", "narrative"), (15, 5)
GRAVE = "! "
_CHOICE = re.compile(r"\(([^()|]*(?:\|[^()|]*)+)\)")
# Not in words that can reverse a sentence: a typing error must not change the meaning.
_SLIP = re.compile(
    r"\b(?!without|neither|nothing|negative|resolved|excluded|brother|grand|planned|previous)[a-z]{7,}\b"
)
_STATED = ("symptoms", "vitals", "labs", "notes", "history")
_ROWS = ("medications", "labs", "vitals")


class Part(NamedTuple):
    """One statement of a note; key parts carry the label and become evidence. `role` is its purpose."""

    section: str
    text: str
    is_key: bool = False
    role: str = ""


class Form(NamedTuple):
    """Form of a long note: its kind, its template, and the layout of its laboratory values.

    `row` is the layout of one value, `head` a line above the values, `join` the separator between values.
    """

    kind: str
    template: str
    head: str
    row: str
    join: str

    @property
    def lay(self) -> bool:
        """Whether the patient is speaking."""
        return self.kind in ("portal", "phone")


class Draft(NamedTuple):
    """The statements of a note, independent of its style. `drug` comes first, the rest in any order.

    A long note has a `form`, and perhaps an `onset` and a `course` of its problem. It says nothing else about the organ
    systems in `quiet`. `calm` means normal vital signs, `treated` that an ICI was given; `urgency` is the label's.
    """

    age: int
    sex: str
    cancer: str
    drug: Part
    parts: tuple[Part, ...]
    form: Form | None = None
    onset: str = ""
    course: Part | None = None
    quiet: frozenset[System] = frozenset()
    calm: bool = False
    treated: bool = True
    urgency: Urgency = Urgency.ROUTINE


def say(
    rng: random.Random,
    pool: str,
    fact: Fact,
    *,
    is_key: bool = False,
    role: str = "",
    drug: str = "",
    plain: bool = False,
    line: int = -1,
    grave: bool = True,
    age: int = 60,
    form: Form | None = None,
) -> Part:
    """Phrase one fact.

    Args:
        form: of the long note, for the layout of its table, or the patient's own words in a message.
        line: index of the phrasing in the pool, for pairs that must read alike.
        grave: whether causes that are urgent in themselves may be named.
        age: of the patient; years fall in adult life.
    """
    if fact.lab:
        return Part("labs", lab_text(rng, pool, fact, plain=plain, row=form.row if form else ""), is_key, role)
    idea = IDEAS[fact.idea]
    own_words = LAY.get(fact.idea, {}).get(pool, ()) if form and form.lay else ()
    lines = [one for one in own_words or getattr(idea, pool) if grave or not one.startswith(GRAVE)]
    frame = (rng.choice(lines) if line < 0 else lines[line % len(lines)]).removeprefix(GRAVE)
    text = _chosen(rng, frame).format(
        n=draw(rng, pool, fact.low, fact.high, fact.step),
        m=rng.randint(fact.m_low, fact.m_high),
        year=rng.randint(min(2021, max(1988, 2026 - age + 22)), 2021),
        drug=drug,
    )
    return Part(idea.section, " ".join(text.split()).replace(" ,", ","), is_key, role)


def agreeing(normal: Sequence[Fact], unless: Mapping[str, Sequence[str]], illness: Illness) -> list[Fact]:
    """Normal values that do not contradict an illness: tests that it does not state and its organs do not affect."""
    taken = {fact.lab for fact in (*illness.key, *illness.also)}
    return [one for one in normal if one.lab not in taken and not {*unless.get(one.lab, ())} & {*illness.systems}]


def _chosen(rng: random.Random, frame: str) -> str:
    """Choose one alternative of each "(a|b)" in a phrasing."""
    return _CHOICE.sub(lambda match: rng.choice(match.group(1).split("|")), frame)


def write_note(
    rng: random.Random, pool: str, draft: Draft, case_id: str, *, slips: bool = True
) -> tuple[Case, tuple[str, ...]]:
    """A short note, and the quotes (exact substrings of its text) that carry the label. `slips` adds typing errors."""
    style = rng.choices(_STYLES, _WEIGHTS)[0]
    parts = list(draft.parts)
    rng.shuffle(parts)
    if slips and rng.random() < 0.05:
        parts = with_slip(rng, parts)
    sections = {name: [p.text for p in (draft.drug, *parts) if p.section == name] for name in ("medications", *_STATED)}
    if style == "sections":
        case = _sectioned(rng, draft, sections, case_id)
    else:
        case = Case(id=case_id, text=_narrative(rng, pool, draft, sections))
    return case, quotes(draft, case.text)


def quotes(draft: Draft, text: str) -> tuple[str, ...]:
    """The decisive statements as they appear in the text: ICI exposure, illness, course, cause."""
    grade = [p for p in draft.parts if p.is_key and p.role != "cause"][:2]
    course = [draft.course] if draft.course and draft.course.is_key else []
    stated = [draft.drug, *grade, *course, *(p for p in draft.parts if p.role == "cause")]
    return tuple(_quotable(p.text if p.text in text else capital(p.text)) for p in stated)


def _quotable(text: str) -> str:
    """The text, cut between words to the length limit of a quote."""
    return text if len(text) <= MAX_QUOTE else text[: MAX_QUOTE + 1].rsplit(" ", 1)[0]


def _sectioned(rng: random.Random, draft: Draft, sections: dict[str, list[str]], case_id: str) -> Case:
    rows = {name: tuple(sections[name]) for name in _ROWS if sections[name]}
    prose = {"symptoms": sentences(rng, sections["symptoms"])}
    # A past illness never shares a sentence with a present one.
    halves = [sentences(rng, sections["notes"]), sentences(rng, sections["history"])]
    prose["notes"] = " ".join(filter(None, halves if rng.random() < 0.7 else halves[::-1]))
    return Case(id=case_id, age=draft.age, cancer_type=draft.cancer, **rows, **prose)


def _opener(rng: random.Random, pool: str, draft: Draft) -> str:
    line = _chosen(rng, rng.choice(COMMON["openers"][pool]))
    initial = "F" if draft.sex in ("woman", "female", "lady") else "M"
    return line.format(age=draft.age, sex=draft.sex, initial=initial, cancer=draft.cancer)


def _intro(rng: random.Random, pool: str, section: str) -> str:
    return rng.choice(COMMON["intros"][section][pool])


def _narrative(rng: random.Random, pool: str, draft: Draft, sections: dict[str, list[str]]) -> str:
    drug, *home = sections["medications"]
    opening = capital(_opener(rng, pool, draft)) + rng.choice((", ", ". "))
    opening += (drug if opening.endswith(", ") else capital(drug)) + "."
    blocks = [opening]
    for name in filter(sections.get, _STATED):
        intro = _intro(rng, pool, name) if name != "history" else ""
        if name in ("labs", "vitals"):
            blocks.append(capital(intro + ", ".join(sections[name])) + ".")
        else:
            blocks.append(intro + sentences(rng, sections[name]))
    if home:
        blocks.append("Home: " + ", ".join(home) + ".")
    return " ".join(blocks)


def _joined(rng: random.Random, texts: list[str]) -> list[str]:
    """Join some statements into sentences that hold two or more."""
    out: list[str] = []
    for text in texts:
        if out and rng.random() < 0.3 and len(out[-1]) + len(text) < 110:
            out[-1] += ", " + text
        else:
            out.append(text)
    return out


def sentences(rng: random.Random, texts: list[str]) -> str:
    return " ".join(capital(text) + "." for text in _joined(rng, texts))


def capital(text: str) -> str:
    return text[0].upper() + text[1:]


def with_slip(rng: random.Random, parts: list[Part]) -> list[Part]:
    """The parts with two letters swapped in one long word of one part that does not carry the label."""
    places = [
        (i, m)
        for i, p in enumerate(parts)
        if not p.is_key and not p.role and p.section in ("symptoms", "notes")
        for m in _SLIP.finditer(p.text)
    ]
    if not places:
        return parts
    i, match = rng.choice(places)
    at = rng.randint(match.start() + 1, match.end() - 3)
    text = parts[i].text
    return [*parts[:i], parts[i]._replace(text=text[:at] + text[at + 1] + text[at] + text[at + 2 :]), *parts[i + 1 :]]
