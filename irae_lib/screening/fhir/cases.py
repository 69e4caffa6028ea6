"""Turn the record of a patient into cases: one for each encounter, and one for each day outside encounters.

A case has the laboratory values and vital signs of the encounter in the order of time, its documents and reports, the
problem list, and the drugs up to its end. Drugs alone make no case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from .chart import Chart
from .conditions import Problem, problem_lines, problems
from .documents import READABLE, attachment_text, html_text, media_type
from .drugs import Dose, doses, drug_lines, exposed
from .files import Entry, Lost
from .resources import (
    Attachment,
    Binary,
    Composition,
    DiagnosticReport,
    DocumentReference,
    Encounter,
    Observation,
    Section,
)
from .spool import Person, Spool
from .times import Moment, first, in_one_zone, moment
from .values import Unreadable, is_vital, name_of, value_lines

_NOT_CLINICAL = frozenset(("social-history", "survey"))
_FREE_TEXT = frozenset(("exam", "imaging", "procedure", "therapy", "activity"))
_LONGEST_VALUE = 200  # characters; a longer valueString is a note


class Item(NamedTuple):
    """One value or document of a case; the line of a value gets its time in front."""

    section: str  # labs, vitals, symptoms or notes
    time: Moment | None
    text: str


class Visit(NamedTuple):
    """An encounter, or a day without one. `start` and `end` are None where nothing has a date."""

    id: str
    encounter: Encounter | None
    items: list[Item]
    start: Moment | None
    end: Moment | None


def cases_of(person: Person, spool: Spool, dropped: Counter[str]) -> Iterator[dict[str, Any] | Lost]:
    """The rows of a patient for `notes.read_notes`, then the dead letters."""
    chart = Chart(person, spool, dropped)
    taken = list(doses(chart))
    listed = list(problems(chart))
    for visit in sorted(_visits(chart, listed), key=lambda v: (v.start.local.isoformat() if v.start else "", v.id)):
        yield _row(chart, visit, taken, listed)
    yield from chart.lost


def _visits(chart: Chart, listed: list[Problem]) -> Iterator[Visit]:
    groups: dict[str, list[Item]] = {}
    encounters: dict[str, Encounter | None] = {}
    for key, item in _items(chart):
        id, encounter = chart.encounter_of(key)
        name = id or (item.time.day if item.time else "undated")
        groups.setdefault(name, []).append(item)
        encounters[name] = encounter
    for problem in listed:  # a visit of which only the diagnosis was coded
        if problem.visit and problem.visit not in groups:
            groups[problem.visit] = []
            encounters[problem.visit] = problem.encounter
    for name, items in groups.items():
        yield _visit(name, encounters[name], items)


_UNDATED = (datetime.min, False)  # before all others: not the newest


def _visit(id: str, encounter: Encounter | None, items: list[Item]) -> Visit:
    items = [item._replace(time=time) for item, time in zip(items, in_one_zone([i.time for i in items]), strict=True)]
    items.sort(key=lambda item: (item.time.local, item.time.clock) if item.time else _UNDATED)
    period = encounter.period if encounter else None
    times = [item.time for item in items if item.time]
    opened, closed = (moment(period.start), moment(period.end)) if period else (None, None)
    times += filter(None, (opened, closed))
    start = opened or (min(times, key=lambda m: m.local) if times else None)
    return Visit(id, encounter, items, start, max(times, key=lambda m: m.local) if times else None)


def _row(chart: Chart, visit: Visit, taken: list[Dose], listed: list[Problem]) -> dict[str, Any]:
    sections = {name: [_stamped(i) for i in visit.items if i.section == name] for name in ("labs", "vitals")}
    notes = [problem_lines(listed, visit.id, visit.start, visit.end)]
    notes += [item.text for item in visit.items if item.section == "notes"]
    reasons = visit.encounter.reasonCode if visit.encounter else ()
    provider = visit.encounter.serviceProvider if visit.encounter else None
    return {
        "id": f"{chart.name}/{visit.id}",
        "age": _age(chart, visit.start),
        "medications": "; ".join(drug_lines(taken, visit.start, visit.end)),
        **sections,
        "symptoms": "; ".join(filter(None, (reason.words for reason in reasons))),
        "notes": "\n\n".join(filter(None, notes)),
        "date": visit.start.day if visit.start else "",
        "site": (provider.display or provider.reference or "") if provider else "",
        "exposed": "yes" if exposed(taken, visit.end) else "",
    }


def _stamped(item: Item) -> str:
    return f"{item.time.words} {item.text}" if item.time else item.text


def _age(chart: Chart, at: Moment | None) -> int | None:
    born = moment(chart.patient.birthDate) if chart.patient and chart.patient.birthDate else None
    if born is None or at is None:
        return None
    years = at.local.year - born.local.year
    years -= born.form != "%Y" and (at.local.month, at.local.day) < (born.local.month, born.local.day)
    return years if 0 <= years <= 120 else None


def _items(chart: Chart) -> Iterator[tuple[str, Item]]:
    """Key and item of every value, report and document; what cannot be read goes to the chart's `lost`."""
    readers = ((Observation, _observation), (DiagnosticReport, _report))
    for kind, read in (*readers, (DocumentReference, _document), (Composition, _composition)):
        for key, entry in chart.of(kind):
            try:
                items = list(read(chart, key, entry))
            except Unreadable as error:
                chart.lose(key, str(error))
                continue
            yield from ((key, item) for item in items)


def _observation(chart: Chart, key: str, entry: Entry) -> Iterator[Item]:
    observation: Observation = entry.resource
    categories = frozenset(code for concept in observation.category for code in concept.codes)
    if categories & _NOT_CLINICAL:
        chart.dropped["social history or survey"] += 1
        return
    time = chart.time_of(key)
    written = False
    for name, line in value_lines(observation, (chart.patient.gender if chart.patient else "") or ""):
        vital = is_vital(name) or "vital-signs" in categories
        free = categories & _FREE_TEXT and not vital or len(line) > _LONGEST_VALUE + len(name)
        item = Item("notes" if free else "vitals" if vital else "labs", time, line)
        yield item._replace(text=_stamped(item)) if free else item
        written = True
    remarks = [" ".join(note.text.split()) for note in observation.note if note.text]
    if not written and not observation.hasMember and (story := _narrative(observation)):
        remarks.append(story)
    if remarks:
        item = Item("notes", time, f"{name_of(observation.code)}: {' '.join(remarks)}")
        yield item._replace(text=_stamped(item))
    elif not written:
        chart.dropped["panel without a value of its own" if observation.hasMember else "result without a value"] += 1


def _narrative(resource: Observation | DiagnosticReport) -> str:
    return html_text(resource.text.div) if resource.text and resource.text.div else ""


def _report(chart: Chart, key: str, entry: Entry) -> Iterator[Item]:
    """The words of a report; its values are Observations, read on their own."""
    report: DiagnosticReport = entry.resource
    texts = [report.conclusion.strip()] if report.conclusion else []
    if report.presentedForm:
        try:
            texts.append(_best_form(chart, entry, report.presentedForm))
        except Unreadable:
            if not (texts or report.result):
                raise
    elif not texts and not report.result:
        texts.append(_narrative(report))
    if text := "\n".join(dict.fromkeys(filter(None, texts))):
        time = chart.time_of(key)
        yield Item("notes", time, f"{_title(name_of(report.code), time)}\n{text}")
    elif not report.result:
        chart.dropped["report without a result"] += 1


def _document(chart: Chart, key: str, entry: Entry) -> Iterator[Item]:
    document: DocumentReference = entry.resource
    if document.status == "superseded" or document.docStatus == "entered-in-error":
        chart.dropped[document.docStatus if document.status != "superseded" else "superseded"] += 1
        return
    forms = tuple(content.attachment for content in document.content)
    time = first(document.context.period if document.context else None, document.date)
    if text := _best_form(chart, entry, forms):
        yield Item("notes", time, f"{_title(document.type.words if document.type else '', time)}\n{text}")
    else:
        chart.dropped["empty document"] += 1


def _best_form(chart: Chart, entry: Entry, forms: tuple[Attachment, ...]) -> str:
    """The text of one document, from the most readable of its forms."""
    loaded = [_loaded(chart, entry, form) for form in forms]
    if not loaded:
        raise Unreadable("a document without an attachment")
    rank = {kind: number for number, kind in enumerate(READABLE)}
    return attachment_text(min(loaded, key=lambda form: rank.get(media_type(form), len(rank))))


def _loaded(chart: Chart, entry: Entry, form: Attachment) -> Attachment:
    """The attachment with its data, which may be a Binary of the export."""
    if form.data or not form.url:
        return form
    binary = chart.find(form.url, entry)
    if not isinstance(binary, Binary):
        raise Unreadable("the url of its attachment points to something that is not a Binary")
    return form.model_copy(update={"data": binary.data, "contentType": form.contentType or binary.contentType})


def _composition(chart: Chart, key: str, entry: Entry) -> Iterator[Item]:
    composition: Composition = entry.resource
    time = first(composition.date)
    sections = list(_section_texts(composition.section))
    text = "\n".join(sections) or (html_text(composition.text.div) if composition.text and composition.text.div else "")
    title = composition.title or (composition.type.words if composition.type else "")
    if text:
        yield Item("notes", time, f"{_title(' '.join(title.split()), time)}\n{text}")
    else:
        chart.dropped["empty document"] += 1


def _section_texts(sections: tuple[Section, ...]) -> Iterator[str]:
    for section in sections:
        text = html_text(section.text.div) if section.text and section.text.div else ""
        if text:
            yield f"{' '.join(section.title.split())}:\n{text}" if section.title else text
        yield from _section_texts(section.section)


def _title(words: str, time: Moment | None) -> str:
    return " ".join(filter(None, (words or "Note", f"({time.words})" if time else ""))) + ":"
