"""Kill a training run at random moments and go on: no run is lost, none ends elsewhere.

    python tests/tools/kill_resume.py --kills 20

A small training on the rehearsal base writes a checkpoint after every update. A child process does the training; this
one kills it (SIGKILL) at random moments, also while a checkpoint is being written, and starts it again, until the run
is over. Its final weights must be those of a run that nobody disturbed, bit by bit. Last line: `resumed N of N`.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
UPDATES_PER_KILL = 6


def train(folder: Path, updates: int) -> None:
    """One life of the child: find a checkpoint, go on, save the adapter at the end."""
    from dataclasses import replace

    from transformers import set_seed

    from irae_lib.model.adapters import lora_config
    from irae_lib.model.base import load_base, load_tokenizer
    from irae_lib.synthesis.make_cases import make_cases
    from irae_lib.training.rows import dataset, to_prompt_completion
    from irae_lib.training.trainer import ResumableTrainer, prepare, sft_config
    from irae_lib.workspace.profiles import choose_profile

    profile = replace(choose_profile("rehearsal"), batch_size=2)
    cases = make_cases(2 * updates, pool="train", seed=1, prefix="kill", detail="short")
    rows = [to_prompt_completion(case) for case in cases]
    set_seed(7)
    tokenizer = load_tokenizer(profile.base_model)
    args = sft_config(profile, folder / "checkpoints", epochs=1, learning_rate=1e-3, max_length=512, seed=7)
    trainer = ResumableTrainer(
        model=load_base(profile),
        args=args,
        train_dataset=dataset(rows),
        processing_class=tokenizer,
        peft_config=lora_config(rank=16, alpha=32, dropout=0.05),
    )
    trainer.belongs = {"test": "kill_resume", "updates": updates}
    prepare(trainer, every_minutes=0.0)
    found = trainer.find_checkpoint()
    for line in found.skipped:
        print(line, flush=True)
    print(f"from {found.step}", flush=True)
    trainer.train(resume_from_checkpoint=str(found.folder) if found.folder else None)
    trainer.model.save_pretrained(folder / "final", save_embedding_layers=False)
    print("finished", flush=True)


def life(folder: Path, updates: int, log: Path, kill_after: float | None) -> bool:
    """Start a child and kill it `kill_after` seconds after it began to train; True when it finished by itself."""
    command = [sys.executable, __file__, "--child", str(folder), "--updates", str(updates)]
    environment = os.environ | {"TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    with log.open("w") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment, cwd=ROOT)
        while child.poll() is None and "from " not in log.read_text():
            time.sleep(0.02)
        if kill_after is not None:
            try:
                child.wait(kill_after)
            except subprocess.TimeoutExpired:
                child.kill()
        child.wait()
    said = log.read_text()
    if child.returncode not in (0, -9):
        raise SystemExit(f"the child failed by itself:\n{said[-2000:]}")
    return "finished" in said


def weights(folder: Path) -> dict:
    """The adapter a run ended with."""
    from safetensors.torch import load_file

    return load_file(folder / "final" / "adapter_model.safetensors")


def main() -> None:
    """Run undisturbed once, then with kills, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", default="")
    parser.add_argument("--updates", type=int, default=0)
    options = parser.parse_args()
    if options.child:
        train(Path(options.child), options.updates)
        return
    import torch

    updates = UPDATES_PER_KILL * options.kills + 4
    rng = random.Random(options.seed)
    root = Path(tempfile.mkdtemp(prefix="kill_resume_"))
    whole, broken, log = root / "whole", root / "broken", root / "log"
    began = time.monotonic()
    assert life(whole, updates, log, None)
    print(f"undisturbed: {updates} updates in {time.monotonic() - began:.0f} s", flush=True)
    resumed = kills = writing = 0
    finished = False
    while not finished:
        finished = life(broken, updates, log, rng.uniform(0.05, 1.5) if kills < options.kills else None)
        said = log.read_text()
        start = int(said.split("from ")[-1].split()[0])
        resumed += kills > 0
        if not finished:
            kills += 1
            torn = (broken / "checkpoints" / ".writing").exists()
            writing += torn
            print(
                f"kill {kills}: went on from update {start}{', while a checkpoint was written' if torn else ''}",
                flush=True,
            )
    same = all(torch.equal(a, b) for a, b in zip(weights(whole).values(), weights(broken).values(), strict=True))
    print(f"{writing} of {kills} kills came while a checkpoint was being written; same final weights: {same}")
    print(f"resumed {resumed} of {kills}")
    shutil.rmtree(root, ignore_errors=True)
    sys.exit(0 if same and resumed == kills == options.kills else 1)


if __name__ == "__main__":
    main()
