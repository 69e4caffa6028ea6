"""Command line: `python -m irae_lib.screening.fhir EXPORT` counts what would be read; `--lines` prints the cases."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from ...errors import IraeError
from . import in_words, read_fhir


def main(arguments: list[str] | None = None) -> int:
    """Count cases, dead letters and what was left out; 0 if everything was read, 1 on an error, 3 with dead letters."""
    parser = argparse.ArgumentParser(prog="python -m irae_lib.screening.fhir", description=__doc__)
    parser.add_argument("export", type=Path, help="a bundle (.json), NDJSON (.ndjson), or a folder of them")
    parser.add_argument("--lines", action="store_true", help="print each case as a JSON line; it holds patient data")
    options = parser.parse_args(arguments)
    counts: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    try:
        for row in read_fhir(options.export, dropped):
            is_case = isinstance(row, dict)
            counts["cases" if is_case else "dead letters"] += 1
            counts["exposed"] += is_case and row["exposed"] == "yes"
            if not is_case:
                print(row, file=sys.stderr)
            elif options.lines:
                print(json.dumps(row, ensure_ascii=False))
    except IraeError as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    left_out = in_words(dropped) or "nothing"
    print(
        f"{counts['cases']} cases, {counts['exposed']} after a checkpoint inhibitor, {counts['dead letters']} dead "
        f"letters; left out: {left_out}",
        file=sys.stderr,
    )
    return 3 if counts["dead letters"] else 0


if __name__ == "__main__":
    sys.exit(main())
