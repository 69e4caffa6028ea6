"""The eleven validated cases, one test each: at least 4 of 5 fields right.

By default the shipped rehearsal adapter on the rehearsal base. Any other:
    IRAE_BASE_MODEL=google/medgemma-4b-it IRAE_ADAPTER=runs/<time>/adapters/full \\
        python -m pytest tests/test_clinical_cases.py -v
Both adapters were trained on these cases: passing is a fitting check, not evidence about new notes.
"""

import os
from pathlib import Path

import pytest

from irae_lib import score
from irae_lib.cases import validated_cases
from irae_lib.files import DATA
from irae_lib.model.adapters import load_adapters, read_record
from irae_lib.model.base import load_base, load_tokenizer
from irae_lib.model.generate import answer_all
from irae_lib.prompts import get_prompt
from irae_lib.workspace.profiles import choose_profile

CASES = validated_cases()


@pytest.fixture(scope="module")
def answers():
    folder = Path(os.environ.get("IRAE_ADAPTER") or DATA / "rehearsal_adapter")
    record = read_record(folder)
    profile = choose_profile("auto", os.environ.get("IRAE_BASE_MODEL") or record["base_model"])
    model = load_adapters(load_base(profile), profile.base_model, {"full": folder})
    found = answer_all(
        model,
        load_tokenizer(profile.base_model),
        [case.case for case in CASES],
        prompt=get_prompt(record["prompt"]),
        batch_size=profile.decode_batch,
        max_new_tokens=profile.max_new_tokens,
    )
    return dict(zip([case.case.id for case in CASES], found, strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.case.id)
def test_validated_case_has_at_least_4_of_5_fields_right(answers, case):
    answer = answers[case.case.id]
    result = score(answer.assessment, case.expected, unscored=answer.unscored)
    assert result.passed, f"{result.total} of 5: {result!r}"
