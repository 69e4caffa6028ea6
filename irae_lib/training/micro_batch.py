"""How many rows of an update go through the model at a time: as many as the device's memory holds.

The gradients of an update are the same however its rows are divided: the loss is a sum over its answer tokens, over
their number. What changes is time. On a GPU one row at a time waits for kernel launches (measured on an H200: an update
of four rows of 448 tokens takes longer than one of 1,024, `data/reports/true_size_h200.json`), so fewest passes come
first, and checkpointing, which reads every row forward twice, is given up only where that costs no further pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ..workspace.profiles import Profile
from .memory import GIB, estimate_memory

# Part of the free memory that an estimate may fill; the rest is for what it does not know.
MARGIN = 0.9


class MicroBatch(NamedTuple):
    """Rows through the model at a time, and whether activations are computed again instead of kept."""

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
    """The next way that needs less memory than `now`; None below one row with checkpointing."""
    ways = micro_batches(batch_size)
    return next(iter(ways[ways.index(now) + 1 :]), None)


def fit(
    profile: Profile, config: Any, *, length: int, free: float, on_gpu: bool, **counted: int
) -> tuple[Profile, str]:
    """The profile with the fastest division of an update that fits, and one line on which and why.

    Args:
        config: the model's. length: tokens of the longest row. free: bytes of the device, those the model takes
            included. counted: `rank`, `vision`, as in `estimate_memory`.
        on_gpu: on a CPU the profile stays as it is: rows together gain nothing there, and padding costs.
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
    return MicroBatch(profile.at_once or profile.batch_size, profile.checkpointing)


def parts(inputs: Mapping[str, Any], rows: int) -> Iterator[dict[str, Any]]:
    """A collated batch (tensors of rows x tokens) in parts of `rows` rows, each without columns that only pad."""
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
