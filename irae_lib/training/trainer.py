"""Fine-tune with TRL: settings, checks before the first update, resumable checkpoints, micro-batches.

The trainer is TRL's. Its batch is a whole update; `micro_batch` divides it by available memory. The progress bar, the
timer and the checks of loss and gradients are in `callbacks`.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm
from transformers import PrinterCallback
from transformers.trainer_pt_utils import LengthGroupedSampler
from trl import SFTConfig, SFTTrainer

from ..errors import IraeError, RunError
from ..files import scratch_folder
from ..model.adapters import check_language_only
from ..model.batching import is_out_of_memory
from ..workspace import checkpoints
from ..workspace.profiles import Profile
from . import callbacks, micro_batch

MACHINE = ("at_once", "gradient_checkpointing", "activation_checkpointing", "optim", "fp16", "bf16")
_SMALL_VOCABULARY = 32_768  # words; below this size the projection costs little


def _on_gpu() -> bool:
    return torch.cuda.is_available()


@dataclass
class Settings(SFTConfig):
    """TRL's settings with this project's defaults, and `at_once`.

    `at_once` is the number of rows of an update per forward pass (0: all). An update is one batch, which
    `ResumableTrainer` divides, so gradients are not accumulated over batches.
    """

    at_once: int = 0
    gradient_accumulation_steps: int = 1
    logging_steps: float = 1
    logging_nan_inf_filter: bool = False  # TRL's default replaces a NaN loss with the mean of the others
    save_strategy: str = "no"  # `callbacks.Survival` saves by time instead
    save_total_limit: int | None = 2
    report_to: str | None = "none"
    disable_tqdm: bool | None = True
    use_cpu: bool = field(default_factory=lambda: not _on_gpu())
    dataloader_pin_memory: bool = field(default_factory=_on_gpu)

    def __post_init__(self):
        if self.num_train_epochs <= 0:
            raise RunError(f"epochs is {self.num_train_epochs:g}; expected 1 or more")
        super().__post_init__()
        if self.n_gpu > 1:
            self._n_gpu = 1  # one GPU a process: the base is loaded onto one


def _is_four_bit(model) -> bool:
    return bool(getattr(model, "is_loaded_in_4bit", False))


def machine_settings(profile: Profile, *, sharded: bool = False) -> dict[str, Any]:
    """The settings that depend on the machine and not on the recipe: precision, optimizer, parts of an update."""
    return {
        "at_once": 1 if sharded else profile.at_once,
        "gradient_checkpointing": profile.checkpointing and not sharded,
        "optim": "paged_adamw_8bit" if profile.four_bit and not sharded else "adamw_torch",
        "fp16": profile.compute_dtype == "float16",
        "bf16": profile.compute_dtype == "bfloat16",
    }


def sft_config(
    profile: Profile,
    output_dir: Path,
    *,
    epochs: int,
    learning_rate: float,
    max_length: int,
    seed: int,
    sharded: bool = False,
) -> Settings:
    """The recipe of a profile, for scripts. 02 spells out the same settings line by line (tested).

    `sharded` is for FSDP, which checkpoints activations itself and cannot shard paged 8-bit optimizer states.
    """
    return Settings(
        output_dir=str(output_dir),
        num_train_epochs=epochs,
        learning_rate=learning_rate,
        warmup_steps=0.03,
        lr_scheduler_type="linear",
        per_device_train_batch_size=profile.batch_size,
        **machine_settings(profile, sharded=sharded),
        max_length=max_length,
        completion_only_loss=True,
        train_sampling_strategy="group_by_length" if profile.grouped and not sharded else "random",
        save_strategy="steps" if sharded else "no",
        save_steps=50,
        seed=seed,
        data_seed=seed,
    )


def recipe(trainer) -> dict[str, dict[str, Any]]:
    """The settings of a trainer that differ from the defaults, as JSON-compatible `lora` and `training` dictionaries.

    `LoraConfig(**lora)` and `Settings(**training, **machine_settings(profile))` restore them on any machine.
    """
    (lora,) = trainer.model.peft_config.values()
    args = trainer.args.to_dict()
    usual = Settings(output_dir=args["output_dir"]).to_dict()
    left_out = {*MACHINE, "output_dir", "logging_dir", "use_cpu", "dataloader_pin_memory"}
    changed = {name: value for name, value in args.items() if value != usual[name] and name not in left_out}
    given = ("r", "lora_alpha", "lora_dropout", "use_rslora", "target_modules", "task_type")
    return {"lora": {name: getattr(lora, name) for name in given}, "training": changed}


class ResumableTrainer(SFTTrainer):
    """TRL's trainer with checkpoints that are complete or absent, even if several processes write them (FSDP).

    `belongs` (set before training) identifies the run of a checkpoint, together with the precision, which changes the
    result: Colab may lend a T4 today and an L4 tomorrow. `copies` are further places to store it, each with
    `keep(folder)` and `find(belongs)` (see `storage.Place.checkpoints`). An update that runs out of memory is retried
    in smaller parts, which later updates use too.
    """

    belongs: Mapping[str, Any] = {}
    copies: tuple[Any, ...] = ()
    _writing: Path | None = None

    def __init__(self, *, train_dataset, **options):
        super().__init__(train_dataset=train_dataset, **options)
        self.rows_given = len(train_dataset)
        if not self.args.gradient_checkpointing:
            self.model.gradient_checkpointing_disable()  # an earlier trainer of the same base may have switched it on

    def training_step(self, model, inputs, num_items_in_batch=None) -> torch.Tensor:
        """The loss of one update, with gradients accumulated over parts of the batch."""
        while True:
            try:
                divided = micro_batch.parts(inputs, self._divided().rows)
                step = super().training_step
                return sum(step(model, part, num_items_in_batch) for part in divided)
            except RuntimeError as error:
                # Other processes would wait for this one in their backward pass.
                if not is_out_of_memory(error) or self.args.world_size > 1:
                    raise
            # Outside the handler, where the exception no longer keeps tensors alive. Drop partial gradients.
            model.zero_grad(set_to_none=True)
            self._step_down()

    def _divided(self) -> micro_batch.MicroBatch:
        size = self.args.train_batch_size
        return micro_batch.MicroBatch(min(self.args.at_once or size, size), bool(self.args.gradient_checkpointing))

    def _step_down(self) -> None:
        now = self._divided()
        way = micro_batch.smaller(now, self.args.train_batch_size)
        if way is None:
            raise RunError(
                "out of memory with one row at a time; use a lower rank, shorter notes, or a device with more memory"
            )
        tqdm.write(f"out of memory with {now}; from here on {way}")
        self.args.at_once, self.args.gradient_checkpointing = way
        if way.checkpointing and not now.checkpointing:
            self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        gc.collect()
        torch.cuda.empty_cache()

    def _get_train_sampler(self, train_dataset=None):
        sampler = super()._get_train_sampler(train_dataset)
        if isinstance(sampler, LengthGroupedSampler):
            return _Grouped(sampler.batch_size, lengths=sampler.lengths, seed=self.args.seed)
        return sampler

    def evaluate(self, *args, **kwargs):
        """The loss on the evaluation rows, without changing the random state of training."""
        with torch.random.fork_rng():
            return super().evaluate(*args, **kwargs)

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
                wait()  # every process has written its shard
            finally:
                self._writing = None
            if first:
                (folder,) = aside.iterdir()
                checkpoint = checkpoints.save_checkpoint(folder, root, self._identity())
        for place in self.copies if first else ():
            try:
                place.keep(checkpoint)
            except IraeError as error:  # Drive may be full or the Hub unreachable; keep training
                tqdm.write(f"checkpoint not copied: {error}")

    def _identity(self) -> dict[str, Any]:
        """The run of a checkpoint. Full precision is not named, so that checkpoints without `precision` stay valid."""
        lower = {"float16": self.args.fp16, "bfloat16": self.args.bf16, "4 bits": _is_four_bit(self.model)}
        precision = [name for name, used in lower.items() if used]
        return {**self.belongs, "precision": precision} if precision else dict(self.belongs)

    def find_checkpoint(self) -> checkpoints.Newest:
        """The newest complete checkpoint of this run, here or among the copies.

        Raises:
            RunError: the newest checkpoint belongs to other data, base, prompt, settings or precision.
            AccessError: a copy is on the Hub, which denies access or cannot be reached.
        """
        places = [checkpoints.FolderCheckpoints(Path(self.args.output_dir)), *self.copies]
        newest = [place.find(self._identity()) for place in places]
        best = max(newest, key=lambda checkpoint: checkpoint.step)
        return best._replace(skipped=tuple(line for checkpoint in newest for line in checkpoint.skipped))


def prepare(trainer, *, every_minutes: float = 5.0, max_minutes: float = 0.0, sharded: bool = False) -> tuple[int, int]:
    """Check a trainer and add its callbacks, before training; return (trainable, all) parameter counts.

    A `ResumableTrainer` writes a checkpoint every `every_minutes`; after `max_minutes` it stops with a checkpoint.
    `sharded` saves by updates instead: each process has its own clock, and all must save together.

    TRL always casts LoRA weights of a 4-bit model to bfloat16, which a float16 GradScaler rejects. So every trainable
    weight is float32 from here on.

    Raises:
        AdapterError: a weight other than LoRA is trainable. RunError: the loss covers no token of a row.
    """
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    if trainer.model.config.get_text_config().vocab_size > _SMALL_VOCABULARY:
        score_answers_only()
    trainer.remove_callback(PrinterCallback)  # a line per update is too long; the bar and the curve show the same
    trainer.add_callback(callbacks.Progress(_check_rows(trainer)))
    trainer.add_callback(callbacks.Health())
    if not sharded:
        trainer.add_callback(callbacks.Survival(every_minutes=every_minutes, max_minutes=max_minutes))
    return check_language_only(trainer.model)


def _check_rows(trainer) -> int:
    """Check that the loss covers part of every row, as others teach nothing; return the tokens of all rows."""
    rows = [trainer.data_collator([row]) for row in trainer.train_dataset]
    empty = sum(bool((row["labels"] == -100).all()) for row in rows)
    empty += trainer.rows_given - len(rows)  # TRL silently drops rows whose answer lies beyond `max_length`
    if empty:
        raise RunError(
            f"{empty} of {trainer.rows_given} rows have no scored token: the answer is empty, or cut at max_length "
            f"{trainer.args.max_length}. Shorten the notes, or raise max_length"
        )
    return sum(row["input_ids"].numel() for row in rows)


class _Grouped(LengthGroupedSampler):
    """Group rows of similar length, in an order that depends on seed and epoch alone, so that a run can resume."""

    def __init__(self, batch_size: int, *, lengths: list[int], seed: int):
        super().__init__(batch_size, lengths=lengths, generator=torch.Generator())
        self.seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Reseed the order; called before each epoch, including after a resume."""
        self.generator.manual_seed(self.seed + epoch)


def score_answers_only() -> None:
    """Make TRL's loss project only answer positions to words, on a CPU too, for this process.

    Without a GPU, TRL 1.16 projects every position of a row and then masks all but the answer. At 262,144 words that is
    most of the work (25 s per row of 550 tokens on two cores; 10 s without). The loss is the same.
    """
    from trl.trainer import utils

    if hasattr(utils, "_use_triton"):  # used for nothing else there
        utils._use_triton = lambda device: True


def full_weights(model) -> dict[str, Any]:
    """The trained weights of an FSDP-sharded model, gathered on the CPU; every process must call this.

    Activation checkpointing renames parameters, and PEFT would save weights that it cannot load again. So this removes
    the wrappers, and the model cannot be trained further.
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


def what_the_loss_sees(trainer, tokenizer) -> tuple[str, str]:
    """The first training row as (masked, scored) text, decoded from the trainer's own batch."""
    batch = trainer.data_collator([trainer.train_dataset[0]])
    ids, labels = batch["input_ids"][0].tolist(), batch["labels"][0].tolist()
    hidden = (token for token, label in zip(ids, labels, strict=True) if label == -100)
    masked = [token for token in hidden if token != tokenizer.pad_token_id]
    return tokenizer.decode(masked), tokenizer.decode([label for label in labels if label != -100])
