"""nbval runs every notebook at its defaults, the rehearsal, and compares its outputs with the saved ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from finished_training import finish_training
from notebook_files import NOTEBOOKS, code_cells

from irae_lib.files import DATA, ROOT, file_sha256

pytestmark = pytest.mark.slow


def reproduce(runs: Path, *numbers: str) -> None:
    """Run notebooks at their defaults in one folder of runs, and compare every saved output."""
    paths = [path for path in NOTEBOOKS if path.name[:2] in numbers]
    options = [
        "--nbval",
        "--nbval-current-env",
        "--nbval-cell-timeout=1500",
        "-p",
        "no:cacheprovider",
        "-o",
        "addopts=",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-o", "addopts=", "-q", "--color=no", *map(str, paths)],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=3000,
        env=os.environ | {"IRAE_RUNS": str(runs)},
    )
    assert done.returncode == 0, done.stdout[-6000:]
    compared = sum(cell.execution_count is not None for path in paths for cell in code_cells(path))
    assert f"{compared} passed" in done.stdout, done.stdout[-2000:]


def test_saved_outputs_are_reproduced_with_the_shipped_training(tmp_path):
    reproduce(tmp_path, "00", "01")
    (run,) = tmp_path.iterdir()
    finish_training(run)
    reproduce(tmp_path, "02", "03", "04", "05", "06", "07")
    trained, shipped = run / "adapters" / "full", DATA / "rehearsal_adapter"
    weights = "adapter_model.safetensors"
    assert file_sha256(trained / weights) == file_sha256(shipped / weights), "02 must have resumed, not trained"


@pytest.mark.full
def test_saved_outputs_are_reproduced_in_full(tmp_path):
    reproduce(tmp_path, *(path.name[:2] for path in NOTEBOOKS))
