"""Leave one case out: each fold trains on the others only, and the base comes back as it was."""

import json

import pytest
import torch

from irae_lib.cases import validated_cases
from irae_lib.evaluation import leave_one_out
from irae_lib.files import DATA
from irae_lib.model.adapters import RECORD
from irae_lib.model.base import load_base, load_tokenizer
from irae_lib.training.rows import to_prompt_completion
from irae_lib.workspace.profiles import choose_profile

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.slow
def test_no_fold_sees_the_case_it_is_asked_about(monkeypatch):
    profile, cases = choose_profile("rehearsal"), validated_cases()[:3]
    seen = []

    class Watched(leave_one_out.ResumableTrainer):
        def __init__(self, *, train_dataset, **settings):
            seen.append([row["prompt"] for row in train_dataset])
            super().__init__(train_dataset=train_dataset, **settings)

    monkeypatch.setattr(leave_one_out, "ResumableTrainer", Watched)
    base, tokenizer = load_base(profile), load_tokenizer(profile.base_model)
    before = {name: weight.clone() for name, weight in base.state_dict().items()}
    record = json.loads((DATA / "rehearsal_adapter" / RECORD).read_text()) | {"epochs": 1}
    answers = leave_one_out.leave_one_out(base, profile, tokenizer, cases, record)
    prompts = [to_prompt_completion(case)["prompt"] for case in cases]
    assert seen == [[p for p in prompts if p != left_out] for left_out in prompts]
    assert len(answers) == 3
    assert all(one.assessment for one in answers)
    after = base.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
