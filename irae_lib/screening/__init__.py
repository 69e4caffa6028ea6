"""Screening many notes: `notes` reads them, `server` asks a model, `rows` says what is kept, `shards` keeps it,
`screen` runs both stages, `trial` asks whether the adapter is served, `monitor` looks at a run, `capacity` says what a
million notes cost.

`python -m irae_lib.screening NOTES --out FOLDER` (`__main__`) is the whole of it on the command line.
"""

from .adapter_check import try_server
from .notes import Note, read_notes
from .screen import Summary, apply_rules, ask_model
from .server import Server
from .shards import Part

__all__ = ["Note", "Part", "Server", "Summary", "apply_rules", "ask_model", "read_notes", "try_server"]
