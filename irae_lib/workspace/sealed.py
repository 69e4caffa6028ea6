"""Folders that are whole or not there: written aside, sealed with a list of their files, moved into place in one step.

Checkpoints and finished results are kept this way. Whatever moment the machine is taken away, and whatever a mounted
Drive did with an upload, a folder with a seal that fits is the one that was written. Files and folders only.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import RunError
from ..files import write_text

SEAL = "sealed.json"
_ASIDE = ".writing"


def aside(root: Path) -> Path:
    """An empty folder under `root` to write into; what an interrupted writer left there is removed."""
    folder = Path(root) / _ASIDE
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def clear_aside(root: Path) -> None:
    """Remove the folder that `aside` made."""
    shutil.rmtree(Path(root) / _ASIDE, ignore_errors=True)


def seal(folder: Path, belongs: Mapping[str, Any]) -> None:
    """Write down what the folder consists of (sizes and checksums) and what it belongs to; last, atomically."""
    files = {path.relative_to(folder).as_posix(): _mark(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    for path in folder.rglob("*"):
        if path.is_file():
            _to_disk(path)
    write_text(folder / SEAL, json.dumps({"belongs": dict(belongs), "files": files}, indent=1) + "\n")


def belongs(folder: Path) -> dict[str, Any]:
    """What a folder with a readable seal belongs to."""
    return json.loads((folder / SEAL).read_text(encoding="utf-8"))["belongs"]


def files(folder: Path) -> list[str]:
    """Names of the files of a folder with a readable seal, relative to it."""
    return list(json.loads((folder / SEAL).read_text(encoding="utf-8"))["files"])


def broken(folder: Path) -> str:
    """Why a folder is not whole; empty where it is."""
    try:
        files = json.loads((folder / SEAL).read_text(encoding="utf-8"))["files"]
    except FileNotFoundError:
        return "it was not finished"
    except (json.JSONDecodeError, KeyError, UnicodeDecodeError):
        return "its seal cannot be read"
    for name, mark in files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if _mark(path) != mark:
            return f"{name} is cut or changed"
    return ""


def move_in(folder: Path, root: Path) -> Path:
    """Move a sealed folder under its root, replacing one of the same name."""
    target = Path(root) / folder.name
    if target.exists():
        # Never a moment without it: the old one steps aside first, under a name that nobody looks at.
        old = target.with_name(f".{target.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
    folder.rename(target)
    shutil.rmtree(target.with_name(f".{target.name}.old"), ignore_errors=True)
    return target


def copy_to(folder: Path, root: Path) -> Path:
    """Copy a sealed folder to another place (Drive), checked file by file, whole or not there.

    Raises:
        RunError: the copy differs from the original, or the place is full or gone; the original stays.
    """
    root = Path(root)
    try:
        part = aside(root) / folder.name
        shutil.copytree(folder, part)
        if problem := broken(part):
            raise RunError(f"the copy of {folder.name} to {root.name} is not whole: {problem}; the original stays")
        copied = move_in(part, root)
    except OSError as error:
        raise RunError(f"{folder.name} could not be copied to {root.name}: {error.strerror or error}") from None
    clear_aside(root)
    return copied


def _mark(path: Path) -> list[int]:
    checksum, size = 0, 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            checksum, size = zlib.crc32(block, checksum), size + len(block)
    return [size, checksum]


def _to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
