"""The small Gemma on one GPU in five minutes: all rows, three epochs, then labels alone for test and outside notes.

    python tests/gpu/gemma.py --out gemma_gpu.json

Safest results first, each written at once: the tuned model on 300 test notes, its base, both on 176 notes from
elsewhere, and how they compare. Needs the packages of profile gemma. `--toy` runs the same code on the rehearsal base.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import harness

from irae_lib.evaluation.outside import read_outside, report_outside
from irae_lib.evaluation.scoring import compare, grade_answers, rules_alone, summarize
from irae_lib.model.generate import answer_all
from irae_lib.synthesis.splits import make_splits
from irae_lib.training.rows import to_prompt_completion
from irae_lib.workspace.profiles import choose_profile

SMALL = {"train_cases": 24, "test_cases": 4, "note_detail": "short", "epochs": 1}
NOTE = "labels alone, without evidence and reasoning: not comparable with reports of whole answers"


def main(arguments: list[str] | None = None) -> None:
    """Train, ask, and write what was answered."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--toy", action="store_true")
    options = parser.parse_args(arguments)
    log = harness.Log(options.out, what="Gemma 3 270M, profile gemma", answers=NOTE)
    profile = replace(harness.TOY, **SMALL) if options.toy else choose_profile("gemma")
    outside = read_outside(2 if options.toy else None)
    counts = {"train": profile.train_cases, "calibration": 4, "test": profile.test_cases, "pairs": 6}
    splits = make_splits(3, **counts, detail=profile.note_detail)
    base, tokenizer = harness.load(profile)
    model = tuned(log, base, tokenizer, profile, [to_prompt_completion(case) for case in splits["train"]])

    def ask(cases):
        how = {"batch_size": profile.decode_batch, "max_new_tokens": profile.max_new_tokens, "short": True}
        return answer_all(model, tokenizer, cases, label="asked", **how)

    test, notes = splits["test"], [one.case for one in outside]
    graded = {"rules": rules_alone(test), "full": grade_answers(test, ask([case.case for case in test]))}
    add(log, test, graded, "rules", "full")
    said = {"full": ask(notes)}
    with model.disable_adapter():
        graded["base"] = grade_answers(test, ask([case.case for case in test]))
        add(log, test, graded, "base")
        said["base"] = ask(notes)
    log.add("tuned_minus_base", plain(compare(*([one.raw for one in graded[arm]] for arm in ("base", "full")))))
    log.add("outside", report_outside(outside, said).model_dump(mode="json"))


def tuned(log, base, tokenizer, profile, rows):
    """The model after the profile's epochs, its adapter still on it."""
    from irae_lib.model.adapters import lora_config
    from irae_lib.training.callbacks import loss_curve
    from irae_lib.training.rows import dataset, fitting_length, token_lengths
    from irae_lib.training.trainer import ResumableTrainer, prepare, sft_config

    longest = fitting_length(token_lengths(tokenizer, rows))
    schedule = {"epochs": profile.epochs, "learning_rate": profile.learning_rate, "max_length": longest, "seed": 7}
    with tempfile.TemporaryDirectory() as folder:
        trainer = ResumableTrainer(
            model=base,
            args=sft_config(profile, Path(folder), **schedule),
            train_dataset=dataset(rows),
            processing_class=tokenizer,
            peft_config=lora_config(),
        )
        prepare(trainer, every_minutes=1e9)
        began = time.monotonic()
        trainer.train()
    losses = [point["loss"] for point in loss_curve(trainer)]
    numbers = {"rows": len(rows), "epochs": profile.epochs, "updates": len(losses), "seconds": time.monotonic() - began}
    log.add("training", numbers | {"first_loss": losses[0], "last_loss": losses[-1]} | harness.peak())
    return trainer.model.eval()


def add(log, cases, graded, *arms) -> None:
    """Fields right, cases passed and intervals of each arm, before and after the rules."""
    for arm in arms:
        stages = {stage: plain(summarize(cases, graded[arm], stage=stage)) for stage in ("raw", "safety")}
        log.add(f"test_{arm}", stages)


def plain(record) -> dict:
    """A record as what JSON holds."""
    return record.model_dump(mode="json")


if __name__ == "__main__":
    main()
