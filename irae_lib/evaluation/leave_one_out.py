"""Leave-one-out cross-validation: train on all cases but one, then answer that case, for each case in turn.

It sits between the fitting check (train and score on the same eleven cases) and the held-out sets. It is the only
measurement on hand-written cases unseen by the adapter. With eleven cases the interval is wide, and each fold has nine
updates.
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
from ..training.trainer import ResumableTrainer, Settings, machine_settings, prepare
from ..workspace.profiles import Profile


def leave_one_out(
    base, profile: Profile, tokenizer, cases: Sequence[LabelledCase], record: dict[str, Any]
) -> list[Answer]:
    """The answer to each case by an adapter trained on the others, in the order of the cases.

    Args:
        base: a model without an adapter (`model.load_base`); it is left unchanged. profile: of this machine.
        record: the record of the adapter whose `recipe` is used: `eleven`, so that a fold differs from it by one case.
    """
    rows = [to_prompt_completion(case) for case in cases]
    longest = fitting_length(token_lengths(tokenizer, rows))
    how = record["recipe"]
    settings = how["training"] | machine_settings(profile) | {"max_length": longest, "eval_strategy": "no"}
    tokens = profile.max_new_tokens
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
            answers += answer_all(model, tokenizer, [case.case], max_new_tokens=tokens, label=case.case.id)
            base = trainer.model.unload()
    return answers
