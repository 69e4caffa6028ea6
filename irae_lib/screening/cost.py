"""Estimate time and cost of screening many notes, by formula and by simulation from measured request times."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence

from ..errors import RunError
from ..schemas import Record


class Cost(Record):
    """Hours of one machine and their price, in the currency of `price_per_hour`."""

    hours: float
    price: float


def cost(notes: int, notes_per_second: float, price_per_hour: float, *, spare: float = 0.2) -> Cost:
    """Estimate hours and price of screening at a measured rate; `spare` covers startup, retries and restarts.

    >>> cost(1_000_000, 25, 2.5, spare=0.0)
    Cost(hours=11.11, price=27.78)

    Raises:
        RunError: the rate is zero or negative, as after a run with nothing left to ask.
    """
    if notes_per_second <= 0:
        raise RunError(f"{notes_per_second} notes a second is not a valid rate; measure one in a run with a model")
    hours = notes / notes_per_second / 3600 * (1 + spare)
    return Cost(hours=round(hours, 2), price=round(hours * price_per_hour, 2))


def simulated_rate(seconds: Sequence[float], workers: int, *, notes: int = 20_000, seed: int = 0) -> float:
    """Simulate notes per second with `workers` concurrent requests, drawing durations from the measured `seconds`.

    Assumes that load does not slow a request. This holds when machines are added; for more requests to one machine
    the result is an upper bound.
    """
    rng = random.Random(seed)
    free_at = [0.0] * workers
    for _ in range(notes):
        heapq.heapreplace(free_at, free_at[0] + rng.choice(seconds))
    return notes / max(free_at)
