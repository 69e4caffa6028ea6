"""Write long notes of nine kinds: a template, filled with the problem and the patient's background."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from ..schemas import Case, System, Urgency
from .background import BACKGROUND, surround
from .consistency import is_spoken_of
from .illnesses import COMMON, IDEAS, LAB_NAMES, Fact, Illness
from .note_styles import Draft, Form, Part, agreeing, capital, quotes, say, sentences, with_slip

KINDS_OF_NOTE: dict[str, int] = COMMON["note_shares"]
SHORTEST = 40  # words; shorter notes also get the review of systems and the plan
_FROM_HOME = ("clinic", "phone", "portal", "nurse_form")
_BY_APPOINTMENT = ("clinic", "letter", "nurse_form")
_SECTIONS = ("symptoms", "vitals", "labs", "notes")
_BESIDE = ("vitals", "onset", "course", "cause", "past")
_SLOT = re.compile(r"\{(\w+)\}")
_LABS_UNLESS = COMMON["normal_unless"] | COMMON["table_unless"]
_LABS = [Fact(**row) for row in COMMON["normal_labs"] + COMMON["table_labs"]]


def choose_form(rng: random.Random, pool: str, illness: Illness, *, inpatient: bool = False) -> Form:
    """Choose a kind of note, a template (with laboratory values if the illness has any) and their layout.

    Only a Grade 3 illness that was treated as an `inpatient` ends in a discharge summary. Patients with a
    life-threatening illness do not write messages or fill in forms, and emergencies do not wait for an appointment.
    """
    has_labs = any(fact.lab or IDEAS[fact.idea].section == "labs" for fact in (*illness.key, *illness.also))
    kinds = [kind for kind in KINDS_OF_NOTE if kind != "discharge" or (inpatient and _ends_at_home(illness))]
    kinds = [kind for kind in kinds if kind not in _FROM_HOME or illness.grade < 4]
    kinds = [kind for kind in kinds if kind not in _BY_APPOINTMENT or illness.urgency < Urgency.EMERGENCY]
    while True:
        kind = rng.choices(kinds, [KINDS_OF_NOTE[kind] for kind in kinds])[0]
        template, layout = rng.choice(BACKGROUND[pool].templates[kind]), rng.choice(COMMON["table_layouts"][pool])
        if "{labs}" in template or not has_labs:
            return Form(kind, template, layout["head"], layout["line"], layout["join"])


def _ends_at_home(illness: Illness) -> bool:
    """Whether an illness needs a ward and can end at home after days; cardiac and neurologic ones stay urgent."""
    lasting = {System.CARDIAC, System.NEUROLOGIC} & set(illness.systems)
    return illness.grade == 3 and illness.urgency == Urgency.URGENT and not lasting


def normal_values(
    rng: random.Random, pool: str, form: Form, illness: Illness, parts: Sequence[Part] = ()
) -> list[Part]:
    """Normal rows of the table, without tests that contradict the illness or that `parts` mention."""
    free = [one for one in agreeing(_LABS, _LABS_UNLESS, illness) if not is_spoken_of(LAB_NAMES[one.lab], parts)]
    rows = COMMON["table_rows"][form.kind]
    chosen = rng.sample(free, min(len(free), rng.randint(rows * 2 // 3, rows))) if "{labs}" in form.template else []
    return [say(rng, pool, fact, form=form) for fact in chosen]


def write_long_note(
    rng: random.Random, pool: str, draft: Draft, case_id: str, *, slips: bool = True
) -> tuple[Case, tuple[str, ...]]:
    """The case, and the quotes (exact substrings of its text) that carry the label."""
    parts = list(draft.parts)
    rng.shuffle(parts)
    if slips and rng.random() < 0.2:
        parts = with_slip(rng, parts)
    around, told = surround(rng, pool, draft), _stated(rng, draft, parts)
    history = sentences(rng, [p.text for p in parts if p.section == "history"])
    slots = around | told | {"past": " ".join(filter(None, [history, around["past"]]))}
    # Texts without a slot in the template are added to the problem.
    for slot, text in (*told.items(), ("past", history)):
        if slot in _BESIDE and f"{{{slot}}}" not in draft.form.template:
            slots["problem"] = " ".join(filter(None, [slots["problem"], text]))
    text = _fill(draft.form.template, slots)
    if len(text.split()) < SHORTEST:
        text += f"\n{slots['negatives'].strip()}\n{slots['plan'].strip()}"
    return Case(id=case_id, text=text), quotes(draft, text)


def _stated(rng: random.Random, draft: Draft, parts: list[Part]) -> dict[str, str]:
    """The slots about the problem: who, drug, problem, values, signs, cause, course."""
    by_section = {name: [p.text for p in parts if p.section == name and p.role != "cause"] for name in _SECTIONS}
    table = draft.form.join.join(by_section["labs"])
    stated = {
        "who": f"{draft.age}-year-old {draft.sex} with {draft.cancer}",
        "drug": draft.drug.text,
        "onset": draft.onset,
        "problem": sentences(rng, by_section["symptoms"] + by_section["notes"]),
        "labs": f"{draft.form.head}\n{table}" if draft.form.head and table else table,
        "cause": sentences(rng, [p.text for p in parts if p.role == "cause"]),
        "course": capital(draft.course.text.rstrip(".")) + "." if draft.course else "",
    }
    signs = ", ".join(by_section["vitals"])
    return stated | ({"vitals": capital(signs) + "."} if signs else {})


def _fill(template: str, slots: dict[str, str]) -> str:
    """Fill the slots of a template; drop lines of empty slots, and headings with nothing else below."""
    kept: list[str] = []
    titled = False  # the last kept line is a heading of the template
    lines = template.split("\n")
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        names = _SLOT.findall(line)
        if names and not any(slots[name] for name in names):
            if kept and titled and (not below.strip() or _is_heading(below)):
                kept.pop()
                titled = False
            continue
        titled = _is_heading(line)
        kept.append(_SLOT.sub(lambda match: _placed(match.string, match, slots[match[1]]), line))
    return re.sub(r"\n{3,}", "\n\n", re.sub(r" +(?=\n|$)", "", "\n".join(kept))).strip()


def _placed(line: str, match: re.Match, text: str) -> str:
    """A slot's text, capitalized at the start of a sentence and without a second period."""
    before, after = line[: match.start()].rstrip(), line[match.end() :]
    if not before or before[-1] in ".!?:-":
        text = text and capital(text)
    return text.rstrip(".") if after.startswith((".", ",", ";")) else text


def _is_heading(line: str) -> bool:
    """Whether a line is short, has no slot, and is not a sentence."""
    return 0 < len(line.split()) <= 5 and "{" not in line and line.rstrip()[-1] not in ".,!?"
