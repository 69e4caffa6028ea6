"""Detect immune-related adverse events (irAEs) in oncology notes, without under-calling the findings in a note.

This package holds the code that the notebooks share and the tests cover: schemas, cases, prompts, the safety layer,
training, decoding, evaluation and publication. Importing it needs neither torch nor transformers.
"""

from .evaluation.scoring import score
from .safety import read, review
from .schemas import Assessment, Case

__version__ = "0.1.0"
__all__ = ["Assessment", "Case", "read", "review", "score"]
