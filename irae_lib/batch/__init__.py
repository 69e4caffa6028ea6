"""Screening many notes: `notes` reads them, `server` asks a model, `screen` keeps the shards, `monitor` looks at a run.

`python -m irae_lib.batch NOTES --out FOLDER` (`__main__`) is the whole of it on the command line.
"""

from .notes import Note, read_notes
from .screen import Summary, apply_rules, ask_model
from .server import Server

__all__ = ["Note", "Server", "Summary", "apply_rules", "ask_model", "read_notes"]
