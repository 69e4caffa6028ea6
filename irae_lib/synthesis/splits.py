"""Make the splits of a data set and check them together; a failed check stops the build."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import combinations

from ..cases import LabelledCase
from ..errors import RunError
from .checks import check_balance, check_cases, check_urgency, check_variety
from .leakage import check_leaks
from .make_cases import make_cases
from .minimal_pairs import make_contrasts

# Smaller splits cannot hold every organ at every grade; in smaller data sets, 2% is not measurable.
_LARGE, _LARGE_SET = 250, 1000


def mixed_cases(
    n: int, *, pool: str, seed: int, prefix: str, detail: str, deal: int = 0, shares: Mapping[str, float] | None = None
) -> list[LabelledCase]:
    """`n` cases of a pool, shuffled; a sixth are sides of minimal pairs, since grades are learned at boundaries."""
    n_pairs = n // 12
    how = {"pool": pool, "seed": seed, "detail": detail, "deal": deal}
    cases = make_contrasts(n_pairs, prefix=f"{prefix}-pair", **how)
    cases += make_cases(n - 2 * n_pairs, prefix=prefix, shares=shares, **how)
    random.Random(f"{seed}-{prefix}").shuffle(cases)
    return cases


def make_splits(
    seed: int, *, train: int, calibration: int, test: int, pairs: int, detail: str
) -> dict[str, list[LabelledCase]]:
    """`train`, `calibration`, `test` and `contrast` for a seed; training and evaluation share no pool of phrasings.

    `contrast` holds `2 * pairs` notes and comes from the test pool, like `test`.

    Raises:
        RunError: a number is negative; names it.
    """
    for name, n in (("train", train), ("calibration", calibration), ("test", test), ("pairs", pairs)):
        if n < 0:
            raise RunError(f"the number of {name} cases is {n}; expected 0 or more")
    return {
        "train": mixed_cases(train, pool="train", seed=seed, prefix="train", detail=detail),
        "calibration": make_cases(calibration, pool="calibration", seed=seed, prefix="calibration", detail=detail),
        "test": make_cases(test, pool="test", seed=seed, prefix="test", detail=detail),
        "contrast": make_contrasts(pairs, pool="test", seed=seed, detail=detail),
    }


def check_splits(
    splits: Mapping[str, Sequence[LabelledCase]], also_trained_on: Sequence[LabelledCase] = (), *, detail: str = "short"
) -> dict[str, dict]:
    """Check a data set and return its facts: `splits` (one entry each), `leaks` (counts per pair of splits), `variety`.

    Args:
        also_trained_on: cases that join the training file (the eleven, the user's own).

    Raises:
        SchemaError: see `check_cases`, `check_variety`, `check_balance`, `check_urgency`. LeakError: see `check_leaks`.
    """
    check_urgency()
    facts = {name: check_cases(cases, detail=detail) for name, cases in splits.items()}
    for name in ("train", "test"):
        if len(splits[name]) >= _LARGE:
            check_balance(splits[name])
    seen = {**splits, "train": [*splits["train"], *also_trained_on]}
    # Test and contrast share a pool: both are held out, and nothing is tuned on one and measured on the other.
    compared = [pair for pair in combinations(splits, 2) if pair != ("test", "contrast")]
    leaks = {f"{a} / {b}": check_leaks(seen[a], seen[b]) for a, b in compared}
    everything = [case for cases in splits.values() for case in cases]
    variety = check_variety(everything) if len(everything) >= _LARGE_SET else 0.0
    return {"splits": facts, "leaks": leaks, "variety": {"commonest_frame_share": variety}}
