"""Reading the project's notebooks: their paths, their code cells, what those show."""

from pathlib import Path

import nbformat

from irae_lib.files import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MAIN_JOB = ("01_build_data", "02_fine_tune", "03_validate", "04_push_adapter")


def load(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in load(path).cells if cell.cell_type == "code"]


def tagged(path: Path, tag: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in code_cells(path) if tag in cell.metadata.get("tags", [])]


def printed(path: Path) -> str:
    """All text that the code cells of a notebook show."""
    outputs = [output for cell in code_cells(path) for output in cell.outputs]
    return "\n".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in outputs)
