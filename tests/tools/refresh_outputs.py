"""Run every notebook at its defaults and keep the outputs, so that nbval has something true to compare.

    python tests/tools/refresh_outputs.py [--shipped] [--runs FOLDER] [NN ...]

Same environment as the tests, one shared folder for runs, notebooks in their order. With `--runs` that folder is an
existing one: 03 alone then validates the adapter of its newest run instead of asking for 01 and 02 first. Counts stay
(nbval skips cells without them); timings, widget state and injected parameters go. Run it in the environment of the
README after changing a notebook, the library or the shipped base, and read the difference.

`--shipped` is for a change that leaves the training data as they are: 02 finds its training finished with the shipped
adapter, keeps its own saved outputs, and 03's report becomes the shipped one before 06 reads it.
"""

import argparse
import base64
import io
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
import papermill
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import conftest  # noqa: E402, F401 - sets the environment before a kernel starts

NOTEBOOKS = ROOT / "notebooks"
# The pictures of README.md are those of these cells.
PICTURES = {"note-figure": "annotated_note.png", "results-figure": "results.png"}


# What differs from run to run, in cells that the tests do not compare: folders named by the clock, seconds, memory.
VARYING = (
    (r"\b20\d{6}-\d{6}(?:-\d+)?\b", "20260101-120000"),
    (r", \d+\.\d+ minutes, \d+\.\d+ s each", ""),
    (r"(\| hardware \| .*), \d+\.\d+ minutes", r"\1"),
    (r"(about [\d.]+) of [\d.]+ (GiB at \d+ tokens), \d+ GiB of disk free", r"\1 \2"),
    (r"(for 1,000 tokens +not on a T4 +)[\d.]+ s", r"\1-"),
    (r"\b[\d.]+ (notes a second)$", r"hundreds of \1"),
)


def steady(text: str) -> str:
    """Text of an output as it is the same in every run."""
    for pattern, instead in VARYING:
        text = re.sub(pattern, instead, text, flags=re.MULTILINE)
    return text


def joined(outputs: list) -> list:
    """Outputs with what was printed in one piece: where a kernel flushes in between is chance."""
    whole = []
    for output in outputs:
        before = whole[-1] if whole else {}
        if output["output_type"] == "stream" and before.get("name") == output["name"]:
            before["text"] += output["text"]
        else:
            whole.append(output)
    return whole


def compact(html: str) -> str:
    """The HTML of a table on one line: a cell a line takes half of a notebook's 200 kB."""
    return re.sub(r"\n\s*|<style scoped>.*?</style>", "", html, flags=re.DOTALL)


def smaller(png: str) -> str:
    """A base64 PNG in 32 colours, rare ones among them: charts look the same and a notebook stays under 200 kB."""
    out = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    picture.quantize(32, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode()


def refresh(path: Path) -> None:
    """Execute one notebook in place and drop everything that differs from run to run."""
    notebook = papermill.execute_notebook(
        str(path),
        None,
        cwd=str(path.parent),
        kernel_name="python3",
        progress_bar=False,
        extra_arguments=["--log-level=CRITICAL"],
    )
    for name in ("papermill", "widgets"):
        notebook.metadata.pop(name, None)
    for cell in notebook.cells:
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        if "outputs" in cell:
            cell.outputs = joined(cell.outputs)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if output["output_type"] == "stream" and "nbval-ignore-output" in cell.metadata.get("tags", []):
                output["text"] = steady(output["text"])
            data.pop("application/vnd.jupyter.widget-view+json", None)
            for kind in ("text/plain", "text/markdown"):
                if kind in data and "nbval-ignore-output" in cell.metadata.get("tags", []):
                    data[kind] = steady(data[kind])
            if "text/html" in data and "nbval-ignore-output" in cell.metadata.get("tags", []):
                data["text/html"] = compact(data["text/html"])
            if "image/png" in data:
                data["image/png"] = smaller(data["image/png"])
            output.pop("metadata", None) if not output.get("metadata") and output["output_type"] == "stream" else None
    notebook.metadata["language_info"] = {"name": "python"}  # the version of Python is not part of the result
    aside = path.with_suffix(".part")
    nbformat.write(notebook, aside)
    aside.replace(path)
    for cell in notebook.cells:
        if name := PICTURES.get(cell.get("id")):
            (ROOT / "data" / "pictures" / name).write_bytes(base64.b64decode(cell.outputs[0].data["image/png"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", metavar="NN")
    parser.add_argument("--runs", default="")
    parser.add_argument("--shipped", action="store_true", help="with the shipped adapter in the place of training")
    wanted = parser.parse_args()
    # Pictures where readers look: the tests draw nowhere, the saved notebooks show what Jupyter and Colab show.
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    with tempfile.TemporaryDirectory() as aside:
        os.environ["IRAE_RUNS"] = str(Path(wanted.runs or Path(aside) / "runs").resolve())
        for path in sorted(NOTEBOOKS.glob("*.ipynb")):
            if not wanted.notebooks or path.name[:2] in wanted.notebooks:
                print("running", path.name, flush=True)
                if wanted.shipped and path.name.startswith("02"):
                    adopt_training(path)
                else:
                    refresh(path)
                if wanted.shipped and path.name.startswith("03"):
                    shutil.copy(newest_run() / "report.json", ROOT / "data" / "reports" / "rehearsal.json")


def newest_run() -> Path:
    return max((path for path in Path(os.environ["IRAE_RUNS"]).iterdir() if path.is_dir()), key=lambda run: run.name)


def adopt_training(path: Path) -> None:
    """Run 02 aside, in a run whose training is finished with the shipped adapter; its saved page stays."""
    from finished_training import finish_training

    finish_training(newest_run())
    aside = Path(os.environ["IRAE_RUNS"]).parent / "02.ipynb"
    papermill.execute_notebook(str(path), str(aside), cwd=str(path.parent), kernel_name="python3", progress_bar=False)


if __name__ == "__main__":
    main()
