"""Training callbacks: a progress bar with the minutes left, a stop for failed runs, and timed checkpoints."""

from __future__ import annotations

import math
import time

import torch
from tqdm.auto import tqdm
from transformers import TrainerCallback

from ..errors import RunError

SKIPPED_IN_A_ROW = 20  # float16's loss scale starts at 65,536; 16 halvings bring it to 1
UPDATES_BEFORE_A_FORECAST = 20


class Survival(TrainerCallback):
    """Save every `every_minutes` and at the end; stop with a checkpoint after `max_minutes` (0: no limit)."""

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
            # Save the last update too: a machine that dies before saving the adapter then loses nothing.
            control.should_save = True
            self.saved = now
        return control


class Health(TrainerCallback):
    """Stop a run whose loss or gradients are not finite; `skipped` counts the updates that float16's loss scaler skips.

    A finite loss can have non-finite gradients. float16's scaler then skips the update and halves its scale, which is
    normal for the first few updates and a failure if it continues. Without a scaler, such an update ruins the model.
    """

    def __init__(self) -> None:
        self.skipped = self.in_a_row = 0

    def on_log(self, args, state, control, logs=None, **kwargs):
        loss, norm = (logs or {}).get("loss"), (logs or {}).get("grad_norm")
        if loss is not None and not math.isfinite(loss):
            raise RunError(
                f"the loss is {loss} at update {state.global_step}; the adapter is not usable. "
                "Lower the learning rate; on a GPU below compute capability 8 check that the profile is t4"
            )
        if norm is None:
            return  # an evaluation
        if math.isfinite(norm):
            self.in_a_row = 0
            return
        self.skipped, self.in_a_row = self.skipped + 1, self.in_a_row + 1
        if not args.fp16 or self.in_a_row >= SKIPPED_IN_A_ROW:
            many = f" in {self.in_a_row} updates running" if self.in_a_row > 1 else ""
            raise RunError(
                f"the gradient norm is {norm} at update {state.global_step}{many} while the loss is finite; the model "
                "no longer learns. Lower the learning rate; on a GPU below compute capability 8 check that the profile "
                "is t4, whose residual stream is float32"
            )


class Progress(TrainerCallback):
    """A progress bar over updates: loss, tokens per second, and the minutes left at that rate.

    `tokens` is the number in one epoch. Rows differ in length, so the forecast uses tokens and not updates.
    """

    def __init__(self, tokens: int):
        self.tokens = tokens

    def on_train_begin(self, args, state, control, **kwargs):
        hidden = not state.is_world_process_zero  # show one bar for all processes
        steps = {"total": state.max_steps, "initial": state.global_step}
        self.bar = tqdm(**steps, desc="training", unit="update", mininterval=1.0, disable=hidden)
        # Count from the first log of this session: tokens from before a resume took none of its time.
        self.first: tuple[float, float, int] | None = None
        self.total = self.tokens * args.num_train_epochs

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" not in (logs or {}):
            return
        shown = {"loss": f"{logs['loss']:.3f}"}
        now, tokens = time.monotonic(), logs.get("num_tokens", 0)
        self.first = self.first or (now, tokens, state.global_step)
        began, before, update = self.first
        if tokens > before:
            rate = (tokens - before) / (now - began)
            shown["tokens/s"] = f"{rate:.0f}"
            if state.global_step - update >= UPDATES_BEFORE_A_FORECAST:
                shown["minutes left"] = f"{self.total * (1 - state.global_step / state.max_steps) / rate / 60:.0f}"
        if torch.cuda.is_available():
            shown["GiB"] = f"{torch.cuda.max_memory_allocated() / 2**30:.1f}"
        self.bar.set_postfix(shown, refresh=False)

    def on_step_end(self, args, state, control, **kwargs):
        self.bar.update(1)

    def on_train_end(self, args, state, control, **kwargs):
        self.bar.close()


def ran_out_of_time(trainer) -> bool:
    """Whether training stopped at its time budget, with a checkpoint to resume from."""
    return any(isinstance(callback, Survival) and callback.ran_out for callback in trainer.callback_handler.callbacks)


def skipped_updates(trainer) -> int:
    """Updates that float16's loss scaler skipped since training started or resumed; a few at the start are normal."""
    return sum(callback.skipped for callback in trainer.callback_handler.callbacks if isinstance(callback, Health))


def loss_curve(trainer) -> list[dict[str, float]]:
    """Loss per update: `{"update", "epoch", "loss"}` (nats per answer token)."""
    return [
        {"update": entry["step"], "epoch": round(entry["epoch"], 3), "loss": round(entry["loss"], 4)}
        for entry in trainer.state.log_history
        if "loss" in entry
    ]


def held_out_curve(trainer) -> list[dict[str, float]]:
    """Loss on the evaluation rows, in the form of `loss_curve`, after each update with an evaluation."""
    return [
        {"update": entry["step"], "epoch": round(entry["epoch"], 3), "loss": round(entry["eval_loss"], 4)}
        for entry in trainer.state.log_history
        if "eval_loss" in entry
    ]
