"""Whatever the weights, every answer can be read: a model of random weights writes answers, at every temperature.

    python tests/tools/stress_decoding.py --n 10000

A tiny Gemma 3 with the rehearsal tokenizer, new random weights for every 250 answers, sampled at temperatures from 0.2
(one token again and again) to 100 (every allowed token equally likely), with budgets from the smallest allowed to twice
that. Last line: `readable N of N, none past its budget`, or the script ends with an error.
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


def stress(n: int, *, seed: int = 0, batch_size: int = 50) -> int:
    """Write `n` answers; returns how many could be read. Raises where one is longer than its budget."""
    tokenizer = load_tokenizer(REHEARSAL_BASE)
    stops, rng = tuple(stop_ids(tokenizer)), random.Random(seed)
    words = vocabulary(tokenizer, VOCABULARY, stops)
    readable = 0
    with tqdm(total=n, unit="answer") as bar:
        for start in range(0, n, batch_size):
            if start % 250 == 0:
                model = random_model(VOCABULARY, seed + start)
            rows = min(batch_size, n - start)
            temperature = 10 ** rng.uniform(-0.7, 2)
            budgets = [rng.randint(2 * RESERVE, 4 * RESERVE) for _ in range(rows)]
            prompts = [[2, *(rng.randrange(300, 4000) for _ in range(rng.randint(1, 30)))] for _ in range(rows)]

            writers = [Writer(words, budget=budget) for budget in budgets]
            written = decode(model, prompts, writers, Prefix(model, []), choose=sampler(temperature, seed + start))
            for one, budget in zip(written, budgets, strict=True):
                if len(one.ids) > budget:
                    raise AssertionError(f"an answer of {len(one.ids)} tokens with a budget of {budget}")
                answer = parse_answer(tokenizer.decode(one.ids, skip_special_tokens=False))
                if answer.assessment is None:
                    print(f"unreadable: {answer.unscored}: {answer.text[-120:]!r}", file=sys.stderr)
                readable += answer.assessment is not None
            bar.update(rows)
    return readable


def main() -> None:
    """Run and say how many could be read."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    readable = stress(options.n, seed=options.seed)
    print(f"readable {readable} of {options.n}, none past its budget")
    sys.exit(readable != options.n)


if __name__ == "__main__":
    main()
