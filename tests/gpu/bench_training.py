"""How fast training and answering are at MedGemma's true size: the original recipe, ours before, ours now.

    python tests/gpu/bench_training.py --tokenizer cache/gemma-3-270m --out bench.json

One card, one call, random weights, a T4's memory. Before: one row at a time with checkpointing. Now: as
`training.micro_batch` divides an update. Tokens a second of training at 300, 800 and 2,048 tokens a row, notes a second
of answering (labels alone) at 16, 32 and 64 at a time. Prints a table and writes one JSON object, each result at once.
`--toy` runs the same code on the rehearsal base on a CPU.
"""

import time

import harness
import torch

from irae_lib.model.generate import answer_all
from irae_lib.training import micro_batch
from irae_lib.training.memory import available_memory
from irae_lib.workspace.hub_access import model_path


def main(arguments: list[str] | None = None) -> None:
    """Measure, print the table."""
    options, profile = harness.read_options(arguments, __doc__.splitlines()[0])
    toy = options.toy
    log = harness.Log(options.out, what="tokens/s and notes/s, true size, random weights, a T4's memory")
    harness.as_on_a_t4()
    base, tokenizer = harness.load(profile)
    memory = min(available_memory()[0], harness.T4_BYTES)
    lengths = (64, 96) if toy else (300, 800, 2048)
    for length in lengths:
        rows = harness.make_rows(tokenizer, n=12, tokens=length)
        longest = max(length, *harness.token_lengths(tokenizer, rows).values())
        now, _ = micro_batch.fit(profile, base.config, length=longest, free=memory, on_gpu=True)
        for name, way in (("before", profile), ("now", now)):
            base, numbers = harness.train_ours(base, tokenizer, way, rows, length=longest, updates=3)
            log.add(f"{name}_{length}", numbers)
    notes(log, base, tokenizer, (2, 4) if toy else (16, 32, 64))
    del base
    for length in lengths:
        try:
            log.add(
                f"original_{length}",
                harness.train_original(model_path(profile.base_model), length=length, updates=2, toy=toy),
            )
        except torch.OutOfMemoryError:
            log.add(f"original_{length}", {"out_of_memory": True})
    print_table(log.said, lengths)


def notes(log, base, tokenizer, sizes) -> None:
    """Notes a second at each batch size."""
    cases = [case.case for case in harness.make_cases(max(sizes), pool="test", seed=7, prefix="bench", detail="full")]
    for size in sizes:
        harness.forget_peak()
        began = time.monotonic()
        answer_all(base.eval(), tokenizer, cases, batch_size=size, max_new_tokens=256, short=True, label="")
        seconds = time.monotonic() - began
        log.add(f"answers_{size}", {"notes_per_second": round(len(cases) / seconds, 2)} | harness.peak())


def print_table(said: dict, lengths) -> None:
    """Tokens a second and GiB, a line for each recipe and length."""
    print(f"\n{'recipe':10}{'tokens/row':>12}{'tokens/s':>12}{'GiB':>8}  division")
    for length in lengths:
        for name in ("original", "before", "now"):
            one = said[f"{name}_{length}"]
            rate, size = one.get("tokens_per_second", "-"), one.get("peak_reserved_gib", "-")
            print(f"{name:10}{length:>12}{rate:>12}{size:>8}  {one.get('division', '')}")


if __name__ == "__main__":
    main()
