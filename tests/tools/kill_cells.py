"""Kill the kernel in the middle of a cell, run the notebook again from the top, and see that nothing finished is lost.

    python tests/tools/kill_cells.py --kills 4 [NN ...]

Smoke runs. First the main job undisturbed; then, for each notebook, so many kills (SIGKILL) at random cells, each on a
copy of what the notebooks before had made. The second run must end with the same data, the same adapter, the same
report, bit for bit, and must go on from what the first one had finished: trained updates, answers, verdicts.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import conftest  # noqa: E402, F401 - sets the environment before a kernel starts

RUN = "20260101-000000"
# What a notebook finds of the ones before it, and what it must end with.
NEEDS = {
    "01": (),
    "02": ("data",),
    "03": ("data", "adapters"),
    "04": ("data", "adapters", "report.json", "answers.jsonl"),
}
MAKES = {
    "01": ("data/train.jsonl", "data/test_cases.jsonl", "data/contrast_cases.jsonl", "data/calibration_cases.jsonl"),
    "02": ("adapters/full/adapter_model.safetensors", "adapters/eleven/adapter_model.safetensors"),
    "03": ("report.json", "answers.jsonl"),
    "04": ("published/adapter_model.safetensors", "published/report.json"),
}


def marks(run: Path, names: tuple[str, ...]) -> dict[str, str]:
    """SHA-256 of files, so far as they are there."""
    return {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in names if (run / name).is_file()}


def execute(path: Path, kill_at: int | None = None, after: float = 0.0) -> tuple[str, int]:
    """Run a notebook's code cells in a kernel of its own, and kill it `after` seconds into cell `kill_at`.

    Returns what was printed and the number of the cell that was running when the kernel died (-1: none).
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}})
    said = []
    with client.setup_kernel():
        code = [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
        for number, index in enumerate(code):
            timer = None
            if number == kill_at:
                timer = threading.Timer(after, lambda: os.kill(client.km.provisioner.pid, signal.SIGKILL))
                timer.start()
            try:
                cell = client.execute_cell(notebook.cells[index], index)
                said += [output.get("text", "") for output in cell.outputs]
                if timer:
                    timer.join()
                    time.sleep(0.2)
                    return "".join(said), number
            except DeadKernelError:
                return "".join(said), number
            except CellExecutionError as error:
                raise SystemExit(f"{path.stem}, code cell {number}: {error.ename}: {error.evalue}") from None
    return "".join(said), -1


def verdict(number: str, runs: Path, before: dict, said: str) -> list[str]:
    """What was lost: files that differ from the undisturbed ones, finished work that was done again."""
    run = max(runs.glob("2*"), key=lambda path: path.name)
    wrong = [name for name, mark in before["files"].items() if marks(run, (name,)).get(name) != mark]
    for name, step in before["trained"].items():
        if f"going on from update {step}" not in said:
            wrong.append(f"{name} was trained again from the start, update {step} was there")
    for name, first in before["answers"].items():
        if not (run / "answers" / name).read_text().startswith(first):
            wrong.append(f"answers of {name} were asked again")
    return wrong


def finished(run: Path) -> tuple[dict, dict]:
    """Updates of the complete checkpoints, and how many answers are saved."""
    trained = {
        path.parent.name: json.loads((path / "trainer_state.json").read_text())["global_step"]
        for path in run.glob("checkpoints/*/checkpoint-*")
        if (path / "sealed.json").is_file()
    }
    answers = {path.name: path.read_text().rpartition("\n")[0] for path in run.glob("answers/*.jsonl")}
    return trained, answers


def main() -> None:
    """Undisturbed once, then the kills."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", metavar="NN")
    parser.add_argument("--kills", type=int, default=4, help="a notebook")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, root = random.Random(options.seed), Path(tempfile.mkdtemp(prefix="kill_cells_"))
    os.environ["IRAE_PROFILE"] = "smoke"
    whole = root / "whole" / RUN
    job = [sys.executable, "-m", "irae_lib.run", "--run-dir", str(whole)]
    subprocess.run(job, cwd=ROOT, check=True, capture_output=True, env=os.environ | {"IRAE_RUNS": str(whole.parent)})
    lost = total = 0
    for number in options.notebooks or [*MAKES]:
        (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
        cells = sum(cell.cell_type == "code" for cell in nbformat.read(path, as_version=4).cells)
        for kill in range(options.kills):
            runs = root / f"{number}-{kill}"
            run = runs / RUN
            run.mkdir(parents=True)
            for name in NEEDS[number]:
                (shutil.copytree if (whole / name).is_dir() else shutil.copyfile)(whole / name, run / name)
            os.environ["IRAE_RUNS"] = str(runs)
            at, after = rng.randrange(2, cells), rng.choice((0.0, 0.3, 1.0, 3.0))
            _, died = execute(path, at, after)
            trained, answers = finished(run)
            said, _ = execute(path)
            before = {"files": marks(whole, MAKES[number]), "trained": trained, "answers": answers}
            wrong = verdict(number, runs, before, said)
            total, lost = total + 1, lost + bool(wrong)
            had = ", ".join(
                [
                    *(f"{n} at update {s}" for n, s in trained.items()),
                    *([f"{len(answers)} lists of answers"] * bool(answers)),
                ]
            )
            print(
                f"{path.stem}: killed in code cell {died} of {cells}; had {had or 'nothing of its own'}; "
                + ("lost: " + "; ".join(wrong) if wrong else "nothing lost"),
                flush=True,
            )
            shutil.rmtree(runs)
    shutil.rmtree(root, ignore_errors=True)
    print(f"nothing lost in {total - lost} of {total} kills")
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()
