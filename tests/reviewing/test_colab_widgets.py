"""05 and the review panel with Colab's Python 3.13, kernel and widgets (7.7.1), in an environment made for it.

Without torch, which has no build for it here: so this also shows what 05 does where no model can be loaded. Skipped
where there is no Python 3.13 (IRAE_PYTHON313 may name one) or no package index.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WANTED = "ipykernel ipython ipywidgets jupyter_client nbclient nbformat traitlets tornado pyzmq matplotlib numpy pillow"
WANTED += " pydantic pytest papermill pandas httpx"
RUN = """
import sys, nbformat
from nbclient import NotebookClient
path = sys.argv[1]
notebook = nbformat.read(path, as_version=4)
NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": sys.argv[2]}}).execute()
import ipykernel, ipywidgets
print(sys.version_info[:2], ipykernel.__version__, ipywidgets.__version__)
for cell in notebook.cells:
    for output in cell.get("outputs", []):
        assert output.get("name") != "stderr", output
        print(output.get("text", ""), *output.get("data", {}))
"""

pytestmark = [pytest.mark.slow, pytest.mark.network]


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A Python 3.13 with Colab's versions of what 05 needs without a model."""
    found = os.environ.get("IRAE_PYTHON313") or shutil.which("python3.13")
    if not found or subprocess.run([found, "-c", "import venv"], capture_output=True).returncode:
        pytest.skip("no Python 3.13: set IRAE_PYTHON313 to one")
    folder = tmp_path_factory.mktemp("colab")
    subprocess.run([found, "-m", "venv", folder], check=True)
    inside = folder / "bin" / "python"
    pins = (ROOT / "tests" / "constraints-colab.txt").read_text()
    (folder / "pins.txt").write_text(pins)
    command = [inside, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", folder / "pins.txt"]
    done = subprocess.run([*command, *WANTED.split()], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the package index does not give Colab's versions: {done.stderr[-300:]}")
    return inside


def environment(tmp_path: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "IRAE_PROFILE"}
    return inherited | {"IRAE_RUNS": str(tmp_path), "IRAE_NO_INSTALL": "1", "PYTHONPATH": str(ROOT)}


def test_05_reads_cases_without_a_model(python, tmp_path):
    path = ROOT / "notebooks" / "05_review_cases.ipynb"
    done = subprocess.run(
        [python, "-c", RUN, path, path.parent],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "(3, 13) 6.17.1 7.7.1" in done.stdout
    assert "missing and left so (IRAE_NO_INSTALL)" in done.stdout
    assert "torch" in done.stdout
    for part in (
        "grade: Grade 3 - Severe | urgency: urgent",
        "rules alone, for now",
        "answers from: rules alone\n",
        "widget-view+json",
    ):
        assert part in done.stdout, part


def test_the_panel_does_with_widgets_7_what_it_does_with_8(python, tmp_path):
    tests = [f"tests/reviewing/test_{name}.py" for name in ("panel", "verdicts", "opening")]
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", *tests],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout, done.stdout[-3000:]
