"""Synthetic cases with labels by construction: `make_cases`, and the leak check between splits."""

from .build import make_cases
from .leaks import check_leaks, sentence_frames

__all__ = ["check_leaks", "make_cases", "sentence_frames"]
