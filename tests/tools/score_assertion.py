"""Negation, history and hypothesis of the sentence kit, given the phrase: precision, recall and F1.

    python tests/tools/score_assertion.py FILE {odd,even,all} [--part {develop,final,all}] [--errors STATUS]

FILE is `rsAnnotations-1-120-random.txt` of github.com/chapmanbe/negex: number, blank, phrase, sentence, negation,
time, person. The phrase is treated as a finding, whatever it is; every other token is the reader's own. A parity
keeps the numbers of that parity and never looks at the others. `--part` splits these lines in two by sentence:
one to develop on, one to score once at the end. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from irae_lib.safety.scanned import Scan  # noqa: E402
from irae_lib.safety.tokens import Token  # noqa: E402

STATUSES = ("negated", "historical", "hypothetical")


class Row(NamedTuple):
    """One line of the kit: `gold` holds the statuses it gives to the phrase."""

    number: int
    phrase: str
    sentence: str
    gold: frozenset[str]


def load(path: Path, parity: str, part: str) -> list[Row]:
    """The rows whose number has the parity, in the order of the file."""
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        number, _, rest = line.partition("\t")
        if not number.isdigit() or (parity != "all" and int(number) % 2 != (parity == "odd")):
            continue
        _, phrase, sentence, negation, time, _ = (cell.strip() for cell in rest.split("\t")[:6])
        if part != "all" and part != part_of(sentence):
            continue
        gold = {"Negated": "negated", "Historical": "historical", "Not particular": "hypothetical"}
        rows.append(Row(int(number), phrase, sentence, frozenset(gold[x] for x in (negation, time) if x in gold)))
    return rows


def part_of(sentence: str) -> str:
    """develop or final: all phrases of one sentence fall into the same part, three of five into develop."""
    words = " ".join(re.findall(r"[a-z0-9]+", sentence.lower()))
    return "final" if zlib.crc32(words.encode()) % 5 < 2 else "develop"


def predict(row: Row) -> str:
    """The status of the phrase in its sentence."""
    start, end = _place(row)
    text = row.sentence[:start] + "q" * (end - start) + row.sentence[end:]  # no cue is read inside the phrase
    scan = Scan(text)
    phrase = Token("finding", start, end, ("phrase",), "diagnosis")
    before = [token for token in scan.tokens if token.start < start]
    phrase.sentence = before[-1].sentence + (before[-1].kind == "end") if before else 0
    scan.heard([phrase])
    return phrase.status


def _place(row: Row) -> tuple[int, int]:
    """Where the phrase stands: the place the kit prints in capitals, else the first."""
    words = [re.escape(word) for word in row.phrase.split()]
    upper = re.compile(r"\s+".join(word.upper() for word in words))
    match = upper.search(row.sentence) or re.search(r"\s+".join(words), row.sentence, re.I)
    return match.span() if match else (0, 0)


def rates(rows: list[Row], predicted: list[str]) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 of each status."""
    table = {}
    for status in STATUSES:
        pairs = [(status in row.gold, guess == status) for row, guess in zip(rows, predicted, strict=True)]
        right = sum(gold and guess for gold, guess in pairs)
        named, gold = sum(guess for _, guess in pairs), sum(gold for gold, _ in pairs)
        f1 = 2 * right / (named + gold) if named + gold else 0.0
        table[status] = {
            "n": gold,
            "precision": round(right / named, 3) if named else 0.0,
            "recall": round(right / gold, 3) if gold else 0.0,
            "f1": round(f1, 3),
        }
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("parity", choices=("odd", "even", "all"))
    parser.add_argument("--part", choices=("develop", "final", "all"), default="all")
    parser.add_argument("--errors", choices=STATUSES, help="print the sentences of this status that are read wrongly")
    options = parser.parse_args()
    rows = load(options.file, options.parity, options.part)
    predicted = [predict(row) for row in rows]
    for row, guess in zip(rows, predicted, strict=True):
        if options.errors and (options.errors in row.gold) != (guess == options.errors):
            print(f"{row.number}\t{guess}\t{'+'.join(sorted(row.gold)) or 'current'}\t{row.phrase}\t{row.sentence}")
    print(json.dumps({"lines": len(rows), "parity": options.parity, "part": options.part, **rates(rows, predicted)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
