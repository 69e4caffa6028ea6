"""Read oncology notes for immune-related adverse events (irAEs), and never under-call what the note says.

This package holds what the notebooks share and what must be tested: schemas, cases, prompts, the safety
layer, training, decoding, evaluation and publication. Importing it needs neither torch nor transformers.
"""

from .evaluation.scoring import score
from .safety import read, review
from .schemas import Assessment, Case

__all__ = ["Assessment", "Case", "read", "review", "score"]
