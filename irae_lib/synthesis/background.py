"""Background of a long note: the rest of the patient, as for a stable person.

Each `data/synthesis/background/<pool>.json` holds one pool, by an author (a language model) who saw neither the other
pools nor the reader. The background never contradicts the problem: texts about its organ systems, and about those that
share their signs (`shares_signs` in common.json), are left out.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic import TypeAdapter

from ..schemas import System, Urgency
from .consistency import fits_age, fits_place, fits_state, fitting, speechless
from .illnesses import COMMON, FOLDER, POOLS
from .note_styles import Draft, capital


class Cancer(NamedTuple):
    """A cancer with wordings of its history; `sex` if only one sex has it, `clear` if no cancer is left."""

    name: str
    history: tuple[str, ...]
    sex: str = ""
    clear: bool = False


class Comorbidity(NamedTuple):
    """A chronic or past illness, its drugs, and the organ systems whose illness it could explain."""

    says: tuple[str, ...]
    drugs: tuple[str, ...] = ()
    avoid: tuple[System, ...] = ()


class Normal(NamedTuple):
    """An organ system without findings: `asked` in a review of systems, `seen` in an examination."""

    asked: tuple[str, ...]
    seen: tuple[str, ...]


class Scan(NamedTuple):
    """A restaging result, the organ systems whose illness it would show, and the cancer state it fits.

    `disease` is "spread" (visible tumor), "clear" (no visible tumor) or "" (either).
    """

    text: str
    avoid: tuple[System, ...] = ()
    disease: str = ""


class Background(NamedTuple):
    """One pool of background texts; `templates` and `closing` are grouped by kind of note."""

    cancers: tuple[Cancer, ...]
    comorbidities: tuple[Comorbidity, ...]
    negatives: dict[System, Normal]
    constitutional: tuple[str, ...]
    interval: tuple[str, ...]
    social: tuple[str, ...]
    family: tuple[str, ...]
    allergies: tuple[str, ...]
    vitals: tuple[str, ...]
    onset: tuple[str, ...]
    earlier_irae: dict[System, tuple[str, ...]]
    imaging: tuple[Scan, ...]
    treated: tuple[str, ...]
    improving: tuple[str, ...]
    settled: tuple[str, ...]
    sent_home: tuple[str, ...]
    education: tuple[str, ...]
    plan: tuple[str, ...]
    closing: dict[str, tuple[str, ...]]
    templates: dict[str, tuple[str, ...]]


_POOL = TypeAdapter(Background)
BACKGROUND: dict[str, Background] = {
    pool: _POOL.validate_json((FOLDER / "background" / f"{pool}.json").read_text(encoding="utf-8")) for pool in POOLS
}
# Number of comorbidities, organ systems asked about and plan lines, by kind of note.
_SIZES: dict[str, int] = COMMON["note_sizes"]
# An old illness precedes the cancer; an earlier irAE follows it.
_OLD_YEARS, _CANCER_YEARS, _EARLIER_YEARS = (1998, 2013), (2014, 2019), (2021, 2023)
_GENERAL = re.compile(COMMON["general_state"], re.I)
_OFTEN = ("interval", "social", "family", "allergies")
_OFTEN_WITHOUT_ASKING = ("social", "family")
# Patients who cannot answer are neither asked nor given examinations that need answers.
_NEEDS_HELP = (System.NEUROLOGIC, System.OCULAR, System.MUSCULOSKELETAL)
_SHARES_SIGNS = {System(name): frozenset(map(System, also)) for name, also in COMMON["shares_signs"].items()}


def left_out(systems: Iterable[System]) -> frozenset[System]:
    """Organ systems that the background omits: those of the problem and those that share their signs."""
    systems = frozenset(systems)
    return systems.union(*(_SHARES_SIGNS[one] for one in systems))


def surround(rng: random.Random, pool: str, draft: Draft) -> dict[str, str]:
    """Fill every template slot that is not about the problem; the amount of text depends on the kind of note."""
    mine, kind, quiet = BACKGROUND[pool], draft.form.kind, draft.quiet
    size, urgency = _SIZES[kind], Urgency.ROUTINE if draft.calm else draft.urgency

    def fits(text: str) -> bool:
        return fits_age(text, draft.age) and fits_place(text, kind)

    others = [one for one in mine.comorbidities if not quiet & set(one.avoid)]
    others = [one for one in others if all(fits_age(text, draft.age) for text in one.says)]
    ill = some(rng, others, size, size + 3)
    organs = [one for one in mine.negatives if one not in quiet]
    mute = speechless(draft.parts)
    rng.shuffle(organs)
    (cancer,) = [one for one in mine.cancers if one.name == draft.cancer]
    state = "clear" if cancer.clear else "spread"
    often = _OFTEN_WITHOUT_ASKING if mute else _OFTEN
    plans = [one for one in mine.plan if fits_state(one, urgency)]
    taught = draft.treated and urgency < Urgency.EMERGENCY
    scans = [one.text for one in mine.imaging if not quiet & set(one.avoid) and one.disease in ("", state)]
    past = [_dated(rng, rng.choice(one.says), _OLD_YEARS) for one in ill]
    if draft.treated and rng.random() < 0.12 * size:
        earlier = [text for organ in organs for text in mine.earlier_irae.get(organ, ())]
        past.append(_dated(rng, rng.choice(earlier), _EARLIER_YEARS))
    asked = [text for organ in organs for text in some(rng, _told(mine.negatives[organ].asked, draft), 1, size)]
    if mute:
        asked, organs = [], [one for one in organs if one not in _NEEDS_HELP]
    return {
        "cancer_history": _dated(rng, rng.choice(cancer.history), _CANCER_YEARS),
        "past": listed(rng, past),
        "medications": listed(rng, [drug for one in ill for drug in one.drugs]),
        "negatives": listed(rng, asked[: 2 * size] + (some(rng, mine.constitutional, 1, 2) if draft.calm else [])),
        "exam": listed(
            rng,
            [text for organ in organs for text in some(rng, _told(mine.negatives[organ].seen, draft), 1, 1)][
                : 1 + size
            ],
        ),
        "vitals": _vitals(rng, rng.choice(mine.vitals)) if draft.calm else "",
        "imaging": rng.choice(scans) if rng.random() < min(0.6, len(scans) / 18) else "",
        "plan": listed(rng, some(rng, plans, *((1, 2) if urgency is Urgency.EMERGENCY else (size, size + 2)))),
        "education": rng.choice(mine.education) if taught and rng.random() < 0.75 else "",
        "closing": rng.choice(mine.closing[kind]),
        **dict.fromkeys(_OFTEN, ""),
        **{name: fitting(rng, getattr(mine, name), fits) if rng.random() < 0.6 else "" for name in often},
    }


def _told(texts: Sequence[str], draft: Draft) -> list[str]:
    """Texts that fit the place; for an ill patient, without those that need good health ("strolls in unaided")."""
    here = [text for text in texts if fits_place(text, draft.form.kind)]
    return [text for text in here if draft.calm or not _GENERAL.search(text)]


def some(rng: random.Random, texts: Sequence[str], low: int, high: int) -> list[str]:
    """Sample `low` to `high` of the texts, or all if there are fewer."""
    return rng.sample(list(texts), min(len(texts), rng.randint(low, high)))


def listed(rng: random.Random, texts: Sequence[str]) -> str:
    """Join texts as notes do: one to three per group, as bullets, with semicolons or as sentences."""
    bare = [text.strip().rstrip(".") for text in texts]
    groups = []
    while bare:
        size = rng.choice((1, 2, 2, 3))
        groups.append(", ".join(bare[:size]))
        bare = bare[size:]
    how = rng.random()
    if len(groups) > 2 and how < 0.25:
        return "\n" + "\n".join(f"- {text}" for text in groups)
    if how < 0.55:
        return "; ".join(groups)
    return " ".join(f"{capital(text)}." for text in groups)


def _dated(rng: random.Random, text: str, years: tuple[int, int]) -> str:
    """Replace every `{year}` in a text with the same year."""
    return text.replace("{year}", str(rng.randint(*years)))


def _vitals(rng: random.Random, line: str) -> str:
    return line.format(
        sys=rng.randint(112, 138),
        dia=rng.randint(66, 84),
        hr=rng.randint(62, 86),
        temp=f"36.{rng.randint(3, 9)}",
        spo2=rng.randint(96, 99),
        rr=rng.randint(13, 17),
        weight=rng.randint(56, 94),
    )
