"""The data set in the forms other tools read: a `datasets` folder, AutoTrain's files, and a data card.

Every file holds the same cases as the JSON lines of a run; nothing here decides what a case says.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import prompts
from ..cases import LabelledCase
from ..files import write_lines, write_text

_AUTOTRAIN = """\
# For `autotrain --config autotrain.yaml`. AutoTrain's last release (0.8.36, January 2025) pins transformers 4.48.0,
# which is older than Gemma 3: it cannot load {base}. The file is here for other bases and for a successor;
# to train MedGemma, use notebooks/02_fine_tune.ipynb.
task: llm-sft
base_model: {base}
project_name: irae-lora
log: none
backend: local
data:
  path: .
  train_split: train
  valid_split: null
  chat_template: tokenizer
  column_mapping:
    text_column: messages
params:
  block_size: 1024
  model_max_length: 1024
  epochs: 3
  batch_size: 1
  lr: 2.0e-4
  peft: true
  quantization: int4
  target_modules: all-linear
  padding: right
  optimizer: paged_adamw_8bit
  scheduler: linear
  gradient_accumulation: 4
  mixed_precision: fp16
hub:
  username: null
  token: null
  push_to_hub: false
"""


def flat_row(case: LabelledCase) -> dict[str, Any]:
    """One case as a table row: the text, the five labels and the full answer as JSON text."""
    label = case.expected
    return {
        "id": case.case.id,
        "text": case.case.text,
        "irae_detected": label.irae_detected,
        "affected_systems": [system.value for system in label.affected_systems],
        "overall_severity": label.overall_severity.value,
        "urgency": label.urgency.value,
        "likelihood": label.causality.likelihood.value,
        "answer": label.to_json(),
        "kind": case.kind,
        "topic": case.topic,
        "pair": case.pair,
    }


def write_dataset(folder: Path, splits: Mapping[str, Sequence[LabelledCase]], facts: Mapping[str, Any]) -> Path:
    """A folder for `datasets.load_dataset(folder)`: one JSON-lines file a split, and the data card as README.md.

    Args:
        splits: cases by split name. facts: what the card should state (seed, hashes, checks), as plain JSON types.
    """
    for name, cases in splits.items():
        write_lines(folder / f"{name}.jsonl", map(flat_row, cases))
    write_text(folder / "README.md", data_card(splits, facts))
    return folder


def write_autotrain(folder: Path, train: Sequence[LabelledCase], base_model: str) -> Path:
    """AutoTrain's files: `train.jsonl` (messages), `train.csv` (one text column in Gemma's turn form), the YAML."""
    rows = [prompts.messages(case.case) + prompts.target(case.expected) for case in train]
    write_lines(folder / "train.jsonl", ({"messages": row} for row in rows))
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["text"])
    table.writerows([_turns(row)] for row in rows)
    write_text(folder / "train.csv", out.getvalue())
    write_text(folder / "autotrain.yaml", _AUTOTRAIN.format(base=base_model))
    return folder


def _turns(messages: list[dict[str, str]]) -> str:
    role = {"user": "user", "assistant": "model"}
    return "<bos>" + "".join(f"<start_of_turn>{role[m['role']]}\n{m['content']}<end_of_turn>\n" for m in messages)


def data_card(splits: Mapping[str, Sequence[LabelledCase]], facts: Mapping[str, Any]) -> str:
    """The card of a data set: what is in it, how it was made, what was checked, what it is not."""
    configs = "\n".join(f"  - split: {name}\n    path: {name}.jsonl" for name in splits)
    counts = "\n".join(_count_line(name, cases) for name, cases in splits.items())
    stated = "\n".join(
        f"- {key}: {value if isinstance(value, (str, int, float)) else json.dumps(value)}"
        for key, value in facts.items()
    )
    return f"""---
license: other
language: en
task_categories: [text-classification, text-generation]
tags: [medical, oncology, immune-related-adverse-events, synthetic]
configs:
- config_name: default
  data_files:
{configs}
---
# Synthetic notes on immune-related adverse events

No row comes from a patient. Notes are generated from illnesses at one CTCAE v5.0 grade, an exposure and a documented
cause; labels follow from these and never from the text. They are only as rich as the generator, and no measure of
how a model does on real notes.

| split | notes | irAE | mimics, negatives | pairs |
|---|---|---|---|---|
{counts}

`validated` are eleven hand-written cases with labels as published; `contrast` are minimal pairs (two rows share
`pair` and differ in one fact). Splits share no sentence frame, no seven masked words in a row and no graded
laboratory value of a wide range. Prompt version: {prompts.COMPACT.version}.

{stated}

Real notes must be de-identified before they are used with this project, and an adapter trained on them not published.
"""


def _count_line(name: str, cases: Sequence[LabelledCase]) -> str:
    irae = sum(case.expected.irae_detected for case in cases)
    paired = len(Counter(case.pair for case in cases if case.pair))
    return f"| {name} | {len(cases)} | {irae} | {len(cases) - irae} | {paired or ''} |"
