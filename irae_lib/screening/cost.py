"""How long and how dear a million notes are: a formula with your own numbers, and a simulation of measured seconds."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence

from ..errors import RunError
from ..schemas import Record


class Cost(Record):
    """Hours of one machine and the price of them, in the currency of `price_per_hour`."""

    hours: float
    price: float


def cost(notes: int, notes_per_second: float, price_per_hour: float, *, spare: float = 0.2) -> Cost:
    """Hours and price for so many notes at a measured rate; `spare` for starts, retries and restarts.

    >>> cost(1_000_000, 25, 2.5, spare=0.0)
    Cost(hours=11.11, price=27.78)

    Raises:
        RunError: the rate is none: nothing was asked in the run that it comes from.
    """
    if notes_per_second <= 0:
        raise RunError(f"{notes_per_second} notes a second is no rate; measure one in a run that asks something")
    hours = notes / notes_per_second / 3600 * (1 + spare)
    return Cost(hours=round(hours, 2), price=round(hours * price_per_hour, 2))


def simulated_rate(seconds: Sequence[float], workers: int, *, notes: int = 20_000, seed: int = 0) -> float:
    """Notes per second with so many requests at a time, each as long as one drawn from the measured ones.

    It assumes that a request takes no longer when more are under way: true for machines beside each other, too good for
    more requests to the same machine. So it is an upper bound there.
    """
    rng = random.Random(seed)
    free = [0.0] * workers
    for _ in range(notes):
        heapq.heapreplace(free, free[0] + rng.choice(seconds))
    return notes / max(free)
