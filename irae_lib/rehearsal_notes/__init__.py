"""The small notes that the rehearsal base was trained on: 33 illnesses, two pools of phrasings.

`irae_lib.synthesis` makes the data set that MedGemma is trained on: ten times as many illnesses, three pools, minimal
pairs. A base of 1.3 million parameters cannot read that yet (0.76 of the fields after 4,200 updates); until it can,
the rehearsal trains and is tested on these.
"""

from .build import make_cases
from .leaks import check_leaks, sentence_frames

__all__ = ["check_leaks", "make_cases", "sentence_frames"]
