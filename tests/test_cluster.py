"""More than one machine's worth: sharded training on two CPU processes, and what servers and schedulers are told."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import set_seed
from trl import SFTTrainer

from irae_lib import training
from irae_lib.cases import to_prompt_completion, validated_cases, write_lines
from irae_lib.deploy.cluster import train
from irae_lib.model import load_base, load_tokenizer, lora_config, read_record
from irae_lib.runtime import ROOT, choose_profile
from irae_lib.schemas import RunError

CLUSTER = ROOT / "irae_lib" / "deploy" / "cluster"
CPU = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"}

# --- the 27B --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """Two updates of two processes, four rows each, 4-bit weights; then the second again from the first."""
    run = tmp_path_factory.mktemp("sharded")
    write_lines(run / "data" / "train.jsonl", map(to_prompt_completion, validated_cases()[:8]))
    seen = []
    for _ in range(2):
        _launch(run)
        seen.append(json.loads((run / "seen.json").read_text()))
        last = run / "checkpoints" / "sharded" / "checkpoint-2" / "trainer_state.json"
        last.unlink()  # as if it had been cut off while writing its last checkpoint
    return run, *seen


def _launch(run):
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", CLUSTER / "fsdp.yaml"]
    command += ["--num_processes", "2", "--main_process_port", "0", ROOT / "tests" / "fsdp_on_cpu.py", run]
    done = subprocess.run(command, env=os.environ | CPU | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_four_bit_weights_are_halved_between_processes_and_lora_stays_float32(sharded):
    _, seen, _ = sharded
    kinds = {"base_layer" in name: kind for name, kind in seen["sharded"].items()}
    assert kinds == {True: ["DTensor", "torch.bfloat16", True], False: ["DTensor", "torch.float32", True]}


def test_sharded_training_sees_the_loss_of_training_alone(sharded, tmp_path):
    _, seen, _ = sharded
    four_bit = {"dtype": "bfloat16", "compute_dtype": "bfloat16", "four_bit": True, "batch_size": 4, "accumulation": 1}
    profile = replace(choose_profile("smoke"), **four_bit)
    set_seed(7)
    tokenizer = load_tokenizer(profile.base_model)
    rows = [to_prompt_completion(case) for case in validated_cases()[:8]]
    longest = training.fitting_length(training.token_lengths(tokenizer, rows))
    how = {"epochs": 1, "learning_rate": profile.learning_rate, "max_length": longest, "seed": 7, "sharded": True}
    alone = SFTTrainer(
        model=load_base(profile),
        args=training.sft_config(profile, tmp_path, **how),
        train_dataset=training.dataset(rows),
        processing_class=tokenizer,
        peft_config=lora_config(**train.LORA),
    )
    training.prepare(alone)
    alone.train()
    losses = [entry["loss"] for entry in alone.state.log_history if "loss" in entry]
    assert seen["losses"] == pytest.approx(losses, rel=0.02), "bfloat16, and dropout of another random stream"


def test_a_run_that_was_cut_off_goes_on_from_its_whole_checkpoint(sharded):
    run, first, again = sharded
    assert (run / "checkpoints" / "sharded" / "checkpoint-1").is_dir()
    assert again["losses"] == first["losses"]


def test_the_adapter_of_a_sharded_training_is_an_adapter_like_any_other(sharded):
    run, _, _ = sharded
    folder = run / "adapters" / "full"
    shipped = load_file(ROOT / "data" / "rehearsal_adapter" / "adapter_model.safetensors")
    weights = load_file(folder / "adapter_model.safetensors")
    assert {name: one.shape for name, one in weights.items()} == {name: one.shape for name, one in shipped.items()}
    assert any(one.abs().max() > 0 for name, one in weights.items() if "lora_B" in name), "it was trained"
    record = read_record(folder)
    assert (record["hardware"], record["updates"], record["examples"]) == ("2 x cpu", 2, 8)
    loaded = PeftModel.from_pretrained(load_base(choose_profile("smoke")), folder)
    there = dict(loaded.named_parameters())
    for name, weight in weights.items():
        assert torch.equal(there[name.replace(".weight", ".default.weight")], weight)


def test_checkpoints_of_another_training_are_refused(sharded):
    run, _, _ = sharded
    where = run / "checkpoints" / "sharded"
    record = json.loads((where / "belongs.json").read_text())
    assert train.last_checkpoint(where, record).name == "checkpoint-1"
    with pytest.raises(RunError, match="another training: seed differ"):
        train.last_checkpoint(where, record | {"seed": 8})
    assert train.last_checkpoint(run / "none", record) is None


def test_four_bits_in_bytes_are_refused_before_anything_is_read(tmp_path):
    with pytest.raises(RunError, match="FSDP cannot shard"):
        train.train(tmp_path, replace(choose_profile("smoke"), four_bit=True))
    assert train.main(["--run-dir", str(tmp_path)]) == 1, "there is no GPU here: an error in words, no traceback"
