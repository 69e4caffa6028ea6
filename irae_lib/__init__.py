"""Detect immune-related adverse events (irAEs) in oncology notes, without under-calling the findings in a note.

This package holds the code that the notebooks share and the tests cover: schemas, cases, prompts, the safety layer,
training, decoding, evaluation and publication. Importing it needs neither torch nor transformers.
"""

import sys

_COMMAND_LINE = sys.argv[:1] == ["-m"]  # imported for `python -m irae_lib...`, where one sentence is enough

if sys.version_info < (3, 11):  # noqa: UP036 - an older one gets this far
    _problem = f"irae_lib needs Python 3.11 or newer; this is {sys.version_info[0]}.{sys.version_info[1]}"
    raise SystemExit(_problem) if _COMMAND_LINE else ImportError(_problem)

try:
    from .evaluation.scoring import score
    from .safety import read, review
    from .schemas import Assessment, Case
except ModuleNotFoundError as error:
    if not _COMMAND_LINE or (error.name or "").startswith("irae_lib"):
        raise
    raise SystemExit(f"the package {error.name} is not installed: pip install -r requirements.txt") from None

__version__ = "0.1.0"
__all__ = ["Assessment", "Case", "read", "review", "score"]
