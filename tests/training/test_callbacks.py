"""What ends a training, and what its bar foretells."""

import math
from types import SimpleNamespace

import pytest

from irae_lib.errors import RunError
from irae_lib.training import callbacks
from irae_lib.training.callbacks import SKIPPED_IN_A_ROW, Health, Progress


def logged(health, *norms, fp16=True, loss=1.0):
    for step, norm in enumerate(norms, 1):
        state = SimpleNamespace(global_step=step)
        health.on_log(SimpleNamespace(fp16=fp16), state, None, logs={"loss": loss, "grad_norm": norm})


def test_the_first_updates_of_float16_may_be_left_out():
    health = Health()
    logged(health, math.inf, math.inf, 1.5, math.nan, 0.7)
    assert (health.skipped, health.in_a_row) == (3, 0)
    logged(health, math.inf, None, math.nan)
    assert health.in_a_row == 2, "an evaluation in between says nothing about gradients"


def test_a_finite_loss_over_gradients_that_never_are_ends_the_run():
    with pytest.raises(RunError, match=f"in {SKIPPED_IN_A_ROW} updates running while the loss is finite"):
        logged(Health(), *[math.nan] * SKIPPED_IN_A_ROW)


def test_without_a_scaler_one_such_update_has_ruined_the_model():
    with pytest.raises(RunError, match="the gradient norm is nan at update 2 while"):
        logged(Health(), 1.0, math.nan, fp16=False)


def test_a_loss_that_is_no_number_ends_the_run():
    with pytest.raises(RunError, match="the loss is nan at update 1"):
        logged(Health(), 1.0, loss=math.nan)


def test_the_bar_foretells_minutes_from_tokens(monkeypatch):
    clock = iter(range(0, 10_000, 6))  # six seconds an update
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: float(next(clock)))
    bar = Progress(tokens=100_000)
    args, state = SimpleNamespace(num_train_epochs=2), SimpleNamespace(is_world_process_zero=False, max_steps=200)
    state.global_step = 0
    bar.on_train_begin(args, state, None)
    shown = []
    bar.bar.set_postfix = lambda fields, refresh: shown.append(fields)
    for step in range(1, 23):
        state.global_step = step
        bar.on_log(args, state, None, logs={"loss": 1.0, "num_tokens": 1000 * step})
    assert "tokens/s" not in shown[0]
    assert shown[10]["tokens/s"] == "167"
    assert "minutes left" not in shown[19]
    assert shown[20]["minutes left"] == "18", "179,000 tokens at 1,000 in six seconds"
