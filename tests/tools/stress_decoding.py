"""Whatever the weights, every answer can be read and quotes its note: random weights write, at every temperature.

    python tests/tools/stress_decoding.py --n 10000

A tiny Gemma 3 with the rehearsal tokenizer, new random weights for every 250 answers, sampled at temperatures from 0.2
(one token again and again) to 100 (every allowed token equally likely), with budgets from the smallest allowed to twice
that and notes of 20 to 24,000 characters. Last line: `readable N of N, Q quotes, all found, none past its budget`, or
the script ends with an error.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from tqdm.auto import tqdm
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

from irae_lib.model.answers import parse_answer
from irae_lib.model.base import load_tokenizer
from irae_lib.model.generate import Prefix, decode, sampler, stop_ids
from irae_lib.model.grammar import RESERVE, Writer, vocabulary
from irae_lib.rehearsal.tiny_gemma import VOCABULARY
from irae_lib.synthesis.make_cases import make_cases
from irae_lib.workspace.profiles import REHEARSAL_BASE


def random_model(vocab_size: int, seed: int, *, sliding_window: int = 1024) -> Gemma3ForCausalLM:
    """A Gemma 3 of random weights, small enough to write 10,000 answers in minutes."""
    torch.manual_seed(seed)
    config = Gemma3TextConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        query_pre_attn_scalar=16,
        sliding_window=sliding_window,
        layer_types=["sliding_attention", "full_attention"],
    )
    return Gemma3ForCausalLM(config).eval()


def random_note(rng: random.Random, text: str) -> str:
    """A stretch of `text` of 20 to 24,000 characters, at times with what breaks a quote: escapes, long words, signs."""
    size = round(20 * 1200 ** rng.random())
    start = rng.randrange(len(text) - size)
    odd = ('"', "\\", "\\n", "\t", "\x07", "\u2028", "[]{}", "x" * 300, "éßµ", "😀", "\ue000")
    words = text[start : start + size].split(" ")
    for _ in range(rng.choice((0, 0, 5))):
        words.insert(rng.randrange(len(words) + 1), rng.choice(odd))
    return " ".join(words)[:24_000]


def stress(n: int, *, seed: int = 0, batch_size: int = 50) -> tuple[int, int]:
    """Write `n` answers; returns how many could be read and how many quotes they hold.

    Raises:
        AssertionError: an answer is longer than its budget, or a quote is not in its note.
    """
    tokenizer = load_tokenizer(REHEARSAL_BASE)
    stops, rng = tuple(stop_ids(tokenizer)), random.Random(seed)
    words = vocabulary(tokenizer, VOCABULARY, stops)
    text = "\n".join(case.case.text for case in make_cases(120, pool="test", seed=seed, prefix="stress"))
    readable = quotes = 0
    with tqdm(total=n, unit="answer") as bar:
        for start in range(0, n, batch_size):
            if start % 250 == 0:
                model = random_model(VOCABULARY, seed + start)
            rows = min(batch_size, n - start)
            temperature = 10 ** rng.uniform(-0.7, 2)
            budgets = [rng.randint(2 * RESERVE, 4 * RESERVE) for _ in range(rows)]
            prompts = [[2, *(rng.randrange(300, 4000) for _ in range(rng.randint(1, 30)))] for _ in range(rows)]

            notes = [random_note(rng, text) for _ in range(rows)]
            writers = [Writer(words, budget=size, note=note) for size, note in zip(budgets, notes, strict=True)]
            written = decode(model, prompts, writers, Prefix(model, []), choose=sampler(temperature, seed + start))
            for one, budget, note in zip(written, budgets, notes, strict=True):
                if len(one.ids) > budget:
                    raise AssertionError(f"an answer of {len(one.ids)} tokens with a budget of {budget}")
                answer = parse_answer(tokenizer.decode(one.ids, skip_special_tokens=False))
                if answer.assessment is None:
                    print(f"unreadable: {answer.unscored}: {answer.text[-120:]!r}", file=sys.stderr)
                readable += answer.assessment is not None
                said = answer.assessment.evidence if answer.assessment else ()
                quotes += len(said)
                if any(quote not in note for quote in said):
                    raise AssertionError(f"a quote is not in its note of {len(note)} characters")
            bar.update(rows)
    return readable, quotes


def main() -> None:
    """Run and say how many could be read."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    readable, quotes = stress(options.n, seed=options.seed)
    print(f"readable {readable} of {options.n}, {quotes} quotes, all found, none past its budget")
    sys.exit(readable != options.n)


if __name__ == "__main__":
    main()
