"""One recipe: what 02 writes out line by line is what the library uses, and what is stored gives the same again."""

import json
from pathlib import Path

import pytest
from labels import PROFILE, ROWS
from notebook_files import ROOT, code_cells

from irae_lib.model import base
from irae_lib.model.adapters import LORA_TARGETS, lora_config
from irae_lib.model.base import largest_residual, load_base, load_tokenizer
from irae_lib.training import trainer
from irae_lib.training.rows import dataset
from irae_lib.workspace.profiles import PROFILES, REHEARSAL_BASE

CELLS = [cell.source for cell in code_cells(ROOT / "notebooks" / "02_fine_tune.ipynb")]


def run_cell(start: str, **names) -> dict:
    (source,) = [source for source in CELLS if start in source]
    exec(source, names)
    return names


@pytest.mark.parametrize("name", ["t4", "gpu"])
def test_quantization_is_the_one_written_out(name):
    given = []
    load = {"load_base": lambda profile, quantized: given.append(quantized)}
    run_cell("quantization = BitsAndBytesConfig(", chosen=PROFILES[name], **load)
    assert given[0].to_dict() == base.quantization(PROFILES[name]).to_dict()


def test_lora_is_the_one_written_out():
    names = run_cell("lora = LoraConfig(", rank=16, alpha=32, dropout=0.05)
    assert names["lora"].to_dict() == lora_config().to_dict()
    assert names["LORA_TARGETS"] == LORA_TARGETS


@pytest.mark.parametrize("name", [*PROFILES])
def test_training_is_the_one_written_out(name, monkeypatch):
    monkeypatch.setattr(trainer, "Settings", dict)
    profile = PROFILES[name]
    names = run_cell("def settings(", learning_rate=0.0, chosen=profile, max_length=512, seed=7)
    written = names["settings"](Path("x"), 3, profile.batch_size)
    ours = trainer.sft_config(profile, Path("x"), epochs=3, learning_rate=profile.learning_rate, max_length=512, seed=7)
    assert written == {key: value for key, value in ours.items() if not key.startswith("save")}


@pytest.mark.filterwarnings("ignore")
def test_what_is_stored_gives_the_same_trainer_again(tmp_path):
    from peft import LoraConfig

    settings = trainer.sft_config(PROFILE, tmp_path, epochs=2, learning_rate=1e-3, max_length=768, seed=5)
    first = trainer.ResumableTrainer(
        model=load_base(PROFILE),
        args=settings,
        train_dataset=dataset(ROWS),
        processing_class=load_tokenizer(REHEARSAL_BASE),
        peft_config=lora_config(rank=8, alpha=24),
    )
    stored = json.loads(json.dumps(trainer.recipe(first)))
    assert str(tmp_path) not in json.dumps(stored)
    assert stored["training"]["learning_rate"] == 1e-3
    assert not {"fp16", "optim", "at_once"} & set(stored["training"]), "another machine has its own"
    machine = trainer.machine_settings(PROFILE)
    again = trainer.Settings(output_dir=settings.output_dir, **stored["training"], **machine)
    assert again.to_dict() == settings.to_dict()
    lora = LoraConfig(**stored["lora"])
    assert (lora.r, lora.lora_alpha, lora.target_modules) == (8, 24, LORA_TARGETS)


def test_the_largest_residual_is_seen_in_every_layer():
    import torch

    model = load_base(PROFILE)
    usual = largest_residual(model, [2, 105, 300, 301])
    assert 0 < usual < 65_504
    with torch.no_grad():
        model.model.language_model.layers[1].post_feedforward_layernorm.weight.fill_(3e4)
    assert largest_residual(model, [2, 105, 300, 301]) > 65_504
    assert not model.model.language_model.layers[0]._forward_hooks
