"""The minimal pairs cannot be solved by keywords: the tuned rehearsal model beats a bag of words on them."""

import json

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is in tests/requirements-extra.txt")

from bag_of_words import baseline

from irae_lib.cases import write_cases
from irae_lib.files import DATA, file_sha256
from irae_lib.synthesis.splits import make_splits
from irae_lib.workspace.profiles import choose_profile


def test_tuned_rehearsal_is_ten_points_above_a_bag_of_words_on_contrast_pairs(tmp_path):
    report = json.loads((DATA / "reports" / "rehearsal.json").read_text(encoding="utf-8"))
    profile = choose_profile("rehearsal")
    splits = make_splits(
        7,
        train=profile.train_cases,
        calibration=profile.calibration_cases,
        test=profile.test_cases,
        pairs=profile.contrast_pairs,
        detail=profile.note_detail,
    )
    cases = write_cases(tmp_path / "contrast_cases.jsonl", splits["contrast"])
    assert file_sha256(cases) == report["contrast_sha256"], "the report is of other pairs than the generator makes now"
    tuned = report["results"]["contrast"]["full"]["raw"]
    words = baseline(splits)["contrast"]
    assert tuned["n"] == words.n == 200
    assert tuned["passed"] / 200 >= words.passed / 200 + 0.10
