"""Storage that outlives this machine: a mounted folder (Drive) or a private repository on the Hub.

Every Colab page is a separate machine whose disk is lost. A notebook stores its results in a *place*; the next
notebook, on another machine, loads them from there. Every stored folder is verified on load; a damaged one is skipped,
with the reason. Drive uploads in the background, which cannot be observed here: leave the page open for a minute.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import AccessError, RunError
from ..files import DATA, ROOT, replace_file, scratch_folder
from . import checkpoints, runs
from .checkpoints import MANIFEST, copy_folder, incomplete, read_manifest, write_manifest
from .hub_access import clear_hub_errors, find_token, make_repo, require_repo_id
from .profiles import Profile

# The parts of a run, by the notebook that makes them; checkpoints are stored as they are written.
PARTS = {
    "data": ("data",),
    "adapters": ("adapters/eleven", "adapters/full", "loss.json", "figures/loss.png"),
    "report": ("report.json", "report.html", "answers.jsonl", "figures"),
}
DRIVE = Path("/", "content", "drive")  # split, or the leak scan would report it as a local path
_HINT = "Each Colab page is a machine of its own: give keep_in the place where the earlier notebook stored its results"


class Place:
    """No place: for a machine that keeps its own disk. `Folder` and `Repo` have a `name`, for messages."""

    name = ""

    def keep(self, run: Path, part: str, *, own_notes: int = 0) -> str:
        """Store a part of a run (see `PARTS`); returns a one-line status.

        `own_notes` is the number of the user's own cases that can be read in it. Raises RunError or AccessError if it
        could not be stored; the run folder still has it.
        """
        return "kept in the run folder only"

    def checkpoints(self, run: Path, name: str, *, own_notes: int = 0) -> tuple[Any, ...]:
        """Additional stores for a trainer's checkpoints, each with `keep(folder)` and `find(belongs)`."""
        return ()

    def folder(self, name: str) -> Path:
        """A folder for small files: in this place if it is a folder, else next to the runs."""
        return runs.runs_root() / name

    def bring(self, needs: str, run_dir: str = "") -> tuple[Path | None, list[str]]:
        """Copy the newest stored run that holds `needs` to this machine; or the run named like `run_dir`, to `run_dir`.

        Returns:
            The run folder or None, and a line for each skipped run.
        """
        skipped = []
        for run, parts in self._newest_first():
            holding = [part for part, files in parts.items() if needs in files]
            if not holding or (run_dir and run != Path(run_dir).name):
                continue
            folders = {part: self._fetch(run, part) for part in parts}
            if problem := incomplete(folders[holding[0]]):
                skipped.append(f"the stored run {run} is skipped: {problem}")
                continue
            complete = [folder for folder in folders.values() if not incomplete(folder)]
            return _unpack(complete, Path(run_dir) if run_dir else runs.runs_root() / run), skipped
        return None, skipped

    def _newest_first(self) -> list[tuple[str, dict[str, list[str]]]]:
        """Names of stored runs, newest first, each with the files of its parts."""
        stored: dict[str, dict[str, list[str]]] = defaultdict(dict)
        newest: dict[str, str] = defaultdict(str)
        for path in self._manifests():
            with suppress(ValueError, KeyError):  # truncated while written: `bring` would skip it too
                about, names = read_manifest(path.parent)
                stored[about["run"]][about["part"]] = names
                newest[about["run"]] = max(newest[about["run"]], about["kept"])
        return [(run, stored[run]) for run in sorted(stored, key=newest.__getitem__, reverse=True)]

    def _manifests(self) -> list[Path]:
        return []


class Folder(Place):
    """A folder that outlives this machine: a mounted Drive, or any other disk."""

    def __init__(self, root: Path):
        self.root = Path(root)
        self.name = f"{self.root.name}/"

    def keep(self, run: Path, part: str, *, own_notes: int = 0) -> str:
        with _packed(run, part) as folder:
            copy_folder(folder, self.root / run.name)
        return f"kept and read back: {part} of {run.name} in {self.name}"

    def folder(self, name: str) -> Path:
        return self.root / name

    def checkpoints(self, run: Path, name: str, *, own_notes: int = 0) -> tuple[Any, ...]:
        return (checkpoints.FolderCheckpoints(self.root / run.name / "checkpoints" / name),)

    def _manifests(self) -> list[Path]:
        return sorted(self.root.glob(f"*/*/{MANIFEST}"))

    def _fetch(self, run: str, part: str) -> Path:
        return self.root / run / part


class Repo(Place):
    """A private repository on the Hub, and a local `scratch` folder for downloads.

    Its history keeps replaced files (a checkpoint of MedGemma-4B at rank 16 is about 180 MB): delete the repository
    when the work is done.
    """

    def __init__(self, repo_id: str, *, token: str, scratch: Path):
        from huggingface_hub import HfApi

        self.name, self.scratch, self.api = repo_id, Path(scratch), HfApi(token=token)
        self._exists = False

    def keep(self, run: Path, part: str, *, own_notes: int = 0) -> str:
        _refuse_own(own_notes, part)
        with _packed(run, part) as folder:
            self.upload(folder, run.name, replaces="*")
        return f"kept: {part} of {run.name} in {self.name}"

    def checkpoints(self, run: Path, name: str, *, own_notes: int = 0) -> tuple[Any, ...]:
        _refuse_own(own_notes, "checkpoints")
        return (RepoCheckpoints(self, f"{run.name}/checkpoints/{name}"),)

    def upload(self, folder: Path, where: str, *, replaces: str) -> None:
        """Upload a folder with a manifest under `where` in one commit, replacing files that match `replaces`.

        Raises:
            AccessError: the Hub refuses, cannot be reached, or the repository is public; the existing files stay.
        """
        with clear_hub_errors(f"{folder.name} was not copied to {self.name}"):
            if not self._exists:
                make_repo(self.api, self.name, private=True)
                self._exists = True
            inside = replaces == "*"  # a part replaces its own folder, a checkpoint its siblings
            self.api.upload_folder(
                repo_id=self.name,
                folder_path=folder if inside else folder.parent,
                path_in_repo=f"{where}/{folder.name}" if inside else where,
                allow_patterns=None if inside else f"{folder.name}/*",
                delete_patterns=replaces,
                commit_message=f"{where}: {folder.name}",
            )

    def download(self, pattern: str) -> Path:
        """Download files that match `pattern` into the scratch folder; a missing repository counts as empty."""
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import RepositoryNotFoundError

        with clear_hub_errors(f"{self.name} could not be downloaded"), suppress(RepositoryNotFoundError):
            snapshot_download(self.name, token=self.api.token, local_dir=self.scratch, allow_patterns=pattern)
        return self.scratch

    def _manifests(self) -> list[Path]:
        shutil.rmtree(self.scratch, ignore_errors=True)
        return sorted(self.download(f"*/*/{MANIFEST}").glob(f"*/*/{MANIFEST}"))

    def _fetch(self, run: str, part: str) -> Path:
        return self.download(f"{run}/{part}/*") / run / part


class RepoCheckpoints:
    """The newest checkpoint of one training run, stored in a `Repo`."""

    def __init__(self, repo: Repo, where: str):
        self.repo, self.where = repo, where

    def keep(self, folder: Path) -> None:
        """Upload a checkpoint, replacing the previous one. Raises AccessError on failure; the previous one stays."""
        self.repo.upload(folder, self.where, replaces="checkpoint-*")

    def find(self, belongs: Mapping[str, Any]) -> checkpoints.Newest:
        """Download the newest checkpoint and verify it. Raises RunError if it belongs to another run."""
        shutil.rmtree(self.repo.scratch, ignore_errors=True)
        return checkpoints.find(self.repo.download(f"{self.where}/checkpoint-*") / self.where, belongs)


def place_at(where: str) -> Place:
    """The place called `where`: "" (none), "drive" (the folder irae of Google Drive), a folder, or "hub:owner/name".

    Raises:
        AccessError: the Hub is requested without a token. RunError: Drive is requested but cannot be mounted.
    """
    if not where:
        return Place()
    if where.startswith("hub:"):
        repo_id, token = require_repo_id(where.removeprefix("hub:")), find_token()
        if token.value is None:
            raise AccessError(
                f"storing results on the Hub needs a token with write access ({token.where}); make one at "
                "https://huggingface.co/settings/tokens and set it as HF_TOKEN"
            )
        return Repo(repo_id, token=token.value, scratch=runs.runs_root() / ".fetched")
    folder = DRIVE / "MyDrive" / "irae" if where == "drive" else Path(where)
    if folder.is_relative_to(DRIVE) and not (DRIVE / "MyDrive").is_dir():
        try:
            from google.colab import drive

            drive.mount(str(DRIVE))
        except Exception as error:  # not on Colab's page, or consent denied
            raise RunError(
                f"Drive is not mounted here ({type(error).__name__}): it can be on Colab's own page only, and with "
                "your consent. Give keep_in a folder, or hub:owner/name"
            ) from None
    return Folder(folder)


def fetch_run(run_dir: str, *, needs: str, made_by: str, place: Place, profile: Profile) -> Path:
    """The run that holds `needs`: from this machine, from the place, or created now if that takes seconds.

    The data of 01 can be created now and, for the rehearsal, a run with the shipped adapter; both only if this machine
    has no run with data. Prints the source of the run, unless it was already here.

    Raises:
        RunError: no such run; says which notebook creates it and how to copy it here.
    """
    try:
        return runs.find_run(run_dir, needs=needs, made_by=made_by)
    except RunError as error:
        missing = error
    run, skipped = place.bring(needs, run_dir)
    print(*skipped, sep="\n", end="\n" if skipped else "")
    if run:
        print(f"copied {run.name} from {place.name}")
        return run
    root = runs.runs_root()
    fresh = not run_dir and not (root.is_dir() and any(root.glob("*/data/data.json")))
    adapter = made_by == "02_fine_tune" and profile.is_rehearsal
    if not fresh or not (adapter or made_by == "01_build_data"):
        raise RunError(f"{missing}. {f'It is not stored in {place.name} either' if place.name else _HINT}") from None
    print("no run here yet: making the data with 01_build_data, about 20 s")
    command = [sys.executable, "-m", "irae_lib.run", "--only", "01", "--profile", profile.name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RunError(f"01_build_data could not be run: {done.stderr.strip().splitlines()[-1]}")
    run = runs.find_run(needs="data/data.json", made_by="01_build_data")
    if adapter:
        print("no adapter of your own yet: the shipped rehearsal adapter stands in")
        shutil.copytree(DATA / "rehearsal_adapter", run / "adapters" / "full")
    return run


@contextmanager
def _packed(run: Path, part: str) -> Iterator[Path]:
    """A temporary copy of a part of a run, with a manifest, for the duration of a `with` block."""
    with scratch_folder(run / ".kept" / part) as scratch:
        folder = scratch / part
        for name in PARTS[part]:
            source, target = run / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            elif source.is_file():
                shutil.copyfile(source, target)
        kept = datetime.now(UTC).isoformat(timespec="seconds")
        write_manifest(folder, {"run": run.name, "part": part, "kept": kept})
        yield folder


def _unpack(folders: list[Path], run: Path) -> Path:
    """Copy the parts of a stored run into a run folder; existing files stay."""
    for folder in folders:
        for name in read_manifest(folder)[1]:
            if not (run / name).exists():
                with replace_file(run / name) as aside:
                    shutil.copyfile(folder / name, aside)
    return run


def _refuse_own(own_notes: int, what: str) -> None:
    if own_notes:
        raise RunError(
            f"{own_notes} cases of your own are in these {what}, and notes can be read back out of weights: they are "
            "not uploaded. Give keep_in a folder that you control"
        )
