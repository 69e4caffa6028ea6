"""The last checkpoint of 02, made from the shipped adapter, so that the notebook resumes where its training ended."""

import json
import shutil
from pathlib import Path

from transformers import TrainerState

from irae_lib.files import DATA, file_sha256
from irae_lib.model.adapters import read_record
from irae_lib.model.base import load_tokenizer
from irae_lib.training.rows import fitting_length, read_training_file, token_lengths
from irae_lib.workspace.checkpoints import save_checkpoint
from irae_lib.workspace.profiles import choose_profile

ADAPTER = DATA / "rehearsal_adapter"


def finish_training(run: Path) -> None:
    """Put the checkpoint into a run that 01 has made at its defaults: 02 then loads it instead of training again.

    02 refuses it unless base, prompt, data, LoRA settings and schedule are those of the shipped adapter.
    """
    record, profile = read_record(ADAPTER), choose_profile("rehearsal")
    curves = json.loads((ADAPTER / "loss.json").read_text())
    data = run / "data" / "train.jsonl"
    rows = read_training_file(data) + read_training_file(run / "data" / "eleven.jsonl")
    longest = fitting_length(token_lengths(load_tokenizer(profile.base_model), rows))
    belongs = {
        "base": record["base_model"],
        "base_revision": "",
        "base_sha256": record["base_sha256"],
        "prompt": record["prompt"],
        "data_sha256": file_sha256(data),
        "lora": [record["rank"], record["alpha"], record["dropout"]],
        "schedule": [record["learning_rate"], record["epochs"], profile.batch_size, longest, record["seed"]],
    }
    updates = record["updates"]
    folder = run / "finished" / f"checkpoint-{updates}"
    shutil.copytree(ADAPTER, folder)
    history = [
        {"step": point["update"], "epoch": point["epoch"], name: point["loss"]}
        for name, curve in (("loss", curves["full"]), ("eval_loss", curves["held_out"]))
        for point in curve
    ]
    state = TrainerState(
        epoch=float(record["epochs"]),
        global_step=updates,
        max_steps=updates,
        train_batch_size=profile.batch_size,
        logging_steps=1,
        save_steps=50,
        log_history=history,
    )
    state.save_to_json(str(folder / "trainer_state.json"))
    root = run / "checkpoints" / "full"
    root.mkdir(parents=True)
    save_checkpoint(folder, root, belongs)
