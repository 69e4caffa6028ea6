"""Training sharded over several processes: two CPU processes in the place of two GPUs."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version

import pytest
import torch
from packaging.version import Version
from peft import PeftModel
from safetensors.torch import load_file
from transformers import set_seed

from irae_lib.cases import validated_cases
from irae_lib.errors import AdapterError, RunError
from irae_lib.files import ROOT, write_lines, write_text
from irae_lib.model.adapters import lora_config, read_record
from irae_lib.model.base import load_base, load_tokenizer
from irae_lib.publishing import hub
from irae_lib.training.rows import dataset, fitting_length, to_prompt_completion, token_lengths
from irae_lib.training.sharded import train
from irae_lib.training.trainer import ResumableTrainer, prepare, sft_config
from irae_lib.workspace import checkpoints
from irae_lib.workspace.profiles import choose_profile

CPU = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        Version(version("accelerate")) < Version("1.15"),
        reason="accelerate 1.14, Colab's, puts a tied embedding into two FSDP groups; sharding is for clusters",
    ),
]


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """Two updates of two processes, four rows each, 4-bit weights; then the second again, resumed from the first."""
    run = tmp_path_factory.mktemp("sharded")
    write_lines(run / "data" / "train.jsonl", map(to_prompt_completion, validated_cases()[:8]))
    write_text(run / "data" / "data.json", '{"own_cases": 3}')
    seen = []
    for _ in range(2):
        said = _launch(run)
        weights = load_file(run / "adapters" / "full" / "adapter_model.safetensors")
        seen.append(json.loads((run / "seen.json").read_text()) | {"said": said, "weights": weights})
        last = run / "checkpoints" / "sharded" / "checkpoint-2" / "trainer_state.json"
        last.unlink()  # as if its last checkpoint were incomplete
    return run, *seen


def _launch(run):
    command = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--config_file",
        ROOT / "irae_lib" / "training" / "sharded" / "fsdp.yaml",
    ]
    command += ["--num_processes", "2", "--main_process_port", "0", ROOT / "tests" / "tools" / "fsdp_on_cpu.py", run]
    done = subprocess.run(command, env=os.environ | CPU | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_four_bit_weights_are_halved_between_processes_and_lora_stays_float32(sharded):
    _, seen, _ = sharded
    kinds = {("base_layer" in name, *kind) for name, kind in seen["sharded"].items()}
    assert kinds == {(True, "DTensor", "torch.bfloat16", True), (False, "DTensor", "torch.float32", True)}


def test_sharded_training_is_that_of_training_alone(sharded, tmp_path):
    _, seen, _ = sharded
    four_bit = {"dtype": "bfloat16", "compute_dtype": "bfloat16", "four_bit": True, "batch_size": 4, "at_once": 0}
    profile = replace(choose_profile("smoke"), **four_bit)
    set_seed(7)
    tokenizer = load_tokenizer(profile.base_model)
    rows = [to_prompt_completion(case) for case in validated_cases()[:8]]
    longest = fitting_length(token_lengths(tokenizer, rows))
    schedule = {"epochs": 1, "learning_rate": profile.learning_rate, "max_length": longest, "seed": 7}
    alone = ResumableTrainer(
        model=load_base(profile),
        args=sft_config(profile, tmp_path, sharded=True, **schedule),
        train_dataset=dataset(rows),
        processing_class=tokenizer,
        peft_config=lora_config(**train.LORA),
    )
    prepare(alone, sharded=True)
    alone.train()
    # The first update has a learning rate of 0; that the second saw the gradients of both processes shows in weights.
    named = {name.replace(".default", ""): p for name, p in alone.model.named_parameters() if "lora_B" in name}
    there = {name: weight for name, weight in seen["weights"].items() if "lora_B" in name}
    assert named.keys() == there.keys()
    a, b = (torch.cat([group[name].detach().flatten() for name in sorted(named)]) for group in (named, there))
    assert torch.nn.functional.cosine_similarity(a, b, dim=0) > 0.9, "Adam's first step is a sign: small ones may flip"
    losses = [entry["loss"] for entry in alone.state.log_history if "loss" in entry]
    assert seen["losses"] == pytest.approx(losses, rel=0.02), "bfloat16, and dropout of another random stream"


def test_an_interrupted_run_resumes_from_its_newest_complete_checkpoint(sharded):
    run, first, again = sharded
    assert (run / "checkpoints" / "sharded" / "checkpoint-1").is_dir()
    assert "a fresh start" in first["said"]
    assert "checkpoint-2 is skipped: trainer_state.json is missing\nresuming from checkpoint-1" in again["said"]
    assert again["losses"] == first["losses"]
    assert all(torch.equal(weight, again["weights"][name]) for name, weight in first["weights"].items())


def test_the_adapter_of_a_sharded_training_is_an_adapter_like_any_other(sharded):
    run, _, _ = sharded
    folder = run / "adapters" / "full"
    shipped = load_file(ROOT / "data" / "rehearsal_adapter" / "adapter_model.safetensors")
    weights = load_file(folder / "adapter_model.safetensors")
    assert {name: w.shape for name, w in weights.items()} == {name: w.shape for name, w in shipped.items()}
    assert any(w.abs().max() > 0 for name, w in weights.items() if "lora_B" in name), "it was trained"
    record = read_record(folder)
    assert (record["hardware"], record["updates"], record["examples"]) == ("2 x cpu", 2, 8)
    assert (record["examples_an_update"], record["own_cases"]) == (4, 3)
    with pytest.raises(AdapterError, match="3 cases of your own.*not published"):
        hub.stage(folder, {}, run / "staged", "owner/name")
    loaded = PeftModel.from_pretrained(load_base(choose_profile("smoke")), folder)
    there = dict(loaded.named_parameters())
    for name, weight in weights.items():
        assert torch.equal(there[name.replace(".weight", ".default.weight")], weight)


def test_checkpoints_of_another_run_are_refused(sharded):
    run, _, _ = sharded
    folder = run / "checkpoints" / "sharded"
    belongs, _ = checkpoints.read_manifest(folder / "checkpoint-1")
    assert checkpoints.find(folder, belongs).step == 1
    with pytest.raises(RunError, match="another run: seed differ"):
        checkpoints.find(folder, belongs | {"seed": 8})


def test_a_run_that_does_not_say_whose_cases_it_holds_is_refused(tmp_path):
    write_lines(tmp_path / "data" / "train.jsonl", map(to_prompt_completion, validated_cases()[:2]))
    with pytest.raises(RunError, match="how many cases are your own"):
        train.train_sharded(tmp_path, choose_profile("smoke"))


def test_four_bits_in_bytes_are_refused_before_anything_is_read(tmp_path):
    with pytest.raises(RunError, match="FSDP cannot shard"):
        train.train_sharded(tmp_path, replace(choose_profile("smoke"), four_bit=True))
    assert train.main(["--run-dir", str(tmp_path)]) == 1, "there is no GPU here: an error in words, no traceback"
