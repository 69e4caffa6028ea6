"""Synthetic cases with labels by construction: splits, minimal pairs, and the checks a build must pass."""

from .checks import balance, check_balance, check_cases, check_variety, rule_agreement
from .leakage import check_leaks, frame_shares, sentence_frames, text_statistics
from .make_cases import make_cases
from .minimal_pairs import make_contrasts, pairs
from .splits import check_splits, make_splits, mixed_cases

__all__ = [
    "balance",
    "check_balance",
    "check_cases",
    "check_leaks",
    "check_splits",
    "check_variety",
    "frame_shares",
    "make_cases",
    "make_contrasts",
    "make_splits",
    "mixed_cases",
    "pairs",
    "rule_agreement",
    "sentence_frames",
    "text_statistics",
]
