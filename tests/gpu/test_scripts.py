"""The scripts of this folder run on a toy on the CPU, so that they do not rot where there is no GPU."""

import json

import bench_training
import gemma
import pytest
import true_size

pytestmark = pytest.mark.filterwarnings("ignore")


def test_true_size(tmp_path):
    true_size.main(["--toy", "--out", str(tmp_path / "seen.json")])
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert [name for name in seen if name.startswith("train")] == ["train_64", "train_96"]
    assert all(loss < 20 for loss in seen["train_64"]["losses"])
    assert seen["answers_whole"]["readable"] == 2
    assert len(seen["original_64"]["losses"]) == 3


def test_bench_training(tmp_path, capsys):
    bench_training.main(["--toy", "--out", str(tmp_path / "seen.json")])
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["before_64"]["division"] == "1 row at a time, with checkpointing"
    assert seen["now_64"]["division"] == "4 rows at a time, without checkpointing"
    assert seen["before_64"]["losses"] == pytest.approx(seen["now_64"]["losses"], abs=0.2)  # dropout draws differently
    assert seen["answers_4"]["notes_per_second"] > 0
    table = capsys.readouterr().out.split("\n\n")[-1].strip().splitlines()
    assert len(table) == 1 + 3 * 2


def test_gemma(tmp_path):
    gemma.main(["--toy", "--out", str(tmp_path / "seen.json")])
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["training"]["updates"] == 6
    assert seen["test_full"]["raw"]["n"] == seen["test_base"]["raw"]["n"] == 4
    assert seen["outside"]["cases"] == 2
    assert "difference_interval" in seen["tuned_minus_base"]
