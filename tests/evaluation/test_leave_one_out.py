"""Leave one case out: each fold trains on the others only, and the base comes back as it was."""

import json
from dataclasses import replace

import pytest
import torch

from irae_lib.cases import validated_cases
from irae_lib.evaluation import leave_one_out
from irae_lib.model.adapters import lora_config
from irae_lib.model.base import load_base, load_tokenizer
from irae_lib.training.rows import dataset, to_prompt_completion
from irae_lib.training.trainer import ResumableTrainer, recipe, sft_config
from irae_lib.workspace.profiles import choose_profile

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.slow
def test_no_fold_sees_the_case_it_is_asked_about(monkeypatch, tmp_path):
    profile, cases = replace(choose_profile("rehearsal"), batch_size=4), validated_cases()[:3]
    seen, used = [], []

    class Watched(leave_one_out.ResumableTrainer):
        def __init__(self, *, train_dataset, **settings):
            seen.append([row["prompt"] for row in train_dataset])
            super().__init__(train_dataset=train_dataset, **settings)
            rank = self.model.peft_config["default"].r
            used.append((self.args.learning_rate, self.args.num_train_epochs, self.args.train_batch_size, rank))

    monkeypatch.setattr(leave_one_out, "ResumableTrainer", Watched)
    base, tokenizer = load_base(profile), load_tokenizer(profile.base_model)
    before = {name: weight.clone() for name, weight in base.state_dict().items()}
    rows = [to_prompt_completion(case) for case in cases]
    written = ResumableTrainer(
        model=load_base(profile),
        args=sft_config(profile, tmp_path, epochs=1, learning_rate=1e-3, max_length=768, seed=5),
        train_dataset=dataset(rows),
        processing_class=tokenizer,
        peft_config=lora_config(rank=8),
    )
    record = json.loads(json.dumps({"recipe": recipe(written), "seed": 5}))
    answers = leave_one_out.leave_one_out(base, profile, tokenizer, cases, record)
    assert used == [(1e-3, 1, 4, 8)] * 3
    prompts = [to_prompt_completion(case)["prompt"] for case in cases]
    assert seen == [[p for p in prompts if p != left_out] for left_out in prompts]
    assert len(answers) == 3
    assert all(one.assessment for one in answers)
    after = base.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
