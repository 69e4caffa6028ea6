"""Profiles, run folders and tokens: every choice has a reason, every refusal says what to do."""

import os

import pytest

from irae_lib.errors import AccessError, RunError
from irae_lib.workspace import hub_access, profiles, runs


def test_auto_is_the_rehearsal_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(profiles, "_cuda", lambda: (None, ""))
    profile = profiles.choose_profile()
    assert profile.name == "rehearsal"
    assert profile.is_rehearsal
    assert "no CUDA" in profile.reason


@pytest.mark.parametrize(
    "capability, name, compute, word",
    [
        ((7, 5), "t4", "float16", "no bfloat16"),
        ((8, 0), "gpu", "bfloat16", "bfloat16"),
        ((9, 0), "gpu", "bfloat16", "bfloat16"),
    ],
)
def test_compute_capability_decides_precision_with_its_reason(monkeypatch, capability, name, compute, word):
    monkeypatch.setattr(profiles, "_cuda", lambda: (capability, "Test GPU"))
    profile = profiles.choose_profile()
    assert (profile.name, profile.compute_dtype, profile.four_bit) == (name, compute, True)
    assert word in profile.reason
    assert "Test GPU" in profile.reason
    assert not profile.is_rehearsal


def test_environment_decides_auto_and_a_name_beats_it(monkeypatch):
    monkeypatch.setenv("IRAE_PROFILE", "smoke")
    assert profiles.choose_profile().name == "smoke"
    assert profiles.choose_profile("rehearsal").name == "rehearsal"


def test_another_base_changes_nothing_else():
    ours, other = profiles.choose_profile("rehearsal"), profiles.choose_profile("rehearsal", profiles.MEDGEMMA)
    assert other.base_model == profiles.MEDGEMMA
    assert not other.is_rehearsal
    assert other.epochs == ours.epochs


@pytest.mark.parametrize("name, message", [("t5", "choose auto"), ("t4", "needs a CUDA device")])
def test_unusable_profile_is_refused(monkeypatch, name, message):
    monkeypatch.setattr(profiles, "_cuda", lambda: (None, ""))
    with pytest.raises(RunError, match=message):
        profiles.choose_profile(name)


def test_newest_run_that_holds_what_is_needed_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("IRAE_RUNS", str(tmp_path))
    first, second = runs.new_run(), runs.new_run()
    assert first != second
    (first / "report.json").write_text("{}")
    assert runs.find_run(needs="report.json", made_by="03_validate") == first
    (second / "report.json").write_text("{}")
    os.utime(first / "report.json", (1, 1))
    assert runs.find_run(needs="report.json", made_by="03_validate") == second


def test_missing_run_says_which_notebook_makes_it(monkeypatch, tmp_path):
    monkeypatch.setenv("IRAE_RUNS", str(tmp_path / "none"))
    with pytest.raises(RunError, match="run 03_validate first"):
        runs.find_run(needs="report.json", made_by="03_validate")
    with pytest.raises(RunError, match="run 03_validate with the same run_dir"):
        runs.find_run(str(tmp_path), needs="report.json", made_by="03_validate")


@pytest.fixture()
def no_token(monkeypatch, tmp_path):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HF_TOKEN_PATH", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    return tmp_path


def test_token_comes_from_the_environment_then_the_file_and_is_never_shown(monkeypatch, no_token):
    assert hub_access.find_token().value is None
    (no_token / "token").write_text("hf_fromfile\n")
    assert hub_access.find_token() == ("hf_fromfile", "token file")
    monkeypatch.setenv("HF_TOKEN", "hf_fromenv")
    assert hub_access.find_token().value == "hf_fromenv"
    assert "hf_" not in repr(hub_access.find_token())


def test_gated_model_without_token_says_what_to_accept_and_where(no_token):
    with pytest.raises(AccessError) as error:
        hub_access.require_access(profiles.MEDGEMMA)
    for part in ("Accept the terms", "https://huggingface.co/google/medgemma-4b-it", "HF_TOKEN"):
        assert part in str(error.value)


def test_rehearsal_needs_no_token(no_token):
    assert "no token needed" in hub_access.require_access(profiles.REHEARSAL_BASE)


def test_neither_folder_nor_hub_id_is_refused():
    with pytest.raises(AccessError, match="neither a folder"):
        hub_access.model_path("no/such/folder")


def test_a_folder_that_is_no_model_is_one_sentence(tmp_path):
    with pytest.raises(AccessError, match="is not a base model: config.json is not in it"):
        hub_access.model_path(str(tmp_path))
