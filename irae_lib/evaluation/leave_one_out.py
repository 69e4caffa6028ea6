"""Leave one case out: train on all cases but one, ask about that one, for each in turn.

Between the fitting check (train on the eleven, score the eleven) and the held-out sets: the only look at hand-written
cases that an adapter has not seen. With eleven cases the interval is wide, and each fold has nine updates.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

from peft import LoraConfig
from tqdm.auto import tqdm
from transformers import set_seed

from ..cases import LabelledCase
from ..model.answers import Answer
from ..model.generate import answer_all
from ..training.rows import dataset, fitting_length, to_prompt_completion, token_lengths
from ..training.trainer import ResumableTrainer, Settings, prepare


def leave_one_out(
    base, tokenizer, cases: Sequence[LabelledCase], record: dict[str, Any], *, max_new_tokens: int = 512
) -> list[Answer]:
    """The answer to each case by an adapter trained on the others, in their order.

    Args:
        base: without an adapter (`model.load_base`). It is left as it came.
        record: of the adapter whose `recipe` is used: that of `eleven`, so that a fold differs from it by one case.
    """
    rows = [to_prompt_completion(case) for case in cases]
    longest = fitting_length(token_lengths(tokenizer, rows))
    how = record["recipe"]
    settings = how["training"] | {"max_length": longest, "eval_strategy": "no"}
    answers = []
    for left_out, case in enumerate(tqdm(cases, desc="leave one out", unit="fold")):
        set_seed(record["seed"])
        with tempfile.TemporaryDirectory() as folder:
            trainer = ResumableTrainer(
                model=base,
                args=Settings(output_dir=folder, **settings),
                train_dataset=dataset(rows[:left_out] + rows[left_out + 1 :]),
                processing_class=tokenizer,
                peft_config=LoraConfig(**how["lora"]),
            )
            prepare(trainer, every_minutes=1e9)
            trainer.train()
            model = trainer.model.eval()
            answers += answer_all(model, tokenizer, [case.case], max_new_tokens=max_new_tokens, label=case.case.id)
            base = trainer.model.unload()
    return answers
