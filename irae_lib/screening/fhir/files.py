"""Read the resources of an export: bundles (.json) and NDJSON (.ndjson), one file or a folder of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from ...errors import SchemaError, explain
from .resources import MODELS, Resource

LARGEST_BUNDLE = 200_000_000  # bytes; one bundle is held in memory, about five times its size
LARGEST_LINE = 50_000_000  # bytes of one line of NDJSON, such as a document in base64
SUFFIXES = (".json", ".ndjson")
_BUNDLES = ("document", "message", "transaction", "batch", "searchset", "collection")
_LEFT_OUT = ("history", "transaction-response", "batch-response", "subscription-notification")

_NO_RESOURCE = "not a FHIR resource; expected an object with a resourceType (notes of your own: JSON lines, .jsonl)"


class Entry(NamedTuple):
    """A resource and where it stands. A reference in it is looked up in its own bundle (`scope`) first.

    `scope` is 0 for resources outside bundles. `base` is the server's address in `url`, the entry's full address.
    """

    scope: int
    resource: Resource
    url: str = ""
    base: str = ""


class Lost(NamedTuple):
    """A dead letter: `what` was not read, and why. Never holds text of a note."""

    what: str
    reason: str

    @property
    def sentence(self) -> str:
        return f"{self.what}: {self.reason}"


class Page(NamedTuple):
    """The addresses in a page of search results: its own, and those of its neighbours."""

    where: str
    own: str
    next: str
    previous: str


def files_of(path: Path) -> list[Path]:
    """The files of an export in the order in which they are read.

    Raises:
        SchemaError: there is no such file, or the folder holds none.
    """
    if not path.exists():
        expected = "expected a bundle (.json), NDJSON (.ndjson), or a folder of them"
        raise SchemaError(f"{path.name} not found in {path.parent.name or '.'}/; {expected}")
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        raise SchemaError(f"{path.name}/ holds no FHIR export; expected files that end in {' or '.join(SUFFIXES)}")
    return files


def read_export(path: Path) -> Iterator[Entry | Lost | Page]:
    """Every resource that a case can be made of, and what could not be read. Other types are passed over."""
    scope = 0
    for file in files_of(path):
        for where, content in _documents(file):
            if isinstance(content, Lost):
                yield content
            elif isinstance(content, dict) and content.get("resourceType") == "Bundle":
                scope += 1
                yield from _bundle(content, where, scope)
            else:
                yield from _entry({"resource": content}, where, 0)


def _documents(file: Path) -> Iterator[tuple[str, Any]]:
    """The JSON values of a file with their place."""
    if file.suffix.lower() == ".json":
        if (size := file.stat().st_size) > LARGEST_BUNDLE:
            reason = f"{size:,} bytes, more than {LARGEST_BUNDLE:,}; export NDJSON, which is read line by line"
            yield file.name, Lost(file.name, reason)
        else:
            yield file.name, _parsed(file.read_bytes(), file.name)
        return
    with file.open("rb") as lines:
        number = 0
        while line := lines.readline(LARGEST_LINE + 1):
            number += 1
            where = f"{file.name} line {number}"
            if len(line) > LARGEST_LINE:
                while line and not line.endswith(b"\n"):
                    line = lines.readline(LARGEST_LINE)
                yield where, Lost(where, f"more than {LARGEST_LINE:,} bytes in one line; expected one resource")
            elif line.strip():
                yield where, _parsed(line, where)


def _parsed(data: bytes, where: str) -> Any:
    """The JSON value, with decimals exactly as written: 7.10 keeps its zero."""
    try:
        value = json.loads(data.removeprefix(b"\xef\xbb\xbf"), parse_float=Decimal, parse_constant=_not_json)
        return _encodable(value) if b"\\ud" in data or b"\\uD" in data else value
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}" if b"\n" in data.strip() else f"column {error.colno}"
        return Lost(where, f"not JSON, or cut off: {error.msg} at {place}")
    except UnicodeDecodeError as error:
        return Lost(where, f"not UTF-8 at byte {error.start}; expected JSON in UTF-8")
    except ValueError:
        return Lost(where, "a number that JSON does not have, such as NaN, or one of thousands of digits")
    except RecursionError:
        return Lost(where, "nested more deeply than any FHIR resource")


def _encodable(value: Any) -> Any:
    """The value with half a surrogate pair, as in broken exports, as "?"."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_encodable(name): _encodable(content) for name, content in value.items()}
    return [_encodable(content) for content in value] if isinstance(value, list) else value


def _not_json(constant: str) -> None:
    raise ValueError(constant)


def _bundle(bundle: dict[str, Any], where: str, scope: int) -> Iterator[Entry | Lost | Page]:
    kind, entries = bundle.get("type"), bundle.get("entry", [])
    if kind not in _BUNDLES or not isinstance(entries, list):
        expected = f"expected a bundle of type {', '.join(_BUNDLES)} with a list of entries"
        yield Lost(
            where, f"a {kind} bundle holds old versions or no resources; {expected}" if kind in _LEFT_OUT else expected
        )
        return
    links = bundle.get("link") if isinstance(bundle.get("link"), list) else []
    urls = {str(link.get("relation")): str(link.get("url") or "") for link in links if isinstance(link, dict)}
    if urls:
        previous = urls.get("previous") or urls.get("prev", "")
        yield Page(where, urls.get("self", ""), urls.get("next", ""), previous)
    for number, entry in enumerate(entries, start=1):
        yield from _entry(entry, f"{where} entry {number}", scope)


def _entry(entry: Any, where: str, scope: int) -> Iterator[Entry | Lost]:
    resource = entry.get("resource") if isinstance(entry, dict) else None
    if not isinstance(resource, dict):
        if not (isinstance(entry, dict) and ("request" in entry or "response" in entry)):
            yield Lost(where, _NO_RESOURCE)
        return
    kind = resource.get("resourceType")
    if not isinstance(kind, str):
        yield Lost(where, _NO_RESOURCE)
    elif kind == "Bundle":
        yield Lost(where, "a bundle inside a bundle; expected resources")
    elif model := MODELS.get(kind):
        try:
            url = str(entry.get("fullUrl") or "").partition("/_history/")[0]
            checked = model.model_validate(resource)
            base = url.removesuffix(f"{kind}/{checked.id}") if url.startswith("http") else ""
            yield Entry(scope, checked, url, base if base != url else "")
        except ValidationError as error:
            yield Lost(where, f"{kind}: {explain(error)}"[:300])
