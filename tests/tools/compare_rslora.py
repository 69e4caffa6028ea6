"""LoRA or rank-stabilised LoRA, measured at rehearsal size: same rows, same updates, several learning rates and seeds.

    python tests/tools/compare_rslora.py [--rows 400] [--seeds 3]

rsLoRA multiplies the update by alpha / sqrt(rank) instead of alpha / rank: four times as much at rank 16. So the two
are compared each at its own best learning rate, by the loss on answers of the calibration split (nats per token) and
the fields it gets right there; the test split chooses nothing. Prints one row per setting and the best of each kind.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from transformers import set_seed

from irae_lib.evaluation.report import summarize_arm
from irae_lib.evaluation.scoring import grade_answers
from irae_lib.model.adapters import lora_config
from irae_lib.model.base import load_base, load_tokenizer
from irae_lib.model.generate import answer_all
from irae_lib.reporting.tables import table
from irae_lib.synthesis.splits import make_splits
from irae_lib.training.rows import dataset, fitting_length, to_prompt_completion, token_lengths
from irae_lib.training.trainer import ResumableTrainer, prepare, sft_config
from irae_lib.workspace.profiles import choose_profile

# As fractions of the profile's own rate; rsLoRA gets smaller ones, for it steps four times as far.
RATES = {False: (0.5, 1.0, 2.0), True: (0.125, 0.25, 0.5)}


def measure(
    profile, tokenizer, rows, held_out, *, rank_stabilised: bool, rate: float, seed: int
) -> tuple[float, float]:
    """(loss, field accuracy) on the held-out cases after one epoch over `rows`."""
    asked = [to_prompt_completion(case) for case in held_out]
    set_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        trainer = ResumableTrainer(
            model=load_base(profile),
            args=sft_config(
                profile,
                Path(folder),
                epochs=1,
                learning_rate=rate,
                max_length=fitting_length(token_lengths(tokenizer, rows + asked)),
                seed=seed,
            ),
            train_dataset=dataset(rows),
            eval_dataset=dataset(asked),
            processing_class=tokenizer,
            peft_config=lora_config(rank_stabilised=rank_stabilised),
        )
        prepare(trainer)
        trainer.train()
        loss = trainer.evaluate()["eval_loss"]
    answers = answer_all(
        trainer.model.eval(),
        tokenizer,
        [case.case for case in held_out],
        batch_size=profile.decode_batch,
        max_new_tokens=profile.max_new_tokens,
        label="held out",
    )
    return loss, summarize_arm(held_out, grade_answers(held_out, answers)).raw.field_accuracy


def main() -> None:
    """Print a row per kind and learning rate: means over seeds, and their spread."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    profile = replace(choose_profile("rehearsal"), reason="comparison")
    splits = make_splits(
        7, train=options.rows, calibration=profile.calibration_cases, test=12, pairs=6, detail=profile.note_detail
    )
    rows = [to_prompt_completion(case) for case in splits["train"]]
    tokenizer = load_tokenizer(profile.base_model)
    out, best = [], {}
    for rank_stabilised, fractions in RATES.items():
        name = "rsLoRA" if rank_stabilised else "LoRA"
        for fraction in fractions:
            began, rate = time.monotonic(), profile.learning_rate * fraction
            losses, fields = zip(
                *(
                    measure(
                        profile,
                        tokenizer,
                        rows,
                        splits["calibration"],
                        rank_stabilised=rank_stabilised,
                        rate=rate,
                        seed=seed,
                    )
                    for seed in range(options.seeds)
                ),
                strict=True,
            )
            spread = statistics.stdev(fields) if len(fields) > 1 else float("nan")
            best[name] = max(best.get(name, (0.0, 0.0)), (statistics.mean(fields), rate))
            row = [
                name,
                f"{rate:.2e}",
                f"{statistics.mean(losses):.4f}",
                f"{statistics.mean(fields):.3f}",
                f"{spread:.3f}",
            ]
            print(*row, f"{time.monotonic() - began:.0f} s", flush=True)
            out.append(row)
    print()
    print(table(out, ["kind", "learning rate", "loss", "fields right", "spread over seeds"]).to_string())
    for name, (fields, rate) in best.items():
        print(f"best {name}: {fields:.3f} at {rate:.2e}")


if __name__ == "__main__":
    main()
