"""Run the numbered notebooks headless, in order: `python -m irae_lib.run`.

Every run has a folder `runs/<time>/` with the executed notebooks, the data, the adapters, the report and the
publication record. A failing notebook ends the run with its cell's error and a non-zero exit status; the results of
earlier notebooks stay.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

from .errors import IraeError, RunError
from .evaluation.report import read_report
from .files import ROOT, portable_name
from .reporting.tables import results_table, table
from .workspace.profiles import choose_profile
from .workspace.runs import find_run, new_run

MAIN_JOB = ("01_build_data", "02_fine_tune", "03_validate", "04_push_adapter")


def main(arguments: list[str] | None = None) -> int:
    """Run the notebooks that the command line selects; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        profile = choose_profile(options.profile)
        names = _chosen(options.only)
        parameters = _known_parameters(names, dict(options.parameter))
        new = options.run_dir or names[0] == MAIN_JOB[0]
        folder = new_run(options.run_dir) if new else find_run(needs="data/data.json", made_by="01_build_data")
        print(f"profile {profile.name}: {profile.reason}\nrun folder {portable_name(folder)}", flush=True)
        seconds = _execute(names, folder, {"profile": profile.name, "run_dir": str(folder.resolve())}, parameters)
    except IraeError as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print("\n" + _closing(folder, seconds))
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


def _chosen(only: list[str]) -> list[str]:
    wishes = tuple(wish.zfill(2) for wish in only)
    for wish in wishes:
        if not any(name.startswith(wish) for name in MAIN_JOB):
            raise RunError(
                f"no notebook of the main job starts with {wish!r}; it has {', '.join(MAIN_JOB)}. Open the others in "
                "Jupyter or Colab"
            )
    return [name for name in MAIN_JOB if not wishes or name.startswith(wishes)]


def _known_parameters(names: list[str], given: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The given parameters, typed, for each notebook that has them. An unknown name is an error: papermill only
    warns, and a run with the wrong learning rate looks like any other."""
    import papermill

    known = {name: papermill.inspect_notebook(str(_path(name))) for name in names}
    there = sorted(set().union(*known.values()))
    for wish in given:
        if wish not in there:
            raise RunError(f"no notebook of this run has a parameter {wish!r}; there are {', '.join(there)}")
    return {
        name: {wish: _typed(given[wish], has[wish]["default"], wish) for wish in given if wish in has}
        for name, has in known.items()
    }


def _typed(value: str, default: str, name: str) -> Any:
    """Convert a value to the type of the notebook's default: "007" stays text where the default is text."""
    kind = type(eval(default, {"__builtins__": {}}))  # a literal from the notebook's own parameters cell
    try:
        if kind is bool:
            return {"true": True, "false": False, "1": True, "0": False}[value.lower()]
        return kind(value)
    except (ValueError, KeyError):
        raise RunError(f"parameter {name} must be {kind.__name__}, found {value!r}") from None


def _path(name: str) -> Path:
    return ROOT / "notebooks" / f"{name}.ipynb"


def _execute(names: list[str], folder: Path, common: dict, parameters: dict[str, dict]) -> dict[str, float]:
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from tqdm import tqdm

    os.environ.setdefault("MPLBACKEND", "agg")
    # Under Python 3.11+ ipykernel warns about frozen modules once per kernel; headless runs are not debugged.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    seconds = {}
    with tqdm(names, unit="notebook", bar_format="{desc:<16} {n_fmt}/{total_fmt} [{elapsed}] {bar:24}") as bar:
        for name in bar:
            bar.set_description_str(name)
            started = time.monotonic()
            try:
                papermill.execute_notebook(
                    str(_path(name)),
                    str(folder / f"{name}.ipynb"),
                    parameters=common | parameters[name],
                    kernel_name="python3",
                    cwd=str(_path(name).parent),
                    progress_bar=False,
                    # The kernel's startup message about its transport would break the progress bar.
                    extra_arguments=["--log-level=CRITICAL"],
                )
            except PapermillExecutionError as error:
                raise RunError(
                    f"{name} failed in cell {error.exec_count}: {error.ename}: {error.evalue}\n"
                    f"The notebook up to there is {name}.ipynb in the run folder."
                ) from None
            except (DeadKernelError, CellTimeoutError) as error:
                died = f"{name}: the kernel died ({type(error).__name__}); often the machine ran out of memory"
                raise RunError(died) from None
            seconds[name] = time.monotonic() - started
            tqdm.write(f"{name:<16} {seconds[name]:6.1f} s")
    return seconds


_SPLITS = {
    "validated": "the eleven validated cases (a fitting check: `full` and `eleven` were trained on them)",
    "test": "held-out synthetic test",
    "test_irae": "held-out synthetic test, irAE cases only",
    "contrast": "minimal pairs, each note alone",
}


def _closing(folder: Path, seconds: dict[str, float]) -> str:
    rows = [*((name, f"{time:.0f}") for name, time in seconds.items()), ("all", f"{sum(seconds.values()):.0f}")]
    parts = [table(rows, ["notebook", "seconds"]).to_string()]
    path = folder / "report.json"
    if path.exists():
        report = read_report(path)
        parts += [
            f"{title}; {report.label}\n{results_table(report, split).to_string()}"
            for split, title in _SPLITS.items()
            if split in report.results
        ]
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
