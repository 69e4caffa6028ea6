"""Scan a folder before it is published: tokens, paths, pickles, unexpected files, text of real notes.

A test also scans the repository and its runs. A problem names the file and the kind, never the secret itself.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from ..errors import AdapterError

# Tokens of Hugging Face, GitHub, OpenAI, AWS, Google, Slack, and private keys.
TOKEN = re.compile(
    r"\bhf_[A-Za-z0-9]{20,}|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bsk-[A-Za-z0-9_-]{20,}|\bAKIA[0-9A-Z]{16}\b"
    r"|\bAIza[0-9A-Za-z_-]{30,}|\bxox[abprs]-[0-9A-Za-z-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
PATH = re.compile(r"(?<![\w./:])/(?:root|home|Users|tmp|content|mnt|workspace|var/folders)/\w|\b[A-Za-z]:\\\\?Users\b")
_PICKLES = {".bin", ".pkl", ".pickle", ".pt", ".pth", ".joblib", ".ckpt"}
# Words in a row that identify a note; shorter runs ("no fever, no cough") occur in many.
_RUN = 8


def refuse_leaks(folder: Path, *, allowed: Collection[str], notes: Iterable[str] = ()) -> None:
    """Stop a publication if `find_leaks` reports problems. Raises AdapterError, which names the files."""
    if problems := find_leaks(folder, allowed=allowed, notes=notes):
        raise AdapterError(f"the folder must not be published: {'; '.join(problems)}")


def find_leaks(folder: Path, *, allowed: Collection[str], notes: Iterable[str] = ()) -> list[str]:
    """Find the problems of a folder to be published, one line each.

    Args:
        allowed: names of the permitted files. notes: texts none of whose sentences may appear.
    """
    problems = []
    runs = {run for note in notes for run in _runs(note)}
    for path in sorted(Path(folder).rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            problems.append(f"{name} is a link")
        elif path.is_file():
            if name not in allowed:
                problems.append(f"{name} does not belong to a publication")
            if path.suffix.lower() in _PICKLES or _is_pickle(path):
                problems.append(f"{name} is a pickle; publish safetensors only")
            text = readable(path)
            problems += [f"{name} {what}" for what in secrets(text)]
            if not runs.isdisjoint(_runs(text)):
                problems.append(f"{name} holds text of a note of your own")
    return problems


def secrets(text: str) -> list[str]:
    """Kinds of secrets in a text: a token, a local path."""
    kinds = {"holds a token": TOKEN, "holds a path of this machine": PATH}
    return [what for what, pattern in kinds.items() if pattern.search(text)]


def readable(path: Path) -> str:
    """The text of a file; for a safetensors file, its header with names and metadata."""
    if path.suffix == ".safetensors":
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
            header = file.read(min(size, 10_000_000))
        try:
            return "\n".join(_strings(json.loads(header)))
        except ValueError:
            return header.decode("utf-8", "replace")
    return path.read_bytes().decode("utf-8", "replace")


def _strings(value: object) -> Iterator[str]:
    """Every string in decoded JSON, keys included: escapes must not hide anything."""
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, str):
        yield value


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as file:  # protocol 2 or later, or a zip written by torch.save
        return re.match(rb"\x80[\x02-\x05]|PK\x03\x04", file.read(4)) is not None


def _runs(text: str) -> Iterator[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return (tuple(words[i : i + _RUN]) for i in range(len(words) - _RUN + 1))
