"""What helps the small Gemma: rows, learning rate, epochs, prompt, short answers; on the calibration split alone.

    python tests/tools/ablate_gemma.py --run-dir runs/NAME --out data/reports/gemma_ablations.json

Trains on the first rows of a run's training file, answers its calibration split, and writes each setting at once with
fields right, interval and n; settings that are written already are not run again. The run's own adapter and its base
are asked as well. Test and outside cases are never read, so that a choice made here is not made on them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from transformers import set_seed

from irae_lib.cases import read_cases
from irae_lib.evaluation.scoring import grade_answers, summarize
from irae_lib.files import save_json
from irae_lib.model.adapters import load_adapters, lora_config
from irae_lib.model.base import load_base, load_tokenizer
from irae_lib.model.generate import answer_all
from irae_lib.prompts import COMPACT, GUIDED
from irae_lib.training.callbacks import loss_curve
from irae_lib.training.rows import dataset, fitting_length, read_training_file, token_lengths
from irae_lib.training.trainer import ResumableTrainer, prepare, sft_config
from irae_lib.workspace.profiles import choose_profile

# name -> rows, epochs, learning rate; the run itself is 200 rows and the eleven, one epoch, 5e-4.
TRAINED = {
    "60 rows": (60, 1, 5e-4),
    "60 rows, rate 1e-3": (60, 1, 1e-3),
    "60 rows, rate 2e-4": (60, 1, 2e-4),
    "60 rows, 2 epochs": (60, 2, 5e-4),
}
ASKED = {
    "base, compact prompt": ("base", {}),
    "base, guided prompt": ("base", {"prompt": GUIDED}),
    "base, labels alone": ("base", {"short": True}),
    "212 rows (the run's adapter)": ("full", {}),
    "212 rows (the run's adapter), labels alone": ("full", {"short": True}),
}


class Ablation:
    """The settings of one run, asked one by one; `out` holds what is known."""

    def __init__(self, run: Path, out: Path):
        self.run, self.out, self.profile = run, out, choose_profile("gemma")
        self.tokenizer = load_tokenizer(self.profile.base_model)
        self.cases = read_cases(run / "data" / "calibration_cases.jsonl")
        self.known = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}

    def asked(self, name: str, model, **options) -> None:
        """Ask the calibration split once."""
        began = time.monotonic()
        notes, how = [case.case for case in self.cases], {"prompt": COMPACT, **options}
        how |= {"batch_size": self.profile.decode_batch, "max_new_tokens": self.profile.max_new_tokens}
        graded = grade_answers(self.cases, answer_all(model, self.tokenizer, notes, label=name, **how))
        arm = summarize(self.cases, graded, stage="raw")
        self.known.setdefault(name, {})
        self.known[name] |= {
            "n": arm.n,
            "field_accuracy": arm.field_accuracy,
            "field_accuracy_interval": arm.model_dump(mode="json")["field_accuracy_interval"],
            "seconds_a_note": round((time.monotonic() - began) / len(notes), 1),
        }
        save_json(self.out, self.known)
        print(name, json.dumps(self.known[name]), flush=True)

    def trained(self, name: str, rows: int, epochs: int, rate: float) -> None:
        """Train on the first `rows` rows, then ask."""
        file = read_training_file(self.run / "data" / "train.jsonl")[:rows]
        longest = fitting_length(token_lengths(self.tokenizer, file))
        set_seed(7)
        with tempfile.TemporaryDirectory() as folder:
            how = {"epochs": epochs, "learning_rate": rate, "max_length": longest, "seed": 7}
            trainer = ResumableTrainer(
                model=load_base(self.profile),
                args=sft_config(self.profile, Path(folder), **how),
                train_dataset=dataset(file),
                processing_class=self.tokenizer,
                peft_config=lora_config(),
            )
            prepare(trainer, every_minutes=1e9)
            trainer.train()
        losses = [point["loss"] for point in loss_curve(trainer)]
        self.known[name] = {"updates": len(losses), "first_loss": losses[0], "last_loss": losses[-1]}
        self.asked(name, trainer.model.eval())


def main() -> None:
    """Run what `--only` names, or all that is not written yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[*ASKED, *TRAINED])
    options = parser.parse_args()
    ablation = Ablation(options.run_dir, options.out)
    left = [name for name in options.only if name not in ablation.known]
    if set(left) & set(ASKED):
        adapters = {"full": options.run_dir / "adapters" / "full"}
        model = load_adapters(load_base(ablation.profile), ablation.profile.base_model, adapters)
        for name in (name for name in left if name in ASKED):
            arm, how = ASKED[name]
            if arm == "base":
                with model.disable_adapter():
                    ablation.asked(name, model, **how)
            else:
                ablation.asked(name, model, **how)
    for name in (name for name in left if name in TRAINED):
        ablation.trained(name, *TRAINED[name])


if __name__ == "__main__":
    main()
