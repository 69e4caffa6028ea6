"""File utilities: the data folder, atomic writes, JSON lines, checksums, source hashes, and the settings of a run."""

from __future__ import annotations

import codecs
import contextlib
import functools
import gc
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from .errors import RunError, SchemaError

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"


def built_once(build: Callable[[], Any]) -> Callable[[], Any]:
    """Cache the result of a function that builds tables from data files.

    The garbage collector is paused meanwhile: it would scan large, permanent tables repeatedly while they grow.
    """

    @functools.cache
    def built() -> Any:
        collects = gc.isenabled()
        gc.disable()
        try:
            return build()
        finally:
            if collects:
                gc.enable()

    return functools.wraps(build)(built)


def portable_name(path: Path | str) -> str:
    """A path for storing or printing: relative to the checkout where possible, otherwise its last part."""
    path = Path(path).resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


# --- JSON lines -----------------------------------------------------------------------------------------


def read_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Line numbers (from 1) and decoded objects of a JSON-lines file; blank lines are skipped.

    Raises:
        SchemaError: the file is missing, empty or not UTF-8, or a line is not a JSON object.
    """
    path = Path(path)
    lines = read_text(path, "a JSON-lines file").split("\n")  # not splitlines(): U+2028 is legal inside JSON
    refuse_document(path, lines[0])
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise SchemaError(f"{path.name} line {number}: not JSON: {error.msg} at column {error.colno}") from None
        if not isinstance(row, dict):
            raise SchemaError(f"{path.name} line {number}: expected a JSON object, found {type(row).__name__}")
        rows.append((number, row))
    if not rows:
        raise SchemaError(f"{path.name} is empty; expected at least one row")
    return rows


def refuse_document(path: Path, first_line: str) -> None:
    """Raise SchemaError if a file begins as one JSON document: as JSON lines, each of its lines would be an error."""
    start = first_line.strip()
    if start.startswith("[") or start == "{":
        found, convert = (
            ("a JSON array", "jq -c '.[]'") if start.startswith("[") else ("JSON over several lines", "jq -c .")
        )
        raise SchemaError(
            f"{path.name}: {found}, not JSON lines; expected one object on each line. "
            f"To convert it: {convert} {path.name} > lines.jsonl"
        )


def read_text(path: Path, expected: str) -> str:
    """The text of a UTF-8 file. Raises SchemaError if it is missing (`expected` describes the file) or not UTF-8."""
    try:
        encoding = encoding_of(path)
        if encoding != UTF_8:
            raise SchemaError(f"{path.name}: {encoding}, not UTF-8; save the file as UTF-8")
        return path.read_text(encoding=UTF_8)
    except FileNotFoundError:
        raise SchemaError(f"{path.name} not found in {path.parent.name or '.'}/; expected {expected}") from None
    except UnicodeDecodeError as error:
        raise SchemaError(f"{path.name}: not UTF-8 at byte {error.start}; save the file as UTF-8") from None


UTF_8, UTF_16, WINDOWS = "utf-8-sig", "utf-16", "windows-1252"  # spreadsheets write a byte-order mark before UTF-8


_NOT_TEXT = {
    b"PK\x03\x04": "an Excel, Word or ZIP file",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file",
    b"%PDF": "a PDF",
    b"{\\rtf": "an RTF document",
    b"\x1f\x8b": "a compressed file",
    b"\x89PNG": "a picture",
    b"PAR1": "a Parquet file",
}


def encoding_of(path: Path) -> str:
    """The encoding of a text file: UTF_8, UTF_16 (also without a byte-order mark) or WINDOWS, as spreadsheets save it.

    A UTF-8 file with damaged bytes is still UTF_8: it holds more characters of several bytes than damaged bytes.

    Raises:
        SchemaError: it is not text, such as an Excel file under another name.
    """
    decoder = codecs.getincrementaldecoder(UTF_8)(errors="surrogateescape")  # a damaged byte becomes a surrogate
    good = damaged = 0
    with Path(path).open("rb") as file:
        start = file.read(4096)
        for signature, kind in _NOT_TEXT.items():
            if start.startswith(signature):
                raise SchemaError(f"{Path(path).name} is {kind}, not text; export it as plain text, or CSV in UTF-8")
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return UTF_16
        if start[1::2].count(0) > len(start) // 4:  # Western text in UTF-16 without a mark: every other byte is 0
            return f"{UTF_16}-le"
        file.seek(0)
        while block := file.read(1 << 20):
            text = decoder.decode(block)
            if not text.isascii():
                damaged += len(surrogates := re.findall("[\udc80-\udcff]", text))
                good += len(re.findall("[^\x00-\x7f]", text)) - len(surrogates)
    return WINDOWS if damaged > good else UTF_8


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """Stream JSON lines to a temporary file and move it into place, so that a failed run leaves no partial file."""
    with _aside(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return Path(path)


def write_text(path: Path, text: str, *, replace: bool = True) -> Path:
    """Write a text file atomically (UTF-8, newlines as given), creating the folder.

    `replace=False` keeps an existing file, for several machines that start at the same moment.
    """
    with _aside(path, replace=replace) as file:
        file.write(text)
    return Path(path)


def save_json(path: Path, data: object) -> Path:
    """Write JSON atomically, with keys in the order given."""
    return write_text(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def _aside(path: Path, *, replace: bool = True) -> Iterator[TextIO]:
    """A temporary text file that replaces `path` when the block ends."""
    with replace_file(path, replace=replace) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())  # or a power failure may keep the name but lose the bytes


@contextlib.contextmanager
def replace_file(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """A temporary path for a file that replaces `path` when the block ends; an error leaves `path` unchanged.

    `replace=False` keeps an existing file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")  # machines sharing a folder share pids
    try:
        yield aside
        if replace or not _linked(aside, path):
            os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _linked(aside: Path, path: Path) -> bool:
    """Hard-link `aside` to `path` unless `path` exists; False if the file system does not support hard links."""
    try:
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """An empty folder for the duration of a block; leftovers of an interrupted writer are removed first."""
    path = Path(path)
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def replace_folder(target: Path) -> Iterator[Path]:
    """An empty folder to fill, which replaces `target` when the block ends; an error leaves `target` unchanged.

    `target` is complete or absent, whenever the process is killed.
    """
    target = Path(target)
    with scratch_folder(target.with_name(f".{target.name}.part")) as aside:
        yield aside
        move_folder(aside, target)


def move_folder(folder: Path, target: Path) -> Path:
    """Rename a folder to `target`; an existing `target` is renamed first and removed last, so a copy remains."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    folder.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return target


def require_same_run(stored: Mapping[str, Any], wanted: Mapping[str, Any], what: str, remedy: str) -> None:
    """Refuse to resume from the results of another run.

    Args:
        what: the beginning of the message: "checkpoint-5 belongs to", "out/ holds the shards of".
    Raises:
        RunError: names the settings that differ, then the remedy.
    """
    different = sorted(key for key in {*stored, *wanted} if stored.get(key) != wanted.get(key))
    if different:
        raise RunError(f"{what} another run: {', '.join(different)} differ. {remedy}")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as 64 hex digits."""
    with Path(path).open("rb") as file:  # block by block: a file of notes may be larger than memory
        return hashlib.file_digest(file, "sha256").hexdigest()


def render(template: str, **values: Any) -> str:
    """Fill a jinja2 template of the data folder; HTML is escaped.

    Raises:
        jinja2.UndefinedError: the template names an unknown value; a missing number must not become empty text.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(DATA),
        undefined=jinja2.StrictUndefined,
        autoescape=jinja2.select_autoescape(["html"]),
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(**values)


def source_hash(*modules: ModuleType, data: Iterable[Path] = ()) -> str:
    """A SHA-256 over the source of `modules` (all modules inside a package) and the `data` files.

    Code that stores a result lists the modules that affect it, so that changing a module makes the stored result stale.
    Modules are passed as objects, so a renamed or removed module fails at import.
    """
    paths: set[Path] = set(data)
    for module in modules:
        source = Path(str(module.__file__))
        paths |= set(source.parent.rglob("*.py")) if source.name == "__init__.py" else {source}
    return hashlib.sha256("".join(file_sha256(path) for path in sorted(paths)).encode()).hexdigest()
