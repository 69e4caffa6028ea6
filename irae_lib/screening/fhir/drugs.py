"""Drugs of a patient, and which of them are checkpoint inhibitors that were given or taken.

An order counts as exposure from the day it begins: the record may not hold administrations. What was not done, is
planned or proposed, or was entered in error never counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ...files import built_once
from ...safety.lexicon import DRUGS as KNOWN
from .chart import Chart
from .files import Entry
from .resources import (
    CodeableConcept,
    Drug,
    Medication,
    MedicationAdministration,
    MedicationDispense,
    MedicationRequest,
)
from .times import Moment, moment
from .values import Unreadable, tables

_NEVER_TAKEN = {
    "not-done", "not-taken", "intended", "draft", "declined", "preparation",
    "doNotPerform", "proposal", "plan", "option",
}  # fmt: skip
_ENDED = frozenset(("stopped", "completed"))


class Dose(NamedTuple):
    """A drug in the record. `verb` says what is known: given, ordered, dispensed or taken."""

    name: str
    verb: str
    start: Moment | None
    end: Moment | None
    inhibitor: bool  # a checkpoint inhibitor
    ended: bool = False


@built_once
def _names() -> re.Pattern[str]:
    names = {name for generic, row in KNOWN["checkpoint_inhibitors"].items() for name in (generic, *row["names"])}
    longest = sorted(map(re.escape, names), key=len, reverse=True)
    return re.compile(rf"(?<![a-z0-9])(?:{'|'.join(longest)})(?![a-z0-9])", re.I)


@built_once
def _codes() -> dict[str, dict[str, str]]:
    """Names by code, for each code system."""
    listed = tables()["checkpoint_inhibitors"]
    return {system: {code: name for name, codes in rows.items() for code in codes} for system, rows in listed.items()}


def _by_code(concept: CodeableConcept) -> str:
    """The checkpoint inhibitor that a code names; "" if it names none."""
    for coding in concept.coding:
        system, code = (coding.system or "").lower(), (coding.code or "").upper()
        for name, codes in _codes().items():
            if name in system and (code in codes or (name == "atc" and code[:5] in codes)):
                return codes.get(code) or codes[code[:5]]
    return ""


def doses(chart: Chart) -> Iterator[Dose]:
    """Every drug that the patient was given, takes or was ordered; what cannot be read goes to the chart's `lost`."""
    for key, entry in chart.of(Drug):
        if reason := _not_taken(entry.resource):
            chart.dropped[reason] += 1
            continue
        try:
            yield _dose(chart, entry)
        except Unreadable as error:
            chart.lose(key, str(error))


def _not_taken(drug: Drug) -> str:
    """The reason why this was never taken; "" if it was, or may have been."""
    said = [drug.status]
    if isinstance(drug, MedicationRequest):
        said += [drug.intent, "doNotPerform" if drug.doNotPerform else None]
    return next((word for word in said if word in _NEVER_TAKEN), "")


def _dose(chart: Chart, entry: Entry) -> Dose:
    drug = entry.resource
    concepts = [drug.medicationCodeableConcept] if drug.medicationCodeableConcept else []
    shown = ""
    if drug.medicationReference and drug.medicationReference.reference:
        shown = drug.medicationReference.display or ""
        concepts += _ingredients(chart, entry, drug.medicationReference.reference)
    words = next(filter(None, (concept.words for concept in concepts)), " ".join(shown.split())[:300])
    coded = next(filter(None, map(_by_code, concepts)), "")
    everything = " ".join(
        (words, shown, *(c.display or "" for concept in concepts for c in concept.coding), *(c.words for c in concepts))
    )
    named = _names().search(everything)
    if not words and not coded:
        raise Unreadable("the drug has neither a name nor a code; expected a text, a display or a known code")
    inhibitor = bool(coded or named)
    if inhibitor and not _names().search(words):
        words = coded or named[0]
    return Dose(words, *_times(drug), inhibitor, drug.status in _ENDED)


def _ingredients(chart: Chart, entry: Entry, reference: str) -> list[CodeableConcept]:
    medication = chart.find(reference, entry)
    if not isinstance(medication, Medication):
        raise Unreadable("its medicationReference points to something that is not a Medication")
    parts = [part.itemCodeableConcept for part in medication.ingredient if part.itemCodeableConcept]
    return ([medication.code] if medication.code else []) + parts


def _times(drug: Drug) -> tuple[str, Moment | None, Moment | None]:
    if isinstance(drug, MedicationRequest):
        timings = [dosage.timing for dosage in drug.dosageInstruction if dosage.timing]
        periods = [timing.repeat.boundsPeriod for timing in timings if timing.repeat and timing.repeat.boundsPeriod]
        starts = [
            moment(time) for time in (*(p.start for p in periods), *(t for g in timings for t in g.event)) if time
        ]
        start = min(starts, key=lambda m: m.local) if starts else moment(drug.authoredOn)
        ends = [moment(period.end) for period in periods if period.end]
        return "ordered", start, max(ends, key=lambda m: m.local) if ends else None
    if isinstance(drug, MedicationDispense):
        return "dispensed", moment(drug.whenHandedOver or drug.whenPrepared), None
    period = drug.effectivePeriod
    start = moment(drug.effectiveDateTime or (period.start if period else None) or getattr(drug, "dateAsserted", None))
    verb = "given" if isinstance(drug, MedicationAdministration) else "taken"
    return verb, start, moment(period.end) if period else None


def exposed(doses: list[Dose], end: Moment | None) -> bool:
    """Whether a checkpoint inhibitor was begun by `end`. One without a date counts; one that begins later does not."""
    return any(dose.inhibitor and _begun(dose, end) for dose in doses)


def _begun(dose: Dose, end: Moment | None) -> bool:
    return dose.start is None or end is None or dose.start.by(end)


_RECENT = 90  # days before a case in which an ended drug is still listed


def drug_lines(doses: list[Dose], start: Moment | None, end: Moment | None) -> list[str]:
    """One line for each drug: every checkpoint inhibitor begun by `end`, and the others in use or recently ended."""
    groups: dict[tuple[str, str], list[Dose]] = {}
    for dose in doses:
        if _begun(dose, end) and (dose.inhibitor or not _is_over(dose, start)):
            groups.setdefault((dose.name, dose.verb), []).append(dose)
    return sorted(_line(name, verb, group) for (name, verb), group in groups.items())


def _is_over(dose: Dose, start: Moment | None) -> bool:
    last = dose.end or dose.start
    single = dose.verb in ("given", "dispensed") or dose.ended or dose.end
    return bool(single and last and start and (start.local - last.local).days > _RECENT)


def _line(name: str, verb: str, group: list[Dose]) -> str:
    days = sorted({moment.day for dose in group for moment in (dose.start, dose.end) if moment})
    dates = " to ".join(dict.fromkeys((days[0], days[-1]))) if days else ""
    times = f" {len(group)} times" if len(group) > 1 else ""
    ended = ", stopped" if all(dose.ended for dose in group) and verb in ("ordered", "taken") else ""
    return f"{dates} {name}, {verb}{times}{ended}".strip()
