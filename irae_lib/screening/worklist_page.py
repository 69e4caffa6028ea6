"""The worklist as one HTML page that loads nothing (`data/worklist_page.html`): a card for each note, worst first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..files import DATA, render
from ..reporting.verdict import TITLES, UNREAD, UNREAD_TITLE
from ..schemas import Urgency

if TYPE_CHECKING:
    from .worklist import Task

MOST = 1_000  # cards; a browser would stall on a hundred thousand


def worklist_page(tasks: Sequence[Task], *, run: str, table: str) -> str:
    """The page of a worklist, with the first 1,000 tasks; `run` names the screening run, `table` the file with all."""
    shown = list(tasks[:MOST])
    return render(
        "worklist_page.html",
        style=(DATA / "page" / "note.css").read_text(encoding="utf-8"),
        tasks=shown,
        titles=[TITLES[Urgency(task.urgency)] if task.assessed else UNREAD_TITLE for task in shown],
        levels=[task.urgency if task.assessed else UNREAD for task in shown],
        total=len(tasks),
        run=run,
        table=table,
    )
