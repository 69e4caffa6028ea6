"""How many forward passes an answer takes at MedGemma's size of vocabulary: forced tokens cost none of their own.

    python tests/tools/count_passes.py [--size 262144] [--megabytes 60]

MedGemma's tokenizer is not at hand, so one of its kind and size is learned from the text files of this Python's
packages, and the labels of 200 held-out notes are written token by token under the grammar. No model is asked: how many
tokens are free follows from text, tokenizer and grammar. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from irae_lib.model.base import load_tokenizer
from irae_lib.model.generate import stop_ids
from irae_lib.model.grammar import Writer, vocabulary
from irae_lib.rehearsal.tiny_gemma import make_tokenizer
from irae_lib.synthesis.make_cases import make_cases
from irae_lib.workspace.profiles import REHEARSAL_BASE


def package_texts(megabytes: int) -> Iterator[str]:
    """Text files of the installed packages, up to so many megabytes."""
    left = megabytes * 1_000_000
    for path in sorted(Path(sysconfig.get_paths()["purelib"]).rglob("*")):
        if left > 0 and path.suffix in (".py", ".md", ".txt", ".rst", ".pyi") and path.is_file():
            text = path.read_text(encoding="utf-8", errors="ignore")[:200_000]
            left -= len(text)
            yield text


def free_tokens(words, text: str, *, short: bool) -> tuple[int, int]:
    """(free, all) tokens of an answer: a free one is what a forward pass is for."""
    writer, left, free, number = Writer(words, budget=2000, short=short), text, 0, 0
    while not writer.done:
        tokens = writer.forced()
        if not tokens:
            allowed = writer.allowed()
            tokens = words.tokenize_str(left)[:1]
            if not allowed[tokens[0]]:
                raise AssertionError(f"the label leaves the grammar at {left[:20]!r}")
            free += 1
        for token in tokens:
            writer.take(token)
        number += len(tokens)
        left = left[len(words.decode_bytes(tokens).decode()) :]
    return free, number


def main() -> None:
    """Count with the rehearsal's tokenizer and with a large one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=262_144)
    parser.add_argument("--megabytes", type=int, default=60)
    options = parser.parse_args()
    large = make_tokenizer(package_texts(options.megabytes), options.size)
    answers = [case.expected for case in make_cases(200, pool="test", seed=1, prefix="count", detail="full")]
    counted: dict[str, dict[str, float]] = {}
    for name, tokenizer in (("rehearsal", load_tokenizer(REHEARSAL_BASE)), ("large", large)):
        words = vocabulary(tokenizer, len(tokenizer), tuple(stop_ids(tokenizer)))
        counted[name] = {"vocabulary": len(tokenizer)}
        for kind in ("full", "short"):
            bare = {"evidence": (), "reasoning": "", "actions": ()} if kind == "short" else {}
            texts = [answer.model_copy(update=bare).to_json() for answer in answers]
            pairs = [free_tokens(words, text, short=kind == "short") for text in texts]
            counted[name] |= {
                f"{kind}_passes": round(statistics.mean(free for free, _ in pairs), 1),
                f"{kind}_tokens": round(statistics.mean(number for _, number in pairs), 1),
            }
        print(name, counted[name], flush=True)
    print(json.dumps(counted))


if __name__ == "__main__":
    main()
