"""The README.md of a published adapter: `data/model_card.md` filled with its record and the validation report.

A missing number stops the card, and known failures come from the report, so the card cannot overstate the results.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import AdapterError
from ..evaluation import robustness
from ..evaluation.report import Report
from ..files import render
from ..reporting import tables
from ..workspace.address import repository

TERMS = "https://developers.google.com/health-ai-developer-foundations/terms"
# The exact sentence the terms require (HAI-DEF Terms of Use, 3.1).
NOTICE = f"HAI-DEF is provided under and subject to the Health AI Developer Foundations Terms of Use found at {TERMS}\n"


def model_card(record: Mapping[str, Any], report: Report, repo_id: str) -> str:
    """Render the card as Markdown with YAML front matter and results in model-index format.

    Raises:
        AdapterError: the record or the report lacks a value that the card states; names it.
    """
    from huggingface_hub import ModelCard
    from jinja2 import UndefinedError

    try:
        text = render(
            "model_card.md",
            record=record,
            report=report,
            repo_id=repo_id,
            repository=repository(),
            terms=TERMS,
            notice=NOTICE.strip(),
            robustness=robustness,
            tables=tables,
        )
    except UndefinedError as error:
        raise AdapterError(f"the card cannot be written: {error.message}; run 02_fine_tune and 03_validate") from None
    return str(ModelCard(text))
