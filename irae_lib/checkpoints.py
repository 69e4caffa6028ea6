"""Checkpoints that survive a disconnect: whole or not there, and never of another run.

A checkpoint is written aside, sealed with a list of its files and what it belongs to, and moved into place in one
step. Whatever moment the machine is taken away, the newest sealed folder is a checkpoint to go on from. Files and
folders only; torch is not needed to look at them.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .cases import write_text
from .schemas import RunError

SEAL = "sealed.json"
KEEP = 2
_ASIDE = ".writing"


class Found(NamedTuple):
    """The newest whole checkpoint (None: start from the beginning) and what was passed over, a line each."""

    folder: Path | None
    step: int
    passed_over: tuple[str, ...]


def aside(root: Path) -> Path:
    """An empty folder to write the next checkpoint into; what an interrupted writer left there is removed."""
    folder = Path(root) / _ASIDE
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def seal(folder: Path, belongs: Mapping[str, Any]) -> None:
    """Write down what the checkpoint consists of (sizes and checksums) and what it belongs to; last, atomically."""
    files = {path.relative_to(folder).as_posix(): _mark(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    for path in folder.rglob("*"):
        if path.is_file():
            _to_disk(path)
    write_text(folder / SEAL, json.dumps({"belongs": dict(belongs), "files": files}, indent=1) + "\n")


def move_in(folder: Path, root: Path) -> Path:
    """Move a sealed checkpoint under its root, replacing one of the same step, and keep the newest two."""
    target = Path(root) / folder.name
    if target.exists():
        # Never a moment without it: the old one steps aside first, under a name `find` does not look at.
        old = target.with_name(f".{target.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
    folder.rename(target)
    shutil.rmtree(target.with_name(f".{target.name}.old"), ignore_errors=True)
    for _, path in _numbered(root)[KEEP:]:
        shutil.rmtree(path, ignore_errors=True)
    return target


def copy_to(folder: Path, root: Path) -> Path:
    """Copy a sealed checkpoint to another place (Drive), checked file by file, whole or not there.

    Raises:
        RunError: the copy differs from the original, or the place is full or gone; the original stays.
    """
    root = Path(root)
    try:
        part = aside(root) / folder.name
        shutil.copytree(folder, part)
        if problem := _broken(part):
            raise RunError(f"the copy of {folder.name} to {root.name} is not whole: {problem}; training goes on")
        copied = move_in(part, root)
    except OSError as error:
        raise RunError(f"{folder.name} could not be copied to {root.name}: {error.strerror or error}") from None
    shutil.rmtree(root / _ASIDE, ignore_errors=True)
    return copied


def find(root: Path, belongs: Mapping[str, Any]) -> Found:
    """The newest whole checkpoint under `root` of the run that `belongs` describes.

    Raises:
        RunError: the newest whole one belongs to other data, base, prompt or settings; names what differs.
    """
    passed_over = []
    for step, folder in _numbered(root):
        if problem := _broken(folder):
            passed_over.append(f"{folder.name} is passed over: {problem}")
            continue
        theirs = json.loads((folder / SEAL).read_text(encoding="utf-8"))["belongs"]
        differs = [key for key in {**theirs, **belongs} if theirs.get(key) != belongs.get(key)]
        if differs:
            raise RunError(
                f"{folder.name} in {Path(root).name} belongs to another run: {', '.join(sorted(differs))} "
                "differ. Go on with the same data and settings, or give another folder, or remove this one"
            )
        return Found(folder, step, tuple(passed_over))
    return Found(None, 0, tuple(passed_over))


class Folder:
    """Another place for checkpoints that is a folder: a mounted Drive, which outlives this machine's disk."""

    def __init__(self, root: Path):
        self.root = Path(root)

    def keep(self, folder: Path) -> None:
        """Copy a sealed checkpoint there. Raises RunError: see `copy_to`."""
        copy_to(folder, self.root)

    def find(self, belongs: Mapping[str, Any]) -> Found:
        """The newest whole one there. Raises RunError: it belongs to another run."""
        return find(self.root, belongs)


def _numbered(root: Path) -> list[tuple[int, Path]]:
    """Checkpoint folders, furthest first."""
    root = Path(root)
    paths = root.iterdir() if root.is_dir() else ()
    steps = [(path.name.removeprefix("checkpoint-"), path) for path in paths if path.name.startswith("checkpoint-")]
    return sorted(((int(step), path) for step, path in steps if step.isdigit()), reverse=True)


def _broken(folder: Path) -> str:
    """Why a folder is no whole checkpoint; empty where it is one."""
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


def _mark(path: Path) -> list[int]:
    checksum, size = 0, 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            checksum, size = zlib.crc32(block, checksum), size + len(block)
    return [size, checksum]


def _to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
