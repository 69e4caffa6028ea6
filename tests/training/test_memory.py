"""The estimate: near published facts for MedGemma on a T4, right in its parts, and a refusal that names the remedy."""

import json
from dataclasses import replace

import pytest
from medgemma_config import medgemma_text_config

from irae_lib.files import DATA
from irae_lib.training.memory import (
    GIB,
    MEDGEMMA_VISION,
    available_memory,
    check_fit,
    estimate_memory,
    estimate_minutes,
    t4_checklist,
    vision_parameters,
)
from irae_lib.workspace.profiles import PROFILES

T4, SMOKE = PROFILES["t4"], PROFILES["smoke"]


@pytest.fixture(scope="module")
def medgemma():
    return medgemma_text_config()


def test_parts_equal_the_published_sizes(medgemma):
    """training.md 5.1: NF4 language 1.655 GB, embeddings 2.685 GB in float32, LoRA and gradients 0.119 GB each."""
    parts = {part.name: part.bytes / 1e9 for part in estimate_memory(medgemma, T4, length=1024).parts}
    assert parts["language weights"] == pytest.approx(1.655, rel=0.01)
    assert parts["embeddings"] == pytest.approx(2.685, rel=0.01)
    assert parts["adapter and its gradients, float32"] == pytest.approx(0.238, rel=0.01)
    assert parts["optimizer"] == pytest.approx(0.06, rel=0.02)


@pytest.mark.parametrize("length", [448, 1024, 2048])
def test_total_is_above_what_was_measured_at_true_size_by_a_tenth_at_most(medgemma, length):
    measured = json.loads((DATA / "reports" / "true_size_h200.json").read_text())["train"][str(length)]
    estimate = estimate_memory(medgemma, T4, length=length, vision=MEDGEMMA_VISION).total / GIB
    assert 1.0 <= estimate / measured["peak_reserved_gib"] <= 1.1


def test_the_vision_tower_is_counted_from_the_configuration(medgemma):
    from transformers import AutoConfig, Gemma3Config, SiglipVisionConfig

    stand_in = AutoConfig.from_pretrained(DATA / "rehearsal_base")
    parts = {part.name: part.bytes for part in estimate_memory(stand_in, SMOKE, length=512).parts}
    assert parts["vision weights (frozen)"] == vision_parameters(stand_in) * 4 < 100_000
    assert vision_parameters(medgemma) == 0, "a text model has none"
    tower = SiglipVisionConfig(
        hidden_size=1152,
        intermediate_size=4304,
        num_hidden_layers=27,
        num_attention_heads=16,
        image_size=896,
        patch_size=14,
        vision_use_head=False,
    )
    small = {"num_hidden_layers": 1, "hidden_size": 2560, "intermediate_size": 64, "vocab_size": 300}
    config = Gemma3Config(text_config=small, vision_config=tower.to_dict())
    projector = 1152 * 2560 + 1152
    assert vision_parameters(config) - projector == pytest.approx(MEDGEMMA_VISION, rel=1e-3)


def test_more_tokens_rank_or_batch_need_more(medgemma):
    base = estimate_memory(medgemma, T4, length=1024).total
    assert estimate_memory(medgemma, T4, length=2048).total > base
    assert estimate_memory(medgemma, T4, length=1024, rank=64).total > base
    assert estimate_memory(medgemma, replace(T4, at_once=4), length=1024).total > base
    assert estimate_memory(medgemma, replace(T4, checkpointing=False), length=1024).total > base + 2 * GIB
    assert estimate_memory(medgemma, replace(T4, four_bit=False), length=1024).total > 14.7 * GIB


def test_what_does_not_fit_is_refused_with_a_remedy(medgemma, tmp_path):
    estimates = [estimate_memory(medgemma, T4, length=n) for n in (1024, 2048)]
    fits = check_fit(estimates, available=14.7 * GIB, disk=tmp_path / "not" / "yet")
    assert fits.fits
    assert "at 2048 tokens" in fits.reason
    small = check_fit(estimates, available=4 * GIB, disk=tmp_path)
    assert not small.fits
    assert "the device has 4.0: a lower rank" in small.reason


def test_a_full_disk_is_refused(medgemma, tmp_path, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10, 10, 1_000_000))
    verdict = check_fit([estimate_memory(medgemma, T4, length=1024)], available=14 * GIB, disk=tmp_path)
    assert not verdict.fits
    assert "GiB of disk for checkpoints" in verdict.reason


def test_time_and_memory_of_this_machine():
    low, high = estimate_minutes(1_000_000, epochs=3)
    assert (low, high) == (150, 300)
    free, name = available_memory()
    assert free > 1e8
    assert name


def test_the_checklist_claims_nothing_off_a_t4():
    facts = {
        "capability": None,
        "lora_dtypes": {"float32"},
        "losses": [1.0, 0.5],
        "peak_bytes": 0,
        "estimate_bytes": 7 * GIB,
        "seconds": 10.0,
        "tokens": 1000,
    }
    assert {state for _, state, _ in t4_checklist(T4, facts)} == {"not on a T4"}
    measured = facts | {"capability": (7, 5), "peak_bytes": 7.2 * GIB, "losses": [float("nan")]}
    states = {claim: state for claim, state, _ in t4_checklist(T4, measured)}
    assert states["trains in float16 without NaN"] == "NO"
    assert states["LoRA weights stay float32"] == "yes"
    assert states["peak memory within 20 % of the estimate"] == "yes"
    assert states["3 to 6 s for 1,000 tokens"] == "NO"
