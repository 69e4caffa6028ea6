"""Fine-tune a model that one GPU does not hold: the training set of a run, sharded by FSDP over several GPUs.

    accelerate launch --config_file irae_lib/training/sharded/fsdp.yaml --num_processes 4 \\
        -m irae_lib.training.sharded.train --run-dir runs/NAME --base-model google/medgemma-27b-text-it

Data, prompt, settings and the adapter's record are those of 02_fine_tune; 03_validate takes the adapter from there. The
same command goes on from the last whole checkpoint. A single GPU of 80 GB holds the 27B in 4 bits (about 14 GB of
weights): try 02 with profile gpu there first.

Run on two CPU processes at rehearsal size (`tests/screening/test_cluster.py`), not on GPUs and not with the 27B.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ... import files
from ...errors import IraeError, RunError
from ...files import file_sha256, write_text
from ...model.adapters import lora_config, save_adapter
from ...model.base import base_sha256, load_base, load_tokenizer
from ...prompts import COMPACT
from ...workspace import hub_access
from ...workspace.profiles import Profile, choose_profile
from ..rows import dataset, fitting_length, read_training_file, token_lengths
from ..trainer import full_weights, prepare, sft_config

LORA = {"rank": 16, "alpha": 32, "dropout": 0.05}
_BELONGS = "belongs.json"


def train(run: Path, profile: Profile, *, epochs: int = 0, learning_rate: float = 0.0, seed: int = 7) -> Path:
    """Train on `run/data/train.jsonl` in every process that accelerate started; returns the adapter's folder.

    Raises:
        RunError: the profile keeps 4-bit weights as bytes, which FSDP cannot shard; the run does not say whose cases it
            holds; or its checkpoints are of another training. SchemaError: a row is bad or longer than the limit.
    """
    from transformers import set_seed
    from trl import SFTTrainer

    if profile.four_bit and profile.dtype != "bfloat16":
        raise RunError(f"profile {profile.name} keeps 4-bit weights as bytes, which FSDP cannot shard; use profile gpu")
    file, where = run / "data" / "train.jsonl", run / "checkpoints" / "sharded"
    rows, own = read_training_file(file), _own_cases(run)
    rate, epochs = learning_rate or profile.learning_rate, epochs or profile.epochs
    # As many examples an update as on one GPU, as far as that divides: the learning rate was chosen for so many.
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    profile = replace(profile, accumulation=max(1, profile.accumulation // processes))
    set_seed(seed)
    tokenizer = load_tokenizer(profile.base_model, profile.revision)
    longest = fitting_length(token_lengths(tokenizer, rows))
    # First the settings: with them this process is given its GPU, and without one all would load onto the first.
    how = {"epochs": epochs, "learning_rate": rate, "max_length": longest, "seed": seed, "sharded": True}
    settings = sft_config(profile, where, **how)
    trainer = SFTTrainer(
        model=load_base(profile),
        args=settings,
        train_dataset=dataset(rows),
        processing_class=tokenizer,
        peft_config=lora_config(**LORA),
    )
    prepare(trainer, sharded=True)
    record = {
        "name": "full",
        "profile": profile.name,
        "base_model": profile.base_model,
        "base_revision": profile.revision or None,
        "base_sha256": base_sha256(profile.base_model),
        "prompt": COMPACT.version,
        **LORA,
        "learning_rate": rate,
        "seed": seed,
        "hardware": f"{trainer.args.world_size} x {trainer.args.device.type}",
        "epochs": epochs,
        "examples": len(rows),
        "examples_an_update": profile.batch_size * profile.accumulation * processes,
        "data_sha256": file_sha256(file),
        "own_cases": own,
    }
    last = last_checkpoint(where, record)
    trainer.accelerator.wait_for_everyone()  # all have looked before one writes
    if trainer.is_world_process_zero():
        write_text(where / _BELONGS, json.dumps(record, indent=1) + "\n")
        print(f"going on from {last.name}" if last else "a fresh start", flush=True)
    started = time.monotonic()
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    weights = full_weights(trainer.model)  # every process has to take part in this
    adapter = run / "adapters" / "full"
    if trainer.is_world_process_zero():
        record |= {"updates": trainer.state.global_step, "minutes": round((time.monotonic() - started) / 60, 1)}
        save_adapter(trainer.model, adapter, record, weights=weights)
    return adapter


def _own_cases(run: Path) -> int:
    """How many cases of the user's own are in the training set; 04_push_adapter publishes none of those."""
    try:
        return int(json.loads((run / "data" / "data.json").read_text(encoding="utf-8"))["own_cases"])
    except (OSError, ValueError, KeyError, TypeError):
        raise RunError("data/data.json does not say how many cases are your own; run 01_build_data") from None


def last_checkpoint(where: Path, record: dict[str, Any]) -> Path | None:
    """The furthest whole checkpoint of this very training.

    Raises:
        RunError: those that lie there are of another training; names what differs.
    """
    # A checkpoint's state is written last: where it is missing, the run was cut off while writing.
    whole = {int(path.parent.name.split("-")[1]): path.parent for path in where.glob("checkpoint-*/trainer_state.json")}
    if not whole:
        return None
    before = json.loads((where / _BELONGS).read_text(encoding="utf-8"))
    if differs := sorted(key for key in {*before, *record} if before.get(key) != record.get(key)):
        raise RunError(
            f"the checkpoints in {where.name}/ are of another training: {', '.join(differs)} differ; move them"
        )
    return whole[max(whole)]


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="irae_lib.training.sharded.train", description=__doc__.splitlines()[0])
    parser.add_argument("--run-dir", type=Path, required=True, help="a run of 01_build_data, seen by every process")
    parser.add_argument("--base-model", default="google/medgemma-27b-text-it")
    parser.add_argument("--base-revision", default="", help="a commit of it; default: the newest, which is recorded")
    parser.add_argument("--epochs", type=int, default=0, help="default: 3")
    parser.add_argument("--learning-rate", type=float, default=0.0, help="default: 2e-4")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args(arguments)
    try:
        profile = hub_access.pinned(choose_profile("gpu", options.base_model), options.base_revision)
        how = {"epochs": options.epochs, "learning_rate": options.learning_rate, "seed": options.seed}
        print(files.portable_name(train(options.run_dir, profile, **how)))
    except IraeError as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
