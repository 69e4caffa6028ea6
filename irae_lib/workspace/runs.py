"""Run folders: create the output folder of a run, and find it from a later notebook."""

from __future__ import annotations

import os
import tempfile
from datetime import datetime
from itertools import chain, count
from pathlib import Path

from ..errors import RunError
from ..files import ROOT


def runs_root() -> Path:
    """Folder that holds the runs: IRAE_RUNS in the environment, else `runs/` in the checkout."""
    return Path(os.environ.get("IRAE_RUNS") or ROOT / "runs")


def new_run(run_dir: str = "") -> Path:
    """A run folder to write into: the one given, or a fresh `runs/<time>`. Exists on return.

    Raises:
        RunError: the folder cannot be made or written to.
    """
    stamp = runs_root() / datetime.now().strftime("%Y%m%d-%H%M%S")
    names = chain([stamp], (stamp.with_name(f"{stamp.name}-{again}") for again in count(2)))  # two runs within a second
    folder = Path(run_dir) if run_dir else next(name for name in names if not name.exists())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x" * 4096)
    except OSError as error:
        raise RunError(
            f"the run folder {folder.name!r} cannot be written: {error.strerror}. Free some space there, or give "
            "run_dir (or IRAE_RUNS) another folder"
        ) from None
    return folder


def find_run(run_dir: str = "", *, needs: str, made_by: str) -> Path:
    """The run folder given, or the newest that holds `needs` (a path inside the folder).

    Raises:
        RunError: no such run; names the notebook that creates it.
    """
    if run_dir:
        folder = Path(run_dir)
        if not (folder / needs).exists():
            where = f"the run folder {folder.name!r}"
            raise RunError(f"{needs} is not in {where}; run {made_by} with the same run_dir first")
        return folder
    root = runs_root()
    runs = [path for path in root.iterdir() if (path / needs).exists()] if root.is_dir() else []
    if not runs:
        raise RunError(f"no run under {root.name}/ holds {needs}; run {made_by} first, or give run_dir")
    return max(runs, key=lambda path: ((path / needs).stat().st_mtime_ns, path.name))
