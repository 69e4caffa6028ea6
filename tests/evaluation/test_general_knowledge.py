"""Questions about general medicine: well-formed, and read off the model as an independent forward pass gives it."""

import json
from collections import Counter

import pytest
import torch

from irae_lib.errors import SchemaError
from irae_lib.evaluation.general_knowledge import LETTERS, compare_retention, letter_shares, read_questions
from irae_lib.model.base import load_base, load_tokenizer
from irae_lib.workspace.profiles import REHEARSAL_BASE, choose_profile

QUESTIONS = read_questions()


def test_sixty_questions_right_answers_spread_and_nothing_about_the_task():
    assert len(QUESTIONS) == 60 == len({one.id for one in QUESTIONS})
    assert len({one.topic for one in QUESTIONS}) >= 15
    assert Counter(one.answer for one in QUESTIONS) == dict.fromkeys(range(4), 15)
    for one in QUESTIONS:
        assert len(set(one.options)) == 4
        text = f"{one.question} {' '.join(one.options)}".lower()
        assert not any(word in text for word in ("checkpoint", "irae", "ctcae", "nivolumab", "immune-related"))


def test_a_bad_line_is_refused_with_its_number(tmp_path):
    path = tmp_path / "items.jsonl"
    row = json.loads(QUESTIONS[0].model_dump_json())
    path.write_text(json.dumps(row) + "\n" + json.dumps(row | {"answer": 4}) + "\n")
    with pytest.raises(SchemaError, match=r"items.jsonl line 2: answer"):
        read_questions(path)


def test_letters_are_read_as_one_forward_pass_gives_them():
    tokenizer = load_tokenizer(REHEARSAL_BASE)
    base = load_base(choose_profile("rehearsal"))
    some = sorted(QUESTIONS, key=lambda one: len(one.question))[::13]
    shares = letter_shares(base, tokenizer, some, batch_size=3)
    for one, share in zip(some, shares, strict=True):
        options = "".join(f"{letter}. {option}\n" for letter, option in zip(LETTERS, one.options, strict=True))
        turn = [{"role": "user", "content": f"{one.question}\n{options}Answer with one letter."}]
        text = tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            logits = base(input_ids=ids).logits[0, -1]
        wanted = logits[[tokenizer.convert_tokens_to_ids(letter) for letter in LETTERS]].softmax(-1)
        assert share == pytest.approx(wanted.tolist(), abs=1e-4)


def test_comparison_by_hand():
    wrong = [(one.answer + 1) % 4 for one in QUESTIONS]
    sure = [[float(i == one.answer) for i in range(4)] for one in QUESTIONS]
    lost = [[float(i == other) for i in range(4)] for other in wrong]
    same = compare_retention(QUESTIONS, sure, sure)
    assert (same.base.hits, same.tuned.hits, same.p_value) == (60, 60, 1.0)
    worse = compare_retention(QUESTIONS, sure, lost)
    assert (worse.tuned.hits, worse.difference_interval.high, worse.p_value) == (0, -1.0, 0.0)
