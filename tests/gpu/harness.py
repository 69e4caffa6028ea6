"""Shared by the scripts of this folder: MedGemma's true size with random weights, rows of a given length, a log.

Weights say nothing here, shapes and dtypes do: 34 layers of 2,560, 262,208 tokens, a vision tower. Norms are set so that
the residual stream passes 65,504, as the real model's does. `TOY` runs the same code on the rehearsal base on a CPU.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch
from transformers import TrainerCallback

from irae_lib.files import save_json
from irae_lib.model.adapters import lora_config
from irae_lib.model.base import load_base, load_tokenizer
from irae_lib.synthesis.make_cases import make_cases
from irae_lib.training.callbacks import loss_curve
from irae_lib.training.memory import GIB
from irae_lib.training.rows import dataset, to_prompt_completion, token_lengths
from irae_lib.training.trainer import ResumableTrainer, prepare, sft_config
from irae_lib.workspace.profiles import PROFILES, REHEARSAL_BASE

T4_BYTES = 14.7 * GIB
SIZES = {
    "vocab_size": 262_208,
    "num_hidden_layers": 34,
    "hidden_size": 2560,
    "intermediate_size": 10240,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "sliding_window": 1024,
}
TOWER = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "image_size": 896,
    "patch_size": 14,
}
TOY = replace(PROFILES["t4"], base_model=REHEARSAL_BASE, compute_dtype="float32", four_bit=False)


class Log:
    """Results by name, printed and written at once: a later failure loses none of them."""

    def __init__(self, path: Path, **facts):
        self.path = path
        packages = ("torch", "transformers", "trl", "peft", "bitsandbytes")
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
        self.said = {"device": device, "versions": {name: version(name) for name in packages}} | facts

    def add(self, name: str, numbers: dict) -> None:
        """Keep one result."""
        self.said[name] = numbers
        print(name, json.dumps(numbers), flush=True)
        save_json(self.path, self.said)


def random_medgemma(tokenizer: Path) -> Path:
    """A folder with a model of MedGemma's shapes and random weights, made once, and the given tokenizer's files."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    folder = Path(tempfile.gettempdir(), "random-medgemma")
    if not (folder / "model.safetensors").exists():
        tokens = {"boi_token_index": 255_999, "eoi_token_index": 256_000, "image_token_index": 262_144}
        config = Gemma3Config(text_config=SIZES, vision_config=TOWER, mm_tokens_per_image=256, **tokens)
        torch.set_default_dtype(torch.bfloat16)
        try:
            with torch.device("cuda"):
                model = Gemma3ForConditionalGeneration(config)
        finally:
            torch.set_default_dtype(torch.float32)
        for name, weight in model.named_parameters():
            if "language_model" in name and "post_feedforward_layernorm" in name:
                weight.data.fill_(5000.0)
        model.save_pretrained(folder, max_shard_size="50GB")
        del model
        torch.cuda.empty_cache()
    for file in tokenizer.iterdir():
        if "token" in file.name or "template" in file.name:
            shutil.copy(file, folder)
    return folder


def as_on_a_t4() -> None:
    """Cap this process at a T4's memory and deny bfloat16; nothing on a machine without a GPU."""
    if torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(T4_BYTES / torch.cuda.get_device_properties(0).total_memory)
        torch.cuda.is_bf16_supported = lambda *args, **kwargs: False


def make_rows(tokenizer, *, n: int, tokens: int = 0) -> list[dict]:
    """Training rows of the generator; with `tokens`, each filled up to about so many."""
    cases = make_cases(n, pool="train", seed=7, prefix="bench", detail="short" if 0 < tokens <= 300 else "full")
    rows = [to_prompt_completion(case) for case in cases]
    for row, length in zip(rows, token_lengths(tokenizer, rows).values(), strict=True):
        row["prompt"] = copy.deepcopy(row["prompt"])
        row["prompt"][-1]["content"] += " x" * max(0, tokens - length - 8)
    return rows


def peak() -> dict[str, float]:
    """GiB reserved and allocated at most since the last call of `forget_peak`."""
    if not torch.cuda.is_available():
        return {}
    kinds = {"reserved": torch.cuda.max_memory_reserved(), "allocated": torch.cuda.max_memory_allocated()}
    return {f"peak_{kind}_gib": round(size / GIB, 2) for kind, size in kinds.items()}


def forget_peak() -> None:
    """Give cached memory back and start the peak anew."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def read_options(arguments: list[str] | None, description: str):
    """(options, profile): the command line of a script, and MedGemma's shapes on a T4, or the toy."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--tokenizer", type=Path, help="a folder with Gemma 3's tokenizer and a chat template")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--toy", action="store_true")
    options = parser.parse_args(arguments)
    if options.toy:
        return options, TOY
    return options, replace(PROFILES["t4"], base_model=str(random_medgemma(options.tokenizer)))


def load(profile):
    """(base, tokenizer) by the project's own loaders."""
    return load_base(profile), load_tokenizer(profile.base_model)


def train_ours(base, tokenizer, profile, rows, *, length: int, updates: int):
    """(bare base again, numbers) of some updates through our own settings and trainer; the first is not timed."""
    forget_peak()
    with tempfile.TemporaryDirectory() as folder:
        settings = sft_config(profile, Path(folder), epochs=1, learning_rate=2e-4, max_length=length, seed=7)
        trainer = ResumableTrainer(
            model=base,
            args=settings,
            train_dataset=dataset(rows[: updates * profile.batch_size]),
            processing_class=tokenizer,
            peft_config=lora_config(),
        )
        prepare(trainer, every_minutes=1e9)
        steps = _Clock()
        trainer.add_callback(steps)
        trainer.train()
    losses = [point["loss"] for point in loss_curve(trainer)]
    tokens = sum(len(row["input_ids"]) for row in trainer.train_dataset) * (updates - 1) / updates
    numbers = {"losses": losses, "seconds_per_update": round(steps.seconds / (updates - 1), 3)}
    numbers["tokens_per_second"] = round(tokens / steps.seconds)
    return trainer.model.unload(), numbers | peak() | {"division": str(trainer._divided())}


def train_original(folder, *, length: int, updates: int, toy: bool = False) -> dict:
    """Numbers of the recipe this project started from: float16 throughout, bare module names, whole logits, one row."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    forget_peak()
    where = {} if toy else {"dtype": torch.float16, "device_map": {"": 0}}
    model = AutoModelForImageTextToText.from_pretrained(folder, **where)
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules=names)).train()
    weights = [p for p in model.parameters() if p.requires_grad]
    for weight in weights:
        weight.data = weight.data.float()
    optimizer = torch.optim.AdamW(weights, lr=2e-4)
    device = model.device.type
    scaler = torch.amp.GradScaler(device, enabled=device == "cuda")
    ids = torch.randint(300, 4000, (1, length), device=model.device)
    kinds = {"attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    losses, began = [], 0.0
    for update in range(updates):
        if update == 1:
            began = time.monotonic()
        summed = 0.0
        for _ in range(4):
            with torch.autocast(device, torch.float16, enabled=device == "cuda"):
                loss = model(input_ids=ids, labels=ids, **kinds).loss / 4
            scaler.scale(loss).backward()
            summed += loss.item()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        losses.append(round(summed, 3))
    seconds = time.monotonic() - began
    rate = round(4 * length * (updates - 1) / seconds)
    return {"losses": losses, "tokens_per_second": rate} | peak()


class _Clock(TrainerCallback):
    """Seconds from the end of the first update to the end of the last: the first one warms kernels up."""

    def on_step_end(self, args, state, control, **kwargs):
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if state.global_step == 1:
            self.began = time.monotonic()
        self.seconds = time.monotonic() - self.began
