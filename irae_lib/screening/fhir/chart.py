"""The record of one patient: newest versions, links between resources, and dead letters for broken references."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pydantic import ValidationError

from ...errors import explain
from .files import Entry, Lost
from .resources import MODELS, DiagnosticReport, Encounter, Meta, Observation, Patient, Reference, Resource
from .spool import Person, Spool, label, shown
from .times import Moment, first
from .values import Unreadable

DROPPED = frozenset(("entered-in-error", "cancelled"))  # statuses of what never happened


class Chart:
    """The resources of a patient by key, without those entered in error.

    Attributes:
        entries: by key; contained results have the key of their container and "#id".
        lost: dead letters. `dropped`: counts of what was left out on purpose, by reason.
    """

    def __init__(self, person: Person, spool: Spool, dropped: Counter[str]):
        self.name, self.lost, self.dropped = person.name, [], dropped
        self.patient: Patient | None = None
        self.entries: dict[str, Entry] = {}
        self._spool = spool
        self._outer: dict[str, str] = {}  # the container of a contained result
        self._places: dict[tuple[int, str], str] = {}  # keys by scope (-1: any) and reference
        for key, entry in _newest(person.resources).items():
            self._add(key, entry)
        self._parents = self._linked()

    def _add(self, key: str, entry: Entry) -> None:
        resource = entry.resource
        if isinstance(resource, Patient):
            self.patient = resource
            return
        self.entries[key] = entry
        reference = f"{resource.resourceType}/{resource.id}"
        for scope in (entry.scope, -1):
            self._places.setdefault((scope, reference), key)
        self._places.setdefault((-1, entry.url or entry.base + reference), key)

    def of(self, kind: type[Resource]) -> Iterator[tuple[str, Entry]]:
        """Key and entry of every resource of a type that counts; what was entered in error is counted and left out."""
        for key, entry in self.entries.items():
            if not isinstance(entry.resource, kind):
                continue
            if entry.resource.status in DROPPED:
                self.dropped[entry.resource.status] += 1
            else:
                yield key, entry

    def key_of(self, reference: str, entry: Entry) -> str | None:
        """The key of the patient's resource that a reference in `entry` points to."""
        reference = reference.partition("/_history/")[0]
        tail = "/".join(reference.split("/")[-2:])
        for place in ((entry.scope, reference), (-1, entry.base + reference), (-1, reference)):
            if place in self._places:
                return self._places[place]
        other = self._places.get((-1, tail)) if reference.startswith("http") else None
        return other if other and not self.entries[other].base else None  # exported from the server without addresses

    def find(self, reference: str, entry: Entry) -> Resource:
        """The resource outside the patient's record that a reference points to: a Medication, a Binary.

        Raises:
            Unreadable: it is not there, or is not what it should be.
        """
        if reference.startswith("#"):
            return self._contained(reference[1:], entry)
        found = self._spool.find(reference, entry.scope, entry.base)
        if found is None:
            raise Unreadable(f"it refers to {shown(reference)}, which is not in the input or could not be read")
        return found.resource

    def _contained(self, id: str, entry: Entry) -> Resource:
        content = next((content for content in entry.resource.contained if content.get("id") == id), None)
        if content is None:
            raise Unreadable(f"it refers to {shown('#' + id)}, which it does not contain")
        model = MODELS.get(content.get("resourceType"))
        if model is None:
            raise Unreadable(f"it refers to {shown('#' + id)}, which is of a type that is not read")
        try:
            return model.model_validate(content)
        except ValidationError as error:
            raise Unreadable(f"contained {model.__name__}: {explain(error)}") from None

    def encounter_of(self, key: str) -> tuple[str, Encounter | None]:
        """Id and resource of the encounter that a resource belongs to; ("", None) without one."""
        for above in self._ancestry(key):
            entry = self.entries[above]
            if (reference := _encounter(entry.resource)) is None:
                continue
            at = self.key_of(reference, entry)
            encounter = self.entries[at].resource if at else None
            if isinstance(encounter, Encounter):
                return encounter.id or (self.entries[at].url or at).rpartition(":")[2], encounter
            self._lose(shown(reference), "the encounter is not in the input; its results were read without it")
            return shown(reference).rpartition(":")[2].rpartition("/")[2], None
        return "", None

    def time_of(self, key: str) -> Moment | None:
        """When a result was taken: its own time, else that of its panel or report, else its time of issue."""
        for above in self._ancestry(key):
            resource = self.entries[above].resource
            if isinstance(resource, Observation):
                time = first(resource.effectiveDateTime, resource.effectivePeriod, resource.effectiveInstant)
            else:
                time = first(resource.effectiveDateTime, resource.effectivePeriod)
            if time:
                return time
        return first(*(self.entries[above].resource.issued for above in self._ancestry(key)))

    def _ancestry(self, key: str) -> list[str]:
        """The resource and what it is a result of, upwards."""
        chain = [key]
        while (above := self._parents.get(chain[-1])) is not None and above not in chain:
            chain.append(above)
        return chain

    def lose(self, key: str, reason: str) -> None:
        """Add a dead letter about a resource of this patient."""
        self._lose(label(self.entries[key].resource), reason)

    def _lose(self, what: str, reason: str) -> None:
        lost = Lost(f"{self.name} {what}", reason)
        if lost not in self.lost:
            self.lost.append(lost)

    def _linked(self) -> dict[str, str]:
        """The panel or report of each result; contained results become entries, missing ones and cycles are lost."""
        parents: dict[str, str] = {}
        links: dict[str, list[str]] = {}
        waiting = [
            key for key, entry in self.entries.items() if isinstance(entry.resource, Observation | DiagnosticReport)
        ]
        for key in waiting:  # grows by contained results
            entry = self.entries[key]
            if entry.resource.status in DROPPED:
                continue
            for reference in _results(entry.resource):
                try:
                    child = self._child(key, entry, reference, waiting)
                except Unreadable as error:
                    self.lose(key, str(error))
                    continue
                links.setdefault(key, []).append(child)
                parents.setdefault(child, key)
        for key in _on_cycles(links):
            self.lose(key, "its members lead back to itself; each value was read once")
        return parents

    def _child(self, key: str, entry: Entry, reference: str, waiting: list[str]) -> str:
        if not reference.startswith("#"):
            child = self.key_of(reference, entry)
            if child is None:
                raise Unreadable(f"its result {shown(reference)} is not in the input or could not be read")
            return child
        outer = self._outer.get(key, key)
        child = outer + reference
        if child not in self.entries:
            resource = self._contained(reference[1:], self.entries[outer])
            if not isinstance(resource, Observation):
                raise Unreadable(f"its result {shown(reference)} is not an Observation")
            self.entries[child] = Entry(entry.scope, resource, base=entry.base)
            self._outer[child] = outer
            waiting.append(child)
        return child


def _newest(entries: list[Entry]) -> dict[str, Entry]:
    """The newest version of each resource, by key.

    Two that differ and do not say which is newer are both kept: ids may be those of one bundle, and no value is lost.
    """
    versions: dict[str, list[Entry]] = {}
    for number, entry in enumerate(entries):
        resource = entry.resource
        named = f"{entry.base}{resource.resourceType}/{resource.id}" if resource.id else f"number {number}"
        known = versions.setdefault(entry.url or named, [])
        if all(_age(other.resource) <= _age(resource) and other.resource != resource for other in known):
            known[:] = [other for other in known if _age(other.resource) == _age(resource)] + [entry]
    return {f"{key} {n}" if n else key: entry for key, kept in versions.items() for n, entry in enumerate(kept)}


def _age(resource: Resource) -> tuple[str, int]:
    """When a version was stored, and its number; those that do not say are the oldest."""
    meta = resource.meta or Meta()
    number = meta.versionId or ""
    return meta.lastUpdated or "", int(number) if number.isdecimal() and len(number) < 19 else 0


def _encounter(resource: Resource) -> str | None:
    """The reference to the encounter, wherever the type has it."""
    context = getattr(resource, "context", None)
    if isinstance(context, Reference):
        return context.reference or None
    if context is not None and context.encounter:
        return context.encounter[0].reference or None
    return (resource.encounter.reference or None) if resource.encounter else None


def _results(resource: Observation | DiagnosticReport) -> Iterator[str]:
    members = resource.hasMember if isinstance(resource, Observation) else resource.result
    return (member.reference for member in members if member.reference)


def _on_cycles(links: dict[str, list[str]]) -> list[str]:
    """One key of each cycle."""
    state: dict[str, bool] = {}  # False: on the path, True: done
    found = []
    for start in links:
        if start in state:
            continue
        state[start] = False
        path = [(start, iter(links[start]))]
        while path:
            key, rest = path[-1]
            child = next(rest, None)
            if child is None:
                state[key] = True
                path.pop()
            elif child not in state:
                state[child] = False
                path.append((child, iter(links.get(child, ()))))
            elif not state[child]:
                found.append(child)
    return found
