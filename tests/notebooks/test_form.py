"""The notebooks are well formed: one parameters cell, short cells, saved outputs without errors or machine paths."""

import base64
import re

import nbformat
import papermill
import pytest
from notebook_files import MAIN_JOB, NOTEBOOKS, code_cells, load, tagged
from refresh_outputs import steady

from irae_lib.files import ROOT


def test_all_notebooks_are_there():
    assert {path.stem for path in NOTEBOOKS} >= {
        "00_rehearsal_base",
        *MAIN_JOB,
        "05_review_cases",
        "06_screen_at_scale",
        "07_look_closer",
    }


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_well_formed(path):
    notebook, text = load(path), path.read_text(encoding="utf-8")
    nbformat.validate(notebook)
    assert re.fullmatch(r"\d\d(_[a-z]+)+", path.stem)
    assert len(tagged(path, "parameters")) == 1
    assert f"/blob/main/notebooks/{path.name}" in notebook.cells[0].source, "the badge must open this very file"
    assert "widgets" not in notebook.metadata
    assert "intrinsic+json" not in text
    assert not re.search(r"hf_[A-Za-z0-9]{30,}", text), "a token-like string"
    assert not re.search(r"(?<![\w.])/(?:root|home|work|tmp|farm|Users)/[\w./-]+", text), "a path of somebody's machine"
    assert len(text) < 200_000
    for number, cell in enumerate(code_cells(path)):
        assert cell.execution_count is not None, f"code cell {number} has no count: nbval would compare nothing"
        assert cell.source.count("\n") <= 25, f"code cell {number} is longer than 25 lines"
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            said = "".join(out.get("text", "") for out in cell.outputs)
            assert steady(said) == said, f"code cell {number} holds what changes from run to run; refresh_outputs.py"
        assert not [out for out in cell.outputs if out.output_type == "error" or out.get("name") == "stderr"], (
            f"code cell {number}"
        )


def test_setup_cell_is_the_same_everywhere():
    setups = {next(cell.source for cell in code_cells(path) if "repository =" in cell.source) for path in NOTEBOOKS}
    assert len(setups) == 1


@pytest.mark.parametrize(
    ("notebook", "cell_id", "picture"),
    [
        ("05_review_cases", "note-figure", "annotated_note.png"),
        ("07_look_closer", "results-figure", "results.png"),
    ],
)
def test_the_pictures_of_the_readme_are_those_of_the_notebooks(notebook, cell_id, picture):
    (cell,) = [cell for cell in code_cells(ROOT / "notebooks" / f"{notebook}.ipynb") if cell.id == cell_id]
    picture = ROOT / "data" / "pictures" / picture
    assert base64.b64decode(cell.outputs[0].data["image/png"]) == picture.read_bytes()
    assert picture.relative_to(ROOT).as_posix() in (ROOT / "README.md").read_text()


def test_parameters_are_literals_of_plain_types():
    for path in NOTEBOOKS:
        for name, parameter in papermill.inspect_notebook(str(path)).items():
            assert isinstance(eval(parameter["default"], {"__builtins__": {}}), str | int | float | bool), (
                path.stem,
                name,
            )
