"""Checkpoints that survive a disconnect: sealed folders named by their update, and never of another run.

The furthest whole one is a checkpoint to go on from. torch is not needed to look at them.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import RunError
from . import sealed

KEEP = 2


class Found(NamedTuple):
    """The newest whole checkpoint (None: start from the beginning) and what was passed over, a line each."""

    folder: Path | None
    step: int
    passed_over: tuple[str, ...]


def move_in(folder: Path, root: Path) -> Path:
    """Move a sealed checkpoint under its root, replacing one of the same step, and keep the newest two."""
    target = sealed.move_in(folder, root)
    _keep_newest(root)
    return target


def copy_to(folder: Path, root: Path) -> Path:
    """Copy a sealed checkpoint to another place and keep the newest two there. Raises RunError: `sealed.copy_to`."""
    copied = sealed.copy_to(folder, root)
    _keep_newest(root)
    return copied


def find(root: Path, belongs: Mapping[str, Any]) -> Found:
    """The newest whole checkpoint under `root` of the run that `belongs` describes.

    Raises:
        RunError: the newest whole one belongs to other data, base, prompt or settings; names what differs.
    """
    passed_over = []
    for step, folder in _numbered(root):
        if problem := sealed.broken(folder):
            passed_over.append(f"{folder.name} is passed over: {problem}")
            continue
        theirs = sealed.belongs(folder)
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


def _keep_newest(root: Path) -> None:
    for _, path in _numbered(root)[KEEP:]:
        shutil.rmtree(path, ignore_errors=True)


def _numbered(root: Path) -> list[tuple[int, Path]]:
    """Checkpoint folders, furthest first."""
    root = Path(root)
    paths = root.iterdir() if root.is_dir() else ()
    steps = [(path.name.removeprefix("checkpoint-"), path) for path in paths if path.name.startswith("checkpoint-")]
    return sorted(((int(step), path) for step, path in steps if step.isdigit()), reverse=True)
