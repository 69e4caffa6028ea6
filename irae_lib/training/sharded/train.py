"""Fine-tune a model that does not fit on one GPU, sharded by FSDP over several GPUs.

    accelerate launch --config_file irae_lib/training/sharded/fsdp.yaml --num_processes 4 \\
        -m irae_lib.training.sharded.train --run-dir runs/NAME --base-model google/medgemma-27b-text-it

Data, prompt, settings and the adapter's record are those of 02_fine_tune, and 03_validate reads the adapter from the
run. The same command resumes from the newest complete checkpoint. A single GPU of 80 GB holds the 27B model in 4 bits
(about 14 GB of weights): try 02 with profile gpu there first.

Tested on two CPU processes at rehearsal size (`tests/training/test_sharded.py`), not on GPUs and not with the 27B.
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

from ...errors import IraeError, RunError
from ...files import portable_name
from ...model.adapters import adapter_record, lora_config, save_adapter
from ...model.base import load_base, load_tokenizer
from ...workspace import hub_access
from ...workspace.profiles import Profile, choose_profile
from ..rows import dataset, fitting_length, read_training_file, token_lengths
from ..trainer import ResumableTrainer, full_weights, prepare, sft_config

LORA = {"rank": 16, "alpha": 32, "dropout": 0.05}


def train_sharded(run: Path, profile: Profile, *, epochs: int = 0, learning_rate: float = 0.0, seed: int = 7) -> Path:
    """Train on `run/data/train.jsonl` in every process that accelerate started; return the adapter's folder.

    Raises:
        RunError: the profile stores 4-bit weights as bytes, which FSDP cannot shard; the run does not record how many
            cases are the user's own; or its checkpoints belong to another run.
        SchemaError: a row is invalid or longer than the limit.
    """
    if profile.four_bit and profile.dtype != "bfloat16":
        raise RunError(f"profile {profile.name} keeps 4-bit weights as bytes, which FSDP cannot shard; use profile gpu")
    file = run / "data" / "train.jsonl"
    rows, own_cases = read_training_file(file), _own_cases(run)
    schedule = {"epochs": epochs or profile.epochs, "learning_rate": learning_rate or profile.learning_rate}
    # Keep the examples per update of one GPU, as far as they divide: the learning rate was chosen for that number.
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    profile = replace(profile, batch_size=max(1, profile.batch_size // processes))
    trainer = _make_trainer(run / "checkpoints" / "sharded", profile, rows, schedule, seed)
    record = adapter_record(
        profile,
        name="full",
        lora=LORA,
        seed=seed,
        hardware=f"{trainer.args.world_size} x {trainer.args.device.type}",
        examples=len(rows),
        data=file,
        own_cases=own_cases,
        examples_an_update=profile.batch_size * processes,
        **schedule,
    )
    trainer.belongs = record
    newest = trainer.find_checkpoint()
    trainer.accelerator.wait_for_everyone()  # every process looks before any process writes
    if trainer.is_world_process_zero():
        print(*newest.skipped, f"resuming from {newest.folder.name}" if newest.folder else "a fresh start", sep="\n")
    started = time.monotonic()
    trainer.train(resume_from_checkpoint=str(newest.folder) if newest.folder else None)
    weights = full_weights(trainer.model)  # every process must take part
    adapter = run / "adapters" / "full"
    if trainer.is_world_process_zero():
        record |= {"updates": trainer.state.global_step, "minutes": round((time.monotonic() - started) / 60, 1)}
        save_adapter(trainer.model, adapter, record, weights=weights)
    return adapter


def _make_trainer(
    folder: Path, profile: Profile, rows: list[dict[str, Any]], schedule: dict[str, Any], seed: int
) -> ResumableTrainer:
    from transformers import set_seed

    set_seed(seed)
    tokenizer = load_tokenizer(profile.base_model, profile.revision)
    longest = fitting_length(token_lengths(tokenizer, rows))
    # Settings come first: they assign this process its GPU. Otherwise every process would load onto the first GPU.
    settings = sft_config(profile, folder, max_length=longest, seed=seed, sharded=True, **schedule)
    trainer = ResumableTrainer(
        model=load_base(profile),
        args=settings,
        train_dataset=dataset(rows),
        processing_class=tokenizer,
        peft_config=lora_config(**LORA),
    )
    prepare(trainer, sharded=True)
    return trainer


def _own_cases(run: Path) -> int:
    """The number of the user's own cases in the training set; 04_push_adapter publishes none of them."""
    try:
        return int(json.loads((run / "data" / "data.json").read_text(encoding="utf-8"))["own_cases"])
    except (OSError, ValueError, KeyError, TypeError):
        raise RunError("data/data.json does not say how many cases are your own; run 01_build_data") from None


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
        schedule = {"epochs": options.epochs, "learning_rate": options.learning_rate, "seed": options.seed}
        print(portable_name(train_sharded(options.run_dir, profile, **schedule)))
    except IraeError as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
