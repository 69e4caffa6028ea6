"""Notebook 06: screen many notes with the rules and a model server.

`notes` reads them, `server` asks a model, `rows` defines the result of a note, `shards` stores results, `stage` ties a
run together, `screen` runs both stages. `adapter_check` verifies the served adapter, `monitor` watches a run, `cost`
estimates one. The command line is `python -m irae_lib.screening NOTES --out FOLDER`.
"""

from .adapter_check import check_adapter
from .notes import Note, read_notes
from .screen import apply_rules, ask_model
from .server import Server
from .shards import ShardPart
from .stage import ScreeningRun, ScreeningSummary

__all__ = [
    "Note",
    "ScreeningRun",
    "Server",
    "ShardPart",
    "ScreeningSummary",
    "apply_rules",
    "ask_model",
    "check_adapter",
    "read_notes",
]
