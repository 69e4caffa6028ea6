"""Checkpoints that survive a disconnect: folders with a manifest, named by their step and tied to one run.

The manifest lists sizes and checksums and is written last, so it reveals a folder left incomplete by a killed process
or an interrupted upload. Finished results are stored the same way (`storage`). torch is not imported.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import RunError
from ..files import move_folder, require_same_run, save_json, scratch_folder

MANIFEST = "sealed.json"
WRITING = ".writing"  # folder where a checkpoint or copy is written before it is moved into place
KEEP = 2

# --- folders with a manifest ----------------------------------------------------------------------------


def write_manifest(folder: Path, belongs: Mapping[str, Any]) -> None:
    """Write a folder's manifest (sizes, checksums, and the run it belongs to) atomically, after syncing the files."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            files[path.relative_to(folder).as_posix()] = _size_and_checksum(path)
            with path.open("rb") as file:
                os.fsync(file.fileno())
    save_json(folder / MANIFEST, {"belongs": dict(belongs), "files": files})


def read_manifest(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The run a folder belongs to, and the names of its files. Raises ValueError or KeyError if unreadable."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return manifest["belongs"], list(manifest["files"])


def incomplete(folder: Path) -> str:
    """The reason why a folder is incomplete; empty if every file matches the manifest."""
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    except FileNotFoundError:
        return "it was not finished"
    except (ValueError, KeyError):
        return "its manifest cannot be read"
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if _size_and_checksum(path) != expected:
            return f"{name} is cut or changed"
    return ""


def copy_folder(folder: Path, root: Path) -> Path:
    """Copy a folder with a manifest to another place (Drive) and verify it; the copy is complete or absent.

    Raises:
        RunError: the copy differs from the original, or the place is full or unavailable; the original is kept.
    """
    try:
        with scratch_folder(root / WRITING) as scratch:
            copy = scratch / folder.name
            shutil.copytree(folder, copy)
            if problem := incomplete(copy):
                raise RunError(
                    f"the copy of {folder.name} to {root.name} is incomplete: {problem}; the original is kept"
                )
            return move_folder(copy, root / folder.name)
    except OSError as error:
        raise RunError(f"{folder.name} could not be copied to {root.name}: {error.strerror or error}") from None


def _size_and_checksum(path: Path) -> list[int]:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
        return [file.tell(), checksum]


# --- checkpoints ----------------------------------------------------------------------------------------


class Newest(NamedTuple):
    """The newest complete checkpoint (None: start from the beginning), and a line for each one that was skipped."""

    folder: Path | None
    step: int
    skipped: tuple[str, ...]


def save_checkpoint(folder: Path, root: Path, belongs: Mapping[str, Any]) -> Path:
    """Finish a checkpoint written to a scratch folder, move it under `root`, and keep the newest two there."""
    write_manifest(folder, belongs)
    checkpoint = move_folder(folder, root / folder.name)
    _keep_newest(root)
    return checkpoint


def find(root: Path, belongs: Mapping[str, Any]) -> Newest:
    """The newest complete checkpoint under `root` of the run that `belongs` describes.

    Raises:
        RunError: the newest complete one belongs to other data, base, prompt or settings; names the differences.
    """
    skipped = []
    for step, folder in _numbered(root):
        if problem := incomplete(folder):
            skipped.append(f"{folder.name} is skipped: {problem}")
            continue
        remedy = "Resume with the same data and settings, or give another folder, or remove this one"
        require_same_run(read_manifest(folder)[0], belongs, f"{folder.name} in {root.name} belongs to", remedy)
        return Newest(folder, step, tuple(skipped))
    return Newest(None, 0, tuple(skipped))


class FolderCheckpoints:
    """Copies of the newest checkpoints in a folder that outlives this machine's disk, such as a mounted Drive."""

    def __init__(self, root: Path):
        self.root = Path(root)

    def keep(self, folder: Path) -> None:
        """Copy a checkpoint there and keep the newest two. Raises RunError: see `copy_folder`."""
        copy_folder(folder, self.root)
        _keep_newest(self.root)

    def find(self, belongs: Mapping[str, Any]) -> Newest:
        """The newest complete checkpoint there. Raises RunError if it belongs to another run."""
        return find(self.root, belongs)


def _keep_newest(root: Path) -> None:
    for _, path in _numbered(root)[KEEP:]:
        shutil.rmtree(path, ignore_errors=True)


def _numbered(root: Path) -> list[tuple[int, Path]]:
    """Steps and folders of the checkpoints under `root`, newest first."""
    steps = [(path.name.removeprefix("checkpoint-"), path) for path in root.glob("checkpoint-*")]
    return sorted(((int(step), path) for step, path in steps if step.isdigit()), reverse=True)
