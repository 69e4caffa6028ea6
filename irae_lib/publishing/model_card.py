"""The README.md of a published adapter: `data/model_card.md` filled with its record and the validation report.

A number that neither has stops the card, and known failures are read off the report, so a card cannot be kinder than
the measurement.
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
# The exact sentence the terms ask for (HAI-DEF Terms of Use, 3.1).
NOTICE = f"HAI-DEF is provided under and subject to the Health AI Developer Foundations Terms of Use found at {TERMS}\n"


def model_card(record: Mapping[str, Any], report: Report, repo_id: str) -> str:
    """The card as Markdown with YAML front matter, results in model-index form.

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
