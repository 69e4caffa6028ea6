"""How a note is put on paper: sections, narrative, telegram or form, with the slips of a busy hand.

A `Draft` says what a note states; `write_note` turns it into a `Case` and finds the evidence quotes in its text.
The same draft with the same generator state gives the same note, which is what minimal pairs are made of.
"""

from __future__ import annotations

import random
import re
from typing import NamedTuple

from ..schemas import Case
from .illnesses import COMMON, IDEAS, Fact
from .lab_values import draw, lab_text

STYLES = {
    "full": (("sections", 7), ("narrative", 6), ("telegram", 4), ("form", 3)),
    "short": (("sections", 15), ("narrative", 5)),
}
GRAVE = "! "
_CHOICE = re.compile(r"\(([^()|]*(?:\|[^()|]*)+)\)")
# Never in a word that turns a sentence round: a slip must not change what is said.
_SLIP = re.compile(
    r"\b(?!without|neither|nothing|negative|resolved|excluded|brother|grand|planned|previous)[a-z]{7,}\b"
)
_STATED = ("symptoms", "vitals", "labs", "notes", "history")
_ROWS = ("medications", "labs", "vitals")


class Part(NamedTuple):
    """One statement of a note; key parts carry the label and become evidence. `role` says what it is there for."""

    section: str
    text: str
    is_key: bool = False
    role: str = ""


class Draft(NamedTuple):
    """What a note states, before anyone decided how it looks. `drug` comes first, the rest in any order."""

    age: int
    sex: str
    cancer: str
    drug: Part
    parts: tuple[Part, ...]


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
) -> Part:
    """One fact in words.

    Args:
        line: picks the phrasing by its place in the pool, for pairs that must read alike.
        grave: whether causes that are urgent in themselves may be named.
        age: of the patient; years lie in adult life.
    """
    if fact.lab:
        return Part("labs", lab_text(rng, pool, fact, plain=plain), is_key, role)
    idea = IDEAS[fact.idea]
    lines = [one for one in getattr(idea, pool) if grave or not one.startswith(GRAVE)]
    frame = (rng.choice(lines) if line < 0 else lines[line % len(lines)]).removeprefix(GRAVE)
    text = _chosen(rng, frame).format(
        n=draw(rng, pool, fact.low, fact.high, fact.step),
        m=rng.randint(fact.m_low, fact.m_high),
        year=rng.randint(min(2021, max(1988, 2026 - age + 22)), 2021),
        drug=drug,
    )
    return Part(idea.section, " ".join(text.split()).replace(" ,", ","), is_key, role)


def _chosen(rng: random.Random, frame: str) -> str:
    """A phrasing with one of each "(a|b)"."""
    return _CHOICE.sub(lambda match: rng.choice(match.group(1).split("|")), frame)


def write_note(
    rng: random.Random, pool: str, draft: Draft, case_id: str, *, detail: str, slips: bool = True
) -> tuple[Case, tuple[str, ...]]:
    """The case, and the quotes (exact substrings of its text) that carry the label. `slips` allows a typing error."""
    names, weights = zip(*STYLES[detail], strict=True)
    style = rng.choices(names, weights)[0]
    parts = list(draft.parts)
    rng.shuffle(parts)
    if slips and rng.random() < (0.2 if detail == "full" else 0.05):
        parts = _with_slip(rng, parts)
    sections = {name: [p.text for p in (draft.drug, *parts) if p.section == name] for name in ("medications", *_STATED)}
    if style == "sections":
        case = _sectioned(rng, draft, sections, case_id)
    else:
        lay_out = {"narrative": _narrative, "telegram": _telegram, "form": _form}[style]
        case = Case(id=case_id, text=lay_out(rng, pool, draft, sections))
    # In the order in which a reader decides: was there an ICI, what is wrong, what else could explain it.
    grade = [p for p in draft.parts if p.is_key and p.role != "cause"][:2]
    quoted = [draft.drug, *grade, *(p for p in draft.parts if p.role == "cause")]
    return case, tuple(p.text if p.text in case.text else _capital(p.text) for p in quoted)


def _sectioned(rng: random.Random, draft: Draft, sections: dict[str, list[str]], case_id: str) -> Case:
    rows = {name: tuple(sections[name]) for name in _ROWS if sections[name]}
    prose = {"symptoms": _sentences(rng, sections["symptoms"])}
    # A past illness never shares a sentence with a present one.
    halves = [_sentences(rng, sections["notes"]), _sentences(rng, sections["history"])]
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
    opening = _capital(_opener(rng, pool, draft)) + rng.choice((", ", ". "))
    opening += (drug if opening.endswith(", ") else _capital(drug)) + "."
    blocks = [opening]
    for name in filter(sections.get, _STATED):
        intro = _intro(rng, pool, name) if name != "history" else ""
        if name in ("labs", "vitals"):
            blocks.append(_capital(intro + ", ".join(sections[name])) + ".")
        else:
            blocks.append(intro + _sentences(rng, sections[name]))
    if home:
        blocks.append("Home: " + ", ".join(home) + ".")
    return " ".join(blocks)


def _telegram(rng: random.Random, pool: str, draft: Draft, sections: dict[str, list[str]]) -> str:
    drug, *home = sections["medications"]
    lines = [f"{_opener(rng, pool, draft)}, {drug}"]
    lines += [
        _intro(rng, pool, name) + ", ".join(sections[name]) for name in ("symptoms", "vitals", "labs") if sections[name]
    ]
    lines += sections["notes"] + sections["history"] + (["home " + ", ".join(home)] if home else [])
    return ". ".join(lines) + "."


def _form(rng: random.Random, pool: str, draft: Draft, sections: dict[str, list[str]]) -> str:
    lines = ["PATIENT", _opener(rng, pool, draft), "TREATMENT", *[f"- {text}" for text in sections["medications"]]]
    for name in filter(sections.get, _STATED):
        lines += [name.upper(), *[f"- {text}" for text in sections[name]]]
    return "\n".join(lines)


def _joined(rng: random.Random, texts: list[str]) -> list[str]:
    """Sentences, of which some hold two statements."""
    out: list[str] = []
    for text in texts:
        if out and rng.random() < 0.3 and len(out[-1]) + len(text) < 110:
            out[-1] += ", " + text
        else:
            out.append(text)
    return out


def _sentences(rng: random.Random, texts: list[str]) -> str:
    return " ".join(_capital(text) + "." for text in _joined(rng, texts))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _with_slip(rng: random.Random, parts: list[Part]) -> list[Part]:
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
