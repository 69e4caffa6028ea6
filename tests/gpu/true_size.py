"""MedGemma's true size with random weights under a T4's memory, through our own loader, rows and trainer.

    python tests/gpu/true_size.py --tokenizer cache/gemma-3-270m --out true_size.json

Within five minutes on one GPU: training at 448, 1,024 and 2,048 tokens a row, answers to 16 notes, then what may fail:
4,096 tokens, and the recipe this project started from. Every result is written at once. `--toy` runs the same code on
the rehearsal base on a CPU.
"""

import time

import harness
import torch

from irae_lib.model.generate import answer_all
from irae_lib.training.memory import GIB, estimate_memory


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write what was measured."""
    options, profile = harness.read_options(arguments, __doc__.splitlines()[0])
    log = harness.Log(options.out, what="true size, random weights, one row at a time, policy of profile t4")
    harness.as_on_a_t4()
    harness.forget_peak()
    began = time.monotonic()
    base, tokenizer = harness.load(profile)
    log.add("load", {"seconds": round(time.monotonic() - began, 1), "class": type(base).__name__} | harness.peak())
    base = trained(log, base, tokenizer, profile, (64,) if options.toy else (448, 1024, 2048))
    answered(log, base, tokenizer, 2 if options.toy else 16)
    base = trained(log, base, tokenizer, profile, (96,) if options.toy else (4096,))
    del base
    length = 64 if options.toy else 1024
    original(log, profile, length, options.toy)


def trained(log, base, tokenizer, profile, lengths):
    """Three updates at each length beside the estimate; returns the base."""
    for length in lengths:
        # Real rows at 448, the length that holds most of them; filled up beyond that.
        rows = harness.make_rows(tokenizer, n=12, tokens=length)
        tokens = max(harness.token_lengths(tokenizer, rows).values())
        base, numbers = harness.train_ours(base, tokenizer, profile, rows, length=max(length, tokens), updates=3)
        estimate = estimate_memory(base.config, profile, length=length).total / GIB
        log.add(f"train_{length}", numbers | {"estimate_gib": round(estimate, 2)})
    return base


def answered(log, base, tokenizer, n: int) -> None:
    """Answers to `n` notes, whole and labels alone."""
    cases = [case.case for case in harness.make_cases(n, pool="test", seed=7, prefix="answer", detail="full")]
    for name, short in (("answers_whole", False), ("answers_labels", True)):
        harness.forget_peak()
        began = time.monotonic()
        said = answer_all(base.eval(), tokenizer, cases, batch_size=16, max_new_tokens=256, short=short, label="")
        readable = sum(one.assessment is not None for one in said)
        log.add(
            name, {"notes": n, "seconds": round(time.monotonic() - began, 1), "readable": readable} | harness.peak()
        )


def original(log, profile, length: int, toy: bool) -> None:
    """The recipe of the project's origin, or that it ran out of memory."""
    from irae_lib.workspace.hub_access import model_path

    try:
        numbers = harness.train_original(model_path(profile.base_model), length=length, updates=3, toy=toy)
    except torch.OutOfMemoryError:
        numbers = {"out_of_memory": True} | harness.peak()
    log.add(f"original_{length}", numbers)


if __name__ == "__main__":
    main()
