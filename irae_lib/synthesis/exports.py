"""Export the data set for other tools: a `datasets` folder, AutoTrain's files, and a data card.

Every file holds the same cases as the JSON lines of a run; exporting does not change their content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas

from .. import prompts
from ..cases import LabelledCase
from ..files import render, write_lines, write_text


def flat_row(case: LabelledCase) -> dict[str, Any]:
    """One case as a table row: the text, the five labels and the full answer as JSON text."""
    label = case.expected
    return {
        "id": case.case.id,
        "text": case.case.text,
        **label.scored(),
        "affected_systems": list(label.affected_systems),
        "answer": label.to_json(),
        "kind": case.kind,
        "topic": case.topic,
        "pair": case.pair,
    }


def write_dataset(folder: Path, splits: Mapping[str, Sequence[LabelledCase]], facts: Mapping[str, Any]) -> Path:
    """Write a folder for `datasets.load_dataset(folder)`: one JSON Lines file per split, and README.md as data card.

    Args:
        splits: cases by split name. facts: values for the card (seed, hashes, checks), as plain JSON types.
    """
    for name, cases in splits.items():
        write_lines(folder / f"{name}.jsonl", map(flat_row, cases))
    write_text(folder / "README.md", data_card(splits, facts))
    return folder


def write_autotrain(folder: Path, train: Sequence[LabelledCase], base_model: str) -> Path:
    """Write AutoTrain's files: `train.jsonl` (messages), `train.csv` (one text column of Gemma turns), the YAML."""
    rows = [prompts.messages(case.case) + prompts.target(case.expected) for case in train]
    write_lines(folder / "train.jsonl", ({"messages": row} for row in rows))
    table = pandas.DataFrame({"text": map(_turns, rows)})
    write_text(folder / "train.csv", table.to_csv(index=False, lineterminator="\n"))
    write_text(folder / "autotrain.yaml", render("autotrain.yaml", base=base_model))
    return folder


def _turns(messages: list[dict[str, str]]) -> str:
    role = {"user": "user", "assistant": "model"}
    return "<bos>" + "".join(f"<start_of_turn>{role[m['role']]}\n{m['content']}<end_of_turn>\n" for m in messages)


def data_card(splits: Mapping[str, Sequence[LabelledCase]], facts: Mapping[str, Any]) -> str:
    """Render the card of a data set: contents, generation, checks, limitations."""
    rows = [
        {
            "name": name,
            "notes": len(cases),
            "irae": sum(case.expected.irae_detected for case in cases),
            "pairs": len({case.pair for case in cases if case.pair}),
        }
        for name, cases in splits.items()
    ]
    return render("dataset_card.md", rows=rows, facts=facts, prompt=prompts.COMPACT.version)
