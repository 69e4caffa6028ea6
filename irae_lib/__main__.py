"""Apply the rules to one note, from a file or from standard input: `python -m irae_lib [NOTE.txt]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError

from .errors import explain
from .safety.exposure import assumed
from .safety.floors import review
from .safety.reader import read
from .safety.reviews import NOT_ASSESSED, Review
from .schemas import Case

QUESTION = "Is the patient on or after a checkpoint inhibitor? [Y/n, or ? as the note says] "


def main(arguments: list[str] | None = None) -> int:
    """Print the review; return the exit status: 0 assessed, 1 not a note, 3 not assessed."""
    parser = argparse.ArgumentParser(prog="python -m irae_lib", description="Apply the rules to one note.")
    parser.add_argument("note", nargs="?", type=Path, help="a text file; default: standard input")
    parser.add_argument(
        "--exposed",
        choices=("yes", "no", "note"),
        help="on or after a checkpoint inhibitor; default: ask in a terminal, else yes unless the note denies it",
    )
    options = parser.parse_args(arguments)
    try:
        text = options.note.read_text(encoding="utf-8") if options.note else sys.stdin.read()
        case = Case(text=text)
    except (OSError, UnicodeDecodeError) as error:
        print(f"{options.note or 'standard input'}: cannot be read as UTF-8 text ({error})", file=sys.stderr)
        return 1
    except ValidationError as error:
        print(f"{options.note or 'standard input'} is not a note: {explain(error)}", file=sys.stderr)
        return 1
    result = review(case, exposed=_exposed(case, options.exposed, interactive=options.note and sys.stdin.isatty()))
    print("\n".join(lines(result)))
    return 0 if result.assessed else 3


def _exposed(case: Case, said: str | None, interactive: bool) -> bool | None:
    if said is None and interactive:
        said = {"n": "no", "?": "note"}.get(input(QUESTION).strip().lower()[:1])
    if said is None:
        return assumed(read(case), case.text, True)
    return {"yes": True, "no": False, "note": None}[said]


def lines(result: Review) -> list[str]:
    """The review as lines of text: the five fields, the raises with their quotes, and the advisories."""
    final = result.final
    fields = {
        "irAE": "yes" if final.irae_detected else "no",
        "organ systems": ", ".join(system.value for system in final.affected_systems) or "none",
        "CTCAE grade": final.overall_severity.value,
        "urgency": final.urgency.value,
        "causality": final.causality.likelihood.value,
    }
    if not result.assessed:
        raised = {c.field for c in result.corrections}
        kept = dict(zip(fields, ("irae_detected", "affected_systems", "overall_severity", "urgency"), strict=False))
        further = f" ({NOT_ASSESSED} further)"
        fields = {k: v + further if kept.get(k) in raised else NOT_ASSESSED for k, v in fields.items()}
    out = [f"{name + ':':<15}{value}" for name, value in fields.items()]
    for c in result.corrections:
        where = f' "{c.quote}"' if c.quote else ""
        out.append(f"{c.rule}: {c.field} {c.before} -> {c.after}: {c.reason}{where} [{c.source}]")
    return out + [f"note: {line}" for line in result.advisories]


if __name__ == "__main__":
    sys.exit(main())
