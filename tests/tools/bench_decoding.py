"""How much faster are constrained answers in batches, with forced tokens and a shared prefix, than one by one?

    python tests/tools/bench_decoding.py [--n 24] [--repeats 3]

Slow side: transformers' `generate` with the same grammar as a logits processor, one case at a time. Fast side:
`answer_all`. Both give the same answers, which is checked; they take turns in one process. The last line is one JSON
object: times, their ratio (medians), and forward passes a note of full, slow and short (labels only) answers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from transformers import LogitsProcessor, LogitsProcessorList

from irae_lib.files import DATA
from irae_lib.model.adapters import load_adapters
from irae_lib.model.base import load_base, load_tokenizer
from irae_lib.model.generate import Prefix, answer_all, common_start, decode, prompt_ids, stop_ids
from irae_lib.model.grammar import Writer, vocabulary
from irae_lib.rehearsal.tiny_gemma import VOCABULARY
from irae_lib.synthesis.make_cases import make_cases
from irae_lib.workspace.profiles import REHEARSAL_BASE, choose_profile

PROFILE = choose_profile("rehearsal")


class Guard(LogitsProcessor):
    """The grammar inside `generate`, for one row: forced tokens one by one, each with a forward pass of its own."""

    def __init__(self, writer: Writer, stop: int):
        self.writer, self.stop, self.forced, self.passes = writer, stop, list(writer.forced()), 0

    def __call__(self, ids, scores):
        if self.passes:
            self.writer.take(int(ids[0, -1]))
            self.forced = self.forced[1:] or ([] if self.writer.done else list(self.writer.forced()))
        self.passes += 1
        mask = torch.zeros(scores.shape[1], dtype=torch.bool)
        if self.writer.done:
            mask[self.stop] = True
        elif self.forced:
            mask[self.forced[0]] = True
        else:
            mask = torch.from_numpy(self.writer.allowed())
        return scores.masked_fill(~mask, float("-inf"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    tokenizer = load_tokenizer(REHEARSAL_BASE)
    model = load_adapters(load_base(PROFILE), REHEARSAL_BASE, {"full": DATA / "rehearsal_adapter"})
    cases = [c.case for c in make_cases(options.n, pool="test", seed=1, prefix="bench", detail=PROFILE.note_detail)]
    stops = stop_ids(tokenizer)
    words = vocabulary(tokenizer, VOCABULARY, tuple(stops))
    prompts = prompt_ids(tokenizer, cases)
    slow_passes = 0

    def slow() -> list[str]:
        nonlocal slow_passes
        out, slow_passes = [], 0
        for ids in prompts:
            guard = Guard(Writer(words, budget=PROFILE.max_new_tokens), stops[0])
            written = model.generate(
                torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                max_new_tokens=PROFILE.max_new_tokens + 1,
                do_sample=False,
                eos_token_id=stops,
                pad_token_id=0,
                logits_processor=LogitsProcessorList([guard]),
            )[0, len(ids) :]
            slow_passes += guard.passes
            out.append(tokenizer.decode([t for t in written.tolist() if t not in stops]))
        return out

    def fast() -> list[str]:
        how = {"batch_size": PROFILE.decode_batch, "max_new_tokens": PROFILE.max_new_tokens}
        return [answer.text for answer in answer_all(model, tokenizer, cases, **how)]

    times: dict[str, list[float]] = {"slow": [], "fast": []}
    for _ in range(options.repeats):
        answers = {}
        for name, run in (("slow", slow), ("fast", fast)):
            began = time.perf_counter()
            answers[name] = run()
            times[name].append(time.perf_counter() - began)
        if answers["slow"] != answers["fast"]:
            raise AssertionError("the two sides gave different answers")

    def passes(short: bool) -> float:
        """Forward passes a note, one note at a time with a shared prefix."""
        prefix, counted = Prefix(model, common_start(prompts)), []
        for ids in prompts:
            writer = Writer(words, budget=PROFILE.max_new_tokens, short=short)
            decode(model, [ids], [writer], prefix, passed=lambda rows, tokens: counted.append(rows))
        return len(counted) / len(prompts)

    median = {name: statistics.median(each) for name, each in times.items()}
    full, short = passes(False), passes(True)
    print(f"slow {median['slow']:.2f} s, fast {median['fast']:.2f} s for {len(cases)} notes, same answers")
    print(
        json.dumps(
            {
                "notes": len(cases),
                "repeats": options.repeats,
                "slow_s": [round(t, 3) for t in times["slow"]],
                "fast_s": [round(t, 3) for t in times["fast"]],
                "times_faster": round(median["slow"] / median["fast"], 2),
                "passes_slow": round(slow_passes / len(cases), 1),
                "passes_full": round(full, 1),
                "passes_short": round(short, 1),
                "passes_slow_over_short": round(slow_passes / len(cases) / short, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
