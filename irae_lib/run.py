"""Run the numbered notebooks headless, in order: `python -m irae_lib.run`.

Every run has a folder `runs/<time>/` with the executed notebooks, the data, the adapters, the report and the
publication record. A failing notebook ends the run with its cell's error and a non-zero exit status; the results of
earlier notebooks stay.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from .errors import IraeError, NotPublished, RunError
from .files import ROOT
from .workspace.hub_access import require_access
from .workspace.profiles import choose_profile
from .workspace.runs import find_run, new_run
from .workspace.setup import absent, disk_problem

MAIN_JOB = ("01_build_data", "02_fine_tune", "03_validate", "04_push_adapter")
STOPPED = 130  # the exit status of a command that Ctrl-C ended
_FULL = 1 << 20  # bytes: with less free space a failed write is no surprise


class Job(NamedTuple):
    """The notebooks to run, their folder, and the parameters of each."""

    notebooks: list[str]
    folder: Path
    profile: str
    parameters: dict[str, dict[str, Any]]

    def rest(self, done: int) -> str:
        """The command that continues after so many notebooks."""
        left = self.notebooks[done:]
        given = {wish: value for name in left for wish, value in self.parameters[name].items()}
        command = ["python", "-m", "irae_lib.run", "--profile", self.profile, "--run-dir", _shown(self.folder)]
        if tuple(left) != MAIN_JOB:
            command += [word for name in left for word in ("--only", name[:2])]
        return shlex.join([*command, *(word for wish, value in given.items() for word in ("-p", wish, str(value)))])


def main(arguments: list[str] | None = None) -> int:
    """Run the notebooks that the command line selects; return the exit status: 0, 1 failed, 130 stopped."""
    options = _parser().parse_args(arguments)
    seconds: dict[str, float] = {}
    job = None
    try:
        if missing := absent(ROOT / "requirements.txt"):
            raise RunError(f"packages are missing: {', '.join(missing)}. Install them: pip install -r requirements.txt")
        job = _prepare(options)
        _execute(job, seconds)
    except KeyboardInterrupt:
        where = f" in {job.notebooks[len(seconds)]}; continue with --run-dir:\n{job.rest(len(seconds))}" if job else ""
        print(f"\nstopped{where}", file=sys.stderr)
        return STOPPED
    except IraeError as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        problem = disk_problem(error)
        if not problem:
            raise
        print(f"\n{type(error).__name__}: {problem}", file=sys.stderr)
        return 1
    print("\n" + _closing(job.folder, seconds))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m irae_lib.run", description="Run notebooks 01-04 headless, in order."
    )
    add = parser.add_argument
    add("--profile", default="auto", help="auto (default), rehearsal, smoke, gemma, t4 or gpu")
    add("--only", action="append", default=[], metavar="NN", help="run only this notebook (01 ... 04); may be repeated")
    folder = "folder of an earlier run to go on with; default: a new one, with --only the newest"
    add("--run-dir", default="", help=folder)
    given = "a notebook parameter, given to every notebook that has it; may be repeated"
    add("-p", dest="parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help=given)
    return parser


def _prepare(options: argparse.Namespace) -> Job:
    """The job of a command line, after everything that can be checked before the first notebook starts."""
    from . import parameters

    given = dict(options.parameter)
    profile = choose_profile(given.pop("profile", options.profile), given.get("base_model", ""))
    run_dir = given.pop("run_dir", options.run_dir)
    names = _chosen(options.only)
    values = parameters.typed(given, _declared(), set(MAIN_JOB) - set(names))
    every = {wish: value for mine in values.values() for wish, value in mine.items()}
    parameters.check(every)
    require_access(every.get("base_model") or profile.base_model)
    folder = _run_folder(names[0], run_dir, profile, every.get("keep_in", ""))
    print(f"profile {profile.name}: {profile.reason}\nrun folder {_shown(folder)}", flush=True)
    return Job(names, folder.resolve(), profile.name, values)


def _chosen(only: list[str]) -> list[str]:
    wishes = tuple(wish.zfill(2) for wish in only)
    for wish in wishes:
        if not any(name.startswith(wish) for name in MAIN_JOB):
            raise RunError(
                f"no notebook of the main job starts with {wish!r}; it has {', '.join(MAIN_JOB)}. Open the others in "
                "Jupyter or Colab"
            )
    return [name for name in MAIN_JOB if not wishes or name.startswith(wishes)]


def _run_folder(first: str, run_dir: str, profile, keep_in: str) -> Path:
    """The folder given or a new one; for later notebooks alone, the newest run with data."""
    if run_dir or first == MAIN_JOB[0]:
        return new_run(run_dir)
    needs = {"needs": "data/data.json", "made_by": MAIN_JOB[0]}
    if first == "02_fine_tune":  # like the notebook itself: a fresh clone makes the data first
        from .workspace.storage import fetch_run, place_at

        return fetch_run("", **needs, place=place_at(keep_in), profile=profile)
    return find_run(**needs)


def _path(name: str) -> Path:
    return ROOT / "notebooks" / f"{name}.ipynb"


def _declared() -> dict[str, dict[str, Any]]:
    """The parameters of every notebook of the main job, as papermill reads them."""
    import papermill

    return {name: papermill.inspect_notebook(_literal(_path(name))) for name in MAIN_JOB}


def _literal(path: Path) -> str:
    """A path for papermill, which takes braces for names of parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _execute(job: Job, seconds: dict[str, float]) -> None:
    """Run the notebooks; `seconds` gets an entry for each that is done."""
    from tqdm import tqdm

    os.environ.setdefault("MPLBACKEND", "agg")
    # Under Python 3.11+ ipykernel warns about frozen modules once per kernel; headless runs are not debugged.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    with tqdm(job.notebooks, unit="notebook", bar_format="{desc:<16} {n_fmt}/{total_fmt} [{elapsed}] {bar:24}") as bar:
        for name in bar:
            bar.set_description_str(name)
            started = time.monotonic()
            said = _execute_one(job, name)
            seconds[name] = time.monotonic() - started
            tqdm.write(f"{name:<16} {seconds[name]:6.1f} s{said}")


def _execute_one(job: Job, name: str) -> str:
    """Run one notebook; returns what else is to be said of it."""
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    try:
        papermill.execute_notebook(
            _literal(_path(name)),
            _literal(job.folder / f"{name}.ipynb"),
            parameters={"profile": job.profile, "run_dir": str(job.folder)} | job.parameters[name],
            kernel_name="python3",
            cwd=str(_path(name).parent),
            progress_bar=False,
            # The kernel's startup message about its transport would break the progress bar.
            extra_arguments=["--log-level=CRITICAL"],
        )
    except PapermillExecutionError as error:
        if error.ename == NotPublished.__name__ and not job.parameters[name].get("hub_model_id"):
            return f"\n{error.evalue}"
        if error.ename == KeyboardInterrupt.__name__:  # the kernel got the signal
            raise KeyboardInterrupt from None
        raise RunError(
            f"{name} failed in cell {error.exec_count}: {error.ename}: {error.evalue}\n"
            f"The notebook up to there is {name}.ipynb in the run folder.{_disk_is_full(job.folder)}"
        ) from None
    except (DeadKernelError, CellTimeoutError) as error:
        died = f"{name}: the kernel died ({type(error).__name__}); often the machine ran out of memory"
        raise RunError(died) from None
    return ""


def _disk_is_full(folder: Path) -> str:
    import shutil

    full = shutil.disk_usage(folder).free < _FULL
    return " The disk is full: free some space, then run again with the same --run-dir." if full else ""


_SPLITS = {
    "validated": "the eleven validated cases (a fitting check: `full` and `eleven` were trained on them)",
    "test": "held-out synthetic test",
    "test_irae": "held-out synthetic test, irAE cases only",
    "contrast": "minimal pairs, each note alone",
}


def _closing(folder: Path, seconds: dict[str, float]) -> str:
    """Seconds by notebook, the results, and where the report is."""
    from .evaluation.report import read_report
    from .reporting.tables import results_table, table

    rows = [*((name, f"{time:.0f}") for name, time in seconds.items()), ("all", f"{sum(seconds.values()):.0f}")]
    parts = [table(rows, ["notebook", "seconds"]).to_string()]
    path = folder / "report.json"
    if path.exists():
        report = read_report(path)
        parts += [
            f"{_title(split, report.own_test)}; {report.label}\n{results_table(report, split).to_string()}"
            for split in _SPLITS
            if split in report.results
        ]
        page = path.with_suffix(".html")
        parts += [f"report: {_shown(page if page.exists() else path)} (the numbers: {_shown(path)})"]
    return "\n\n".join(parts)


def _title(split: str, own_test: bool) -> str:
    return _SPLITS[split].replace("held-out synthetic test", "your own test file") if own_test else _SPLITS[split]


def _shown(path: Path) -> str:
    """A path as it can be typed here: relative to the current directory if it is inside, else whole."""
    path = Path(path).resolve()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    sys.exit(main())
