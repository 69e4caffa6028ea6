"""Choose the micro-batch of an update: as many rows at a time as the device's memory holds.

The division of rows does not change the gradients of an update: the loss is a sum over its answer tokens, divided by
their number. Only the time changes. On a GPU, one row at a time waits for kernel launches. On an H200, an update of
four rows of 448 tokens takes longer than one of 1,024 (measured, `data/reports/true_size_h200.json`). So fewer passes
take priority. Checkpointing, which runs every forward pass twice, is dropped only where that adds no pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ..workspace.profiles import Profile
from .memory import GIB, estimate_memory

# Share of the free memory that an estimate may use; the rest covers unestimated allocations.
MARGIN = 0.9


class MicroBatch(NamedTuple):
    """Rows per forward pass, and whether activations are recomputed instead of stored."""

    rows: int
    checkpointing: bool

    def __str__(self) -> str:
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        return f"{rows} at a time, {'with' if self.checkpointing else 'without'} checkpointing"


def micro_batches(batch_size: int) -> list[MicroBatch]:
    """Every way to divide an update of `batch_size` rows, fastest and largest first."""
    halves = [batch_size]
    while halves[-1] > 1:
        halves.append(halves[-1] // 2)
    return [MicroBatch(rows, checkpointing) for rows in halves for checkpointing in (False, True)]


def smaller(now: MicroBatch, batch_size: int) -> MicroBatch | None:
    """The next division that needs less memory than `now`; None below one row with checkpointing.

    Checkpointing stays on: fewer rows without it may need more.
    """
    less = (way for way in micro_batches(batch_size) if way.rows <= now.rows and way.checkpointing >= now.checkpointing)
    return next((way for way in less if way != now), None)


def fit(
    profile: Profile, config: Any, *, length: int, free: float, on_gpu: bool, **counted: int
) -> tuple[Profile, str]:
    """The profile with the fastest micro-batch that fits, and one line that explains the choice.

    Args:
        config: the model's. length: tokens of the longest row. free: available bytes of the device, including those
            the model uses. counted: `rank`, `vision`, as in `estimate_memory`.
        on_gpu: on a CPU the profile is unchanged: batching gains nothing there, and padding costs time.
    """
    if not on_gpu:
        return profile, f"{_divided(profile)}: the profile's own, a CPU gains nothing from more"
    for rows, checkpointing in micro_batches(profile.batch_size):
        way = replace(profile, at_once=rows, checkpointing=checkpointing)
        needs = estimate_memory(config, way, length=length, **counted).total
        if needs <= free * MARGIN:
            break
    share = (
        f"{needs / GIB:.1f} GiB estimated at {length} tokens, {free / GIB:.1f} free, {MARGIN:.0%} of it used at most"
    )
    return way, f"{_divided(way)}: {share}"


def _divided(profile: Profile) -> MicroBatch:
    return MicroBatch(profile.rows_at_once, profile.checkpointing)


def parts(inputs: Mapping[str, Any], rows: int) -> Iterator[dict[str, Any]]:
    """Split a collated batch (tensors of rows x tokens) into parts of `rows` rows, without columns of only padding."""
    size, width = inputs["attention_mask"].shape
    if rows >= size:
        yield dict(inputs)
        return
    for start in range(0, size, rows):
        used = inputs["attention_mask"][start : start + rows].any(dim=0).nonzero()
        columns = slice(int(used[0]), int(used[-1]) + 1)
        yield {name: _cut(value, slice(start, start + rows), columns, width) for name, value in inputs.items()}


def _cut(value: Any, rows: slice, columns: slice, width: int) -> Any:
    if not hasattr(value, "shape"):
        return value
    return value[rows, columns] if value.ndim > 1 and value.shape[1] == width else value[rows]
