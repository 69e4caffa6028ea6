"""Fine-tune with TRL: settings, checks, timed and resumable checkpoints, the loss curve.

The trainer is TRL's. This module refuses weights of a wrong dtype and a loss that is not a number, writes a checkpoint
with a manifest every few minutes, and stops at a time budget.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from ..errors import IraeError, RunError
from ..files import scratch_folder
from ..model.adapters import check_language_only
from ..workspace import checkpoints
from ..workspace.profiles import Profile

_SMALL_VOCABULARY = 32_768  # words; below, the projection costs nothing to speak of


def sft_config(
    profile: Profile,
    output_dir: Path,
    *,
    epochs: int,
    learning_rate: float,
    max_length: int,
    seed: int,
    sharded: bool = False,
) -> SFTConfig:
    """TRL's settings for a profile. Both precision flags are always given: TRL would otherwise switch bf16 on.

    `sharded` is for FSDP: it checkpoints activations itself, and paged 8-bit states cannot be sharded.
    """
    return SFTConfig(
        output_dir=str(output_dir),
        num_train_epochs=epochs,
        learning_rate=learning_rate,
        per_device_train_batch_size=profile.batch_size,
        gradient_accumulation_steps=profile.accumulation,
        lr_scheduler_type="linear",
        warmup_steps=0.03,
        max_length=max_length,
        # The loss reads the answer only; the prompt is context.
        completion_only_loss=True,
        packing=False,
        fp16=profile.compute_dtype == "float16",
        bf16=profile.compute_dtype == "bfloat16",
        use_cpu=not torch.cuda.is_available(),
        gradient_checkpointing=profile.four_bit and not sharded,
        optim="paged_adamw_8bit" if profile.four_bit and not sharded else "adamw_torch",
        logging_steps=1,
        # TRL's default hides a NaN loss behind the mean of the others.
        logging_nan_inf_filter=False,
        save_strategy="steps" if sharded else "no",  # by the clock, see `Survival`
        save_steps=50,
        save_total_limit=2,
        seed=seed,
        data_seed=seed,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=profile.four_bit,
    )


class ResumableTrainer(SFTTrainer):
    """TRL's trainer whose checkpoints are complete or absent, also where several processes write one (FSDP).

    `belongs` (set before training) names the run of a checkpoint; `copies` are further places to store it, each with
    `keep(folder)` and `find(belongs)` (see `storage.Place.checkpoints`).
    """

    belongs: Mapping[str, Any] = {}
    copies: tuple[Any, ...] = ()
    _writing: Path | None = None

    def _get_output_dir(self, trial) -> str:
        return str(self._writing) if self._writing else super()._get_output_dir(trial)

    def _save_checkpoint(self, model, trial) -> None:
        root, first = Path(self.args.output_dir), self.is_world_process_zero()
        wait, aside = self.accelerator.wait_for_everyone, root / checkpoints.WRITING
        with scratch_folder(aside) if first else nullcontext():
            self._writing = aside
            try:
                wait()  # the folder exists
                super()._save_checkpoint(model, trial)
                wait()  # every process has written its part
            finally:
                self._writing = None
            if first:
                (folder,) = aside.iterdir()
                checkpoint = checkpoints.save_checkpoint(folder, root, self.belongs)
        for place in self.copies if first else ():
            try:
                place.keep(checkpoint)
            except IraeError as error:  # Drive may be full or the Hub unreachable; training goes on
                tqdm.write(f"checkpoint not copied: {error}")

    def find_checkpoint(self) -> checkpoints.Newest:
        """The newest complete checkpoint of this run, here or among the copies.

        Raises:
            RunError: the newest one belongs to other data, base, prompt or settings.
            AccessError: a copy is on the Hub, which refuses or cannot be reached.
        """
        places = [checkpoints.FolderCheckpoints(Path(self.args.output_dir)), *self.copies]
        newest = [place.find(self.belongs) for place in places]
        best = max(newest, key=lambda checkpoint: checkpoint.step)
        return best._replace(skipped=tuple(line for checkpoint in newest for line in checkpoint.skipped))


class Survival(TrainerCallback):
    """Save every `every_minutes` and at the end; stop with a checkpoint when `max_minutes` are over (0: no limit)."""

    def __init__(self, *, every_minutes: float = 5.0, max_minutes: float = 0.0):
        self.every, self.most = every_minutes * 60, max_minutes * 60
        self.ran_out = False

    def on_train_begin(self, args, state, control, **kwargs):
        self.began = self.saved = time.monotonic()

    def on_step_end(self, args, state, control, **kwargs):
        now = time.monotonic()
        if self.most and now - self.began >= self.most and state.global_step < state.max_steps:
            self.ran_out = control.should_training_stop = control.should_save = True
        elif now - self.saved >= self.every or state.global_step == state.max_steps:
            # The last one, too: a machine that dies after training and before saving the adapter loses nothing.
            control.should_save = True
            self.saved = now
        return control


def prepare(trainer, *, every_minutes: float = 5.0, max_minutes: float = 0.0, sharded: bool = False) -> tuple[int, int]:
    """Call between building the trainer and training: (trainable, all) parameters after the checks.

    Checkpoints are written every `every_minutes` by a `ResumableTrainer`; after `max_minutes` training stops with one.
    `sharded` saves by updates instead: each process has a clock of its own, and all have to save together.

    TRL casts LoRA weights of a 4-bit model to bfloat16 whatever the flags say, and a float16 GradScaler refuses
    them; so every trainable weight is float32 from here on. Raises AdapterError if anything but LoRA trains.
    """
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    if trainer.model.config.get_text_config().vocab_size > _SMALL_VOCABULARY:
        score_answers_only()
    trainer.remove_callback(PrinterCallback)  # a line per update is a wall; the bar and the curve say the same
    trainer.add_callback(_Watch())
    if not sharded:
        trainer.add_callback(Survival(every_minutes=every_minutes, max_minutes=max_minutes))
    return check_language_only(trainer.model)


def score_answers_only() -> None:
    """Make TRL's loss project the positions of the answer alone to words, on a CPU too, for this process.

    Without a GPU TRL 1.16 projects every position of a row and then masks all but the answer: at 262,144 words that is
    most of the work (25 s a row of 550 tokens on two cores; 10 s without). The loss is the same.
    """
    from trl.trainer import utils

    if hasattr(utils, "_use_triton"):  # it decides nothing else there
        utils._use_triton = lambda device: True


def full_weights(model) -> dict[str, Any]:
    """The trained weights of a model that FSDP has sharded, gathered on the CPU; every process has to call this.

    Activation checkpointing renames parameters, and PEFT would save weights that it cannot load again; so its wrappers
    are removed here, and the model cannot be trained further.
    """
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import CheckpointWrapper

    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, CheckpointWrapper):
                setattr(module, name, child._checkpoint_wrapped_module)
    return {
        name: (weight.full_tensor() if hasattr(weight, "full_tensor") else weight).detach().cpu()
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }


def ran_out_of_time(trainer) -> bool:
    """Whether training stopped at its time budget, with a checkpoint to go on from."""
    return any(isinstance(callback, Survival) and callback.ran_out for callback in trainer.callback_handler.callbacks)


def what_the_loss_sees(trainer, tokenizer) -> tuple[str, str]:
    """The first training row as (masked, scored) text, read back from the trainer's own batch."""
    batch = trainer.data_collator([trainer.train_dataset[0]])
    ids, labels = batch["input_ids"][0].tolist(), batch["labels"][0].tolist()
    hidden = (token for token, label in zip(ids, labels, strict=True) if label == -100)
    masked = [token for token in hidden if token != tokenizer.pad_token_id]
    return tokenizer.decode(masked), tokenizer.decode([label for label in labels if label != -100])


class _Watch(TrainerCallback):
    """One progress bar over updates, and an end to a run whose loss is no longer a number."""

    def on_train_begin(self, args, state, control, **kwargs):
        hidden = not state.is_world_process_zero  # one bar for all processes
        steps = {"total": state.max_steps, "initial": state.global_step}
        self.bar = tqdm(**steps, desc="training", unit="update", mininterval=1.0, disable=hidden)
        self.began, self.first = time.monotonic(), state.global_step
        self.tokens_before: float | None = None
        self.per_update = args.train_batch_size * args.gradient_accumulation_steps * args.world_size

    def on_log(self, args, state, control, logs=None, **kwargs):
        loss = (logs or {}).get("loss")
        if loss is None:
            return
        if not math.isfinite(loss):
            raise RunError(
                f"the loss is {loss} at update {state.global_step}; the adapter is not usable. "
                "Lower the learning rate; on a GPU below compute capability 8 check that the profile is t4"
            )
        examples = (state.global_step - self.first) * self.per_update
        shown = {"loss": f"{loss:.3f}"}
        if examples > 0:
            shown["s/example"] = f"{(time.monotonic() - self.began) / examples:.2f}"
        if tokens := (logs or {}).get("num_tokens"):
            # Counted from the first log of this life: a resumed run has seen tokens that cost it no time.
            if self.tokens_before is None:
                self.tokens_before, self.tokens_from = tokens, time.monotonic()
            elif tokens > self.tokens_before:
                shown["tokens/s"] = f"{(tokens - self.tokens_before) / (time.monotonic() - self.tokens_from):.0f}"
        if torch.cuda.is_available():
            shown["GiB"] = f"{torch.cuda.max_memory_allocated() / 2**30:.1f}"
        self.bar.set_postfix(shown, refresh=False)

    def on_step_end(self, args, state, control, **kwargs):
        self.bar.update(1)

    def on_train_end(self, args, state, control, **kwargs):
        self.bar.close()


def loss_curve(trainer) -> list[dict[str, float]]:
    """Loss per update: `{"update", "epoch", "loss"}` (nats per answer token)."""
    return [
        {"update": entry["step"], "epoch": round(entry["epoch"], 3), "loss": round(entry["loss"], 4)}
        for entry in trainer.state.log_history
        if "loss" in entry
    ]
