"""The data set for other tools: what `datasets` opens, what AutoTrain reads, and a card that counts right."""

import csv
import json

import pytest

from irae_lib.cases import validated_cases
from irae_lib.model.answers import parse_answer
from irae_lib.synthesis.exports import data_card, write_autotrain, write_dataset
from irae_lib.synthesis.splits import make_splits
from irae_lib.workspace.profiles import MEDGEMMA

SPLITS = make_splits(5, train=24, calibration=6, test=12, pairs=4, detail="full") | {"validated": validated_cases()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("made") / "dataset", SPLITS, {"seed": 5})


def test_load_dataset_opens_the_folder_with_every_split(folder, tmp_path):
    from datasets import load_dataset

    loaded = load_dataset(str(folder), cache_dir=str(tmp_path))
    assert {name: len(loaded[name]) for name in loaded} == {name: len(cases) for name, cases in SPLITS.items()}
    for name, cases in SPLITS.items():
        assert loaded[name]["text"][:] == [case.case.text for case in cases]
        answers = [parse_answer(text).assessment for text in loaded[name]["answer"]]
        assert answers == [case.expected for case in cases]


def test_the_card_counts_what_is_there(folder):
    card = (folder / "README.md").read_text(encoding="utf-8")
    irae = sum(case.expected.irae_detected for case in SPLITS["test"])
    assert f"| test | 12 | {irae} | {12 - irae} |  |" in card
    assert "| contrast | 8 |" in card
    assert "- seed: 5" in card
    assert "no row comes from a patient" in card.lower()
    assert "de-identified" in card
    assert data_card(SPLITS, {}) != card


def test_autotrain_files_hold_the_same_rows_and_say_what_does_not_work(tmp_path):
    made = write_autotrain(tmp_path / "autotrain", SPLITS["train"], MEDGEMMA)
    rows = [json.loads(line) for line in (made / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    with (made / "train.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    assert len(rows) == len(texts) == 24
    for row, text, case in zip(rows, texts, SPLITS["train"], strict=True):
        assert [turn["role"] for turn in row["messages"]] == ["user", "assistant"]
        assert row["messages"][1]["content"] == case.expected.to_json()
        assert case.expected.to_json() in text
    config = (made / "autotrain.yaml").read_text(encoding="utf-8")
    assert f"cannot load {MEDGEMMA}" in config
    assert "text_column: messages" in config


def test_csv_text_is_the_chat_template_word_for_word(tmp_path):
    from irae_lib.model.base import load_tokenizer
    from irae_lib.training.rows import to_messages
    from irae_lib.workspace.profiles import REHEARSAL_BASE

    made = write_autotrain(tmp_path / "autotrain", SPLITS["train"][:3], MEDGEMMA)
    with (made / "train.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    tokenizer = load_tokenizer(REHEARSAL_BASE)
    wanted = [
        tokenizer.apply_chat_template(to_messages(case)["messages"], tokenize=False) for case in SPLITS["train"][:3]
    ]
    assert texts == wanted
