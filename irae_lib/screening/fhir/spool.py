"""Sort the resources of an export by patient, and find what a reference points to.

Bulk exports list patients, encounters and results in separate files, each larger than memory. So the checked resources
wait in a temporary SQLite database. It keeps only the elements that are read, grows on disk, has no name, and is gone
when it is closed. In memory are the patients and what refers to them, about 500 bytes each.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .files import Entry, Lost, Page
from .resources import MODELS, Patient, Resource

_TABLE = """
pragma journal_mode = off;
pragma synchronous = off;
create table resource (
    n integer primary key, owner integer, scope integer, kind text, id text, url text, base text, body text);
"""
_INDEX = """
create index by_owner on resource (owner);
create index by_id on resource (kind, id) where kind != 'Observation';
create index by_url on resource (url) where url is not null and kind != 'Observation';
"""


class Person(NamedTuple):
    """A patient with all resources about the patient; `name` is the id that cases begin with."""

    name: str
    resources: list[Entry]


class Spool:
    """The resources of an export. `lost` are the dead letters so far; close it to remove the database."""

    def __init__(self, entries: Iterable[Entry | Lost | Page]):
        self.lost: list[Lost] = []
        self._db = sqlite3.connect("", isolation_level=None)  # a private temporary file without a name
        self._db.executescript(_TABLE)
        self._owners: dict[tuple[int, str, str], int] = {}  # who a resource is about: scope, base and reference
        self._pages: list[Page] = []
        self._db.execute("begin")
        self._db.executemany("insert into resource values (null, ?, ?, ?, ?, ?, ?, ?)", self._rows(entries))
        self._db.executescript(_INDEX)  # commits first
        self._check_pages()

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rows(self, entries: Iterable[Entry | Lost | Page]) -> Iterator[tuple]:
        for entry in entries:
            if isinstance(entry, Lost):
                self.lost.append(entry)
                continue
            if isinstance(entry, Page):
                self._pages.append(entry)
                continue
            scope, resource, url, base = entry
            kind, owner = resource.resourceType, None
            if kind == "Patient":
                owner = self._owner(scope, base, url or f"Patient/{resource.id}")
            elif kind not in ("Medication", "Binary"):
                about = resource.subject.reference if resource.subject else None
                if not about:
                    self.lost.append(Lost(label(resource), "no subject: it does not refer to a patient"))
                    continue
                owner = self._owner(scope, base, about.partition("/_history/")[0])
            try:
                body = resource.model_dump_json(exclude_defaults=True)
            except (ValueError, RecursionError):
                self.lost.append(Lost(label(resource), "nested more deeply than any FHIR resource"))
                continue
            yield owner, scope, kind, resource.id, url or None, base or None, body

    def _owner(self, *about: int | str) -> int:
        return self._owners.setdefault(about, len(self._owners))

    def _check_pages(self) -> None:
        """Search results come in pages; a page that is not there holds resources that nobody would miss."""
        here = {page.own for page in self._pages}
        followed = {page.previous for page in self._pages} - {""}
        for page in self._pages:  # a server may write the address of a page in two ways
            if page.next and page.next not in here and page.own not in followed:
                self.lost.append(Lost(page.where, "its next page is not in the input; export all pages"))

    def people(self) -> Iterator[Person]:
        """Every patient in order of appearance. Resources about an unknown patient go to `lost`."""
        owned: dict[int, list[int]] = {}
        names: dict[int, str] = {}
        taken: dict[str, int] = {}
        known: dict[tuple, int] = {}  # a patient that several bundles hold
        for (scope, base, about), owner in self._owners.items():
            matches = [entry for entry in self._matches(about, scope, base) if isinstance(entry.resource, Patient)]
            here = [entry for entry in matches if entry.scope == scope] or matches
            identities = dict.fromkeys(_identity(entry) for entry in here)
            if not identities or (len(identities) > 1 and here is matches):
                why = "several patients have this id" if identities else "the patient is not in the input"
                self._lose_owner(about, owner, why)
                continue
            identity = next(iter(identities))
            first = known.setdefault(identity, owner)
            owned.setdefault(first, []).append(owner)
            if first not in names:
                name = here[0].resource.id or about.rpartition(":")[2].rpartition("/")[2]
                taken[name] = taken.get(name, 0) + 1
                names[first] = name if taken[name] == 1 else f"{name}~{taken[name]}"  # another patient of this id
        for first, owners in owned.items():
            yield Person(names[first], [entry for owner in owners for entry in self._owned_by(owner)])

    def _lose_owner(self, about: str, owner: int, why: str) -> None:
        count = self._db.execute("select count(*) from resource where owner = ?", (owner,)).fetchone()[0]
        self.lost.append(Lost(shown(about), f"{why}; {count:,} resources refer to it"))

    def _owned_by(self, owner: int) -> Iterator[Entry]:
        query = "select scope, kind, body, url, base from resource where owner = ? order by n"
        return map(_entry, self._db.execute(query, (owner,)))

    def find(self, reference: str, scope: int, base: str) -> Entry | None:
        """What a reference from an entry in `scope` points to; None if it is not there. Not for Observations.

        A full address, `urn:uuid:`, or "Medication/1", which is looked up on the same server, in the same bundle, then
        anywhere. A version ("/_history/2") is ignored: the newest is taken.
        """
        return next(iter(self._matches(reference, scope, base)), None)

    def _matches(self, reference: str, scope: int, base: str) -> list[Entry]:
        reference = reference.partition("/_history/")[0]
        absolute = ":" in reference
        parts = reference.split("/")[-2:]
        tries = [("url = ?", (reference if absolute else base + reference,))] if absolute or base else []
        if len(parts) == 2:
            tries.append((f"kind = ? and id = ?{' and base is null' * absolute}", tuple(parts)))
        for where, values in tries:
            rows = self._db.execute(
                f"select scope, kind, body, url, base from resource where {where} and kind != 'Observation' "
                "order by scope = ? desc, n desc limit 50",
                (*values, scope),
            )
            if matches := list(map(_entry, rows)):
                return matches
        return []


def _entry(row: tuple) -> Entry:
    scope, kind, body, url, base = row
    # Not model_validate_json, which refuses 200 nested levels that json.loads accepts.
    return Entry(scope, MODELS[kind].model_validate(json.loads(body)), url or "", base or "")


def _identity(entry: Entry) -> tuple:
    """What distinguishes patients: the address or id, and who it is, for two servers that use the same ids."""
    patient: Patient = entry.resource
    family = patient.name[0].family if patient.name else None
    home = entry.url or f"Patient/{patient.id}"
    return home, patient.birthDate, patient.gender, (family or "").lower()


def label(resource: Resource) -> str:
    """The type and id of a resource, for dead letters."""
    return shown(f"{resource.resourceType}/{resource.id or '(no id)'}")


def shown(reference: str) -> str:
    """A reference for a message, cut at the first character that no id has: the rest could be text."""
    return re.match(r"[\w./:#~()-]*(?: id\))?", reference)[0][:120]
