"""The merged checkpoint is base plus adapter, is checked before it is kept, and never comes from 4 bits."""

import json
from dataclasses import replace

import pytest
import torch

from irae_lib import merge
from irae_lib.cases import file_sha256, validated_cases
from irae_lib.model import RECORD, load_adapters, load_base, load_tokenizer, next_token_logits
from irae_lib.prompts import COMPACT
from irae_lib.runtime import DATA, choose_profile
from irae_lib.schemas import AdapterError, RunError

PROFILE, ADAPTER = choose_profile("rehearsal"), DATA / "rehearsal_adapter"
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def merged(tmp_path_factory):
    out = tmp_path_factory.mktemp("merge") / "merged"
    return out, merge.merge(ADAPTER, out, PROFILE)


def test_merged_model_loads_alone_and_gives_the_logits_of_base_and_adapter(merged):
    out, passed = merged
    assert passed == 11 and [path.name for path in out.parent.iterdir()] == ["merged"]
    record = json.loads((out / RECORD).read_text())
    assert record["merged_from"] == file_sha256(ADAPTER / "adapter_model.safetensors")
    tokenizer = load_tokenizer(PROFILE.base_model)
    tuned = load_adapters(load_base(PROFILE), PROFILE.base_model, {"full": ADAPTER})
    alone = merge._load(out, PROFILE)
    assert not any("lora" in name for name, _ in alone.named_parameters())
    for case in validated_cases()[:3]:
        a, b = (next_token_logits(one, tokenizer, case.case, COMPACT) for one in (tuned, alone))
        assert torch.allclose(a, b, atol=1e-3)


def test_four_bits_are_refused_before_anything_is_loaded(tmp_path):
    with pytest.raises(AdapterError, match="rounding errors"):
        merge.merge(ADAPTER, tmp_path / "out", replace(PROFILE, four_bit=True))


def test_a_merge_that_answers_differently_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(merge, "_load", lambda folder, profile: load_base(profile))
    with pytest.raises(AdapterError, match="differently"):
        merge.merge(ADAPTER, tmp_path / "out", PROFILE)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_refused(tmp_path, monkeypatch):
    usage = merge.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(merge.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(RunError, match="GB of disk"):
        merge.merge(ADAPTER, tmp_path / "out", PROFILE)


def test_text_only_has_no_vision_tower_and_grades_the_same(tmp_path):
    out = tmp_path / "text"
    assert merge.merge(ADAPTER, out, PROFILE, text_only=True) == 11
    alone = merge._load(out, PROFILE)
    assert type(alone).__name__ == "Gemma3ForCausalLM"
    assert not any("vision" in name for name, _ in alone.named_parameters())
