"""Apply the rules to one note, from a file or from standard input: `python -m irae_lib [NOTE.txt]`.

Needs pydantic and the standard library alone.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from pathlib import Path

from pydantic import ValidationError

from .errors import SchemaError, explain
from .files import UTF_8, encoding_of
from .reporting.note_text import case_text
from .safety.exposure import assumed
from .safety.floors import review
from .safety.reader import read
from .schemas import Case

QUESTION = "Is the patient on or after a checkpoint inhibitor? [Y/n, or ? as the note says] "
PASTE = "Paste the note, then press Enter and Ctrl-D:"


def main(arguments: list[str] | None = None) -> int:
    """Print the review; return the exit status: 0 assessed, 1 not a note, 3 not assessed, 130 stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m irae_lib",
        description="Apply the rules to one note: verdict, reasons, the five fields and the marked note.",
        epilog="exit status: 0 assessed; 1 not a note; 2 wrong options; 3 not assessed, a person must read the note",
    )
    parser.add_argument("note", nargs="?", type=Path, help="a text file; default: standard input")
    parser.add_argument(
        "--exposed",
        choices=("yes", "no", "note"),
        help="on or after a checkpoint inhibitor; default: ask in a terminal, else yes unless the note denies it",
    )
    options = parser.parse_args(arguments)
    place = options.note or "standard input"
    try:
        case = Case(text=_text(options.note))
        exposed = _exposed(case, options.exposed, interactive=options.note and sys.stdin.isatty())
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        print(f"{place} cannot be read ({reason}); expected a text file in UTF-8 or Windows-1252", file=sys.stderr)
        return 1
    except ValidationError as error:
        print(f"{place} is not a note: {explain(error)}", file=sys.stderr)
        return 1
    except SchemaError as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        print("\nstopped", file=sys.stderr)
        return 130
    result = review(case, exposed=exposed)
    _print(case_text(case.text, result, color=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    return 0 if result.assessed else 3


def _text(path: Path | None) -> str:
    if path:
        if (encoding := encoding_of(path)) != UTF_8:
            print(f"{path.name} is not UTF-8: read as {encoding}", file=sys.stderr)
        return path.read_text(encoding=encoding)
    if sys.stdin.isatty():
        print(PASTE, file=sys.stderr)
    return sys.stdin.read()


def _exposed(case: Case, said: str | None, interactive: bool) -> bool | None:
    if said is None and interactive:
        said = {"n": "no", "?": "note"}.get(input(QUESTION).strip().lower()[:1])
    if said is None:
        return assumed(read(case), case.text, True)
    return {"yes": True, "no": False, "note": None}[said]


def _print(text: str) -> None:
    """Print text to a terminal of any encoding, or to a reader that may close early, such as `head`."""
    try:
        sys.stdout.reconfigure(errors="replace")
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python reports it again when it ends


if __name__ == "__main__":
    gc.disable()  # the process reads one note and ends
    sys.exit(main())
