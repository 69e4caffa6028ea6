"""Synthetic cases with labels by construction: splits, minimal pairs, and the checks a build must pass."""

from .splits import make_splits

__all__ = ["make_splits"]
