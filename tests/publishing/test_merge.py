"""The merged checkpoint is base plus adapter, is checked before it is kept, and never holds the rounding of 4 bits."""

import json
from dataclasses import replace

import pytest
import torch
from peft import get_peft_model

from irae_lib.cases import validated_cases
from irae_lib.errors import AdapterError, RunError
from irae_lib.files import DATA, file_sha256
from irae_lib.model import base
from irae_lib.model.adapters import (
    RECORD,
    adapter_parameters,
    check_language_only,
    load_adapters,
    lora_config,
    save_adapter,
)
from irae_lib.model.base import base_sha256, load_base, load_tokenizer
from irae_lib.model.generate import next_token_logits
from irae_lib.prompts import COMPACT
from irae_lib.publishing import merge
from irae_lib.workspace.profiles import choose_profile

PROFILE, ADAPTER = choose_profile("rehearsal"), DATA / "rehearsal_adapter"
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def merged(tmp_path_factory):
    out = tmp_path_factory.mktemp("merge") / "merged"
    return out, merge.merge(ADAPTER, out, PROFILE)


def test_merged_model_loads_alone_and_gives_the_logits_of_base_and_adapter(merged):
    out, passed = merged
    assert passed == 11
    assert [path.name for path in out.parent.iterdir()] == ["merged"]
    record = json.loads((out / RECORD).read_text())
    assert record["merged_from"] == file_sha256(ADAPTER / "adapter_model.safetensors")
    tokenizer = load_tokenizer(PROFILE.base_model)
    tuned = load_adapters(load_base(PROFILE), PROFILE.base_model, {"full": ADAPTER})
    alone = load_base(replace(PROFILE, base_model=str(out)))
    assert not any("lora" in name for name, _ in alone.named_parameters())
    for case in validated_cases()[:3]:
        a, b = (next_token_logits(one, tokenizer, case.case, COMPACT) for one in (tuned, alone))
        assert torch.allclose(a, b, atol=1e-3)


def test_float16_is_refused_and_four_bits_are_read_whole(tmp_path, monkeypatch):
    with pytest.raises(AdapterError, match="no dtype to merge in"):
        merge.merge(ADAPTER, tmp_path / "out", replace(PROFILE, four_bit=True, compute_dtype="float16"))
    read = []
    monkeypatch.setattr(base, "load_base", lambda profile: read.append(profile) or load_base(profile))
    assert merge.merge(ADAPTER, tmp_path / "out", replace(PROFILE, four_bit=True)) == 11
    assert [profile.four_bit for profile in read] == [False, False], "rounding must not be merged in"


def test_a_merge_that_answers_differently_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(base, "load_base", lambda profile: load_base(PROFILE))
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
    text = replace(PROFILE, base_model=str(out))
    alone = load_base(text)
    assert type(alone).__name__ == "Gemma3ForCausalLM"
    assert not any("vision" in name for name, _ in alone.named_parameters())
    # A text-only base (medgemma-27b-text-it) takes an adapter as any other does, and gives the same again from disk.
    tuned = get_peft_model(alone, lora_config())
    assert check_language_only(tuned)[0] == adapter_parameters(alone.config, 16)
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    tokenizer, case = load_tokenizer(PROFILE.base_model), validated_cases()[0].case
    before = next_token_logits(tuned.eval(), tokenizer, case, COMPACT)
    record = {
        "base_model": str(out),
        "base_revision": None,
        "base_sha256": base_sha256(str(out)),
        "prompt": "compact-1",
    }
    save_adapter(tuned, tmp_path / "adapter", record)
    again = load_adapters(load_base(text), str(out), {"full": tmp_path / "adapter"})
    assert torch.allclose(before, next_token_logits(again, tokenizer, case, COMPACT), atol=1e-5)
    assert not torch.allclose(before, next_token_logits(load_base(text), tokenizer, case, COMPACT), atol=1e-2)
