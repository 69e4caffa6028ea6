"""The safety layer: `review` raises a proposal to the floors that the note demands, `read` lists its findings.

It reads the note itself and needs neither torch nor a model.
"""

from .floors import NOTHING, review
from .reader import read
from .rules import rule_table

__all__ = ["NOTHING", "read", "review", "rule_table"]
