"""Configure, save, load and check LoRA adapters, and convert them to float16."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..errors import AdapterError
from ..files import file_sha256, replace_folder, save_json
from ..prompts import COMPACT, get_prompt
from ..workspace.profiles import Profile
from .base import base_sha256, class_name

# transformers 5.24 deprecates names that PEFT and TRL still call; a notebook user cannot act on the warning.
warnings.filterwarnings("ignore", "`((is_)?gradient_checkpointing|past_key_values)` is deprecated", FutureWarning)

# PEFT matches the whole module name. Bare names ("q_proj") would also adapt the vision tower.
LORA_TARGETS = r"model\.(language_model\.)?layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
RECORD = "irae_adapter.json"


def lora_config(*, rank: int = 16, alpha: int = 32, dropout: float = 0.05, rank_stabilised: bool = False):
    """LoRA on the seven projections of every language layer; the vision tower stays unchanged.

    `rank_stabilised` scales by alpha / sqrt(rank) instead of alpha / rank (rsLoRA, arXiv:2312.03732). At rank 16 that
    is a factor of four, which acts like a larger learning rate. It is off by default: at rehearsal size, each at its
    best learning rate, both give nearly equal field accuracy (`tests/tools/compare_rslora.py`: 0.943 and 0.942).
    """
    from peft import LoraConfig

    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        use_rslora=rank_stabilised,
        target_modules=LORA_TARGETS,
        task_type="CAUSAL_LM",
    )


def adapter_parameters(config, rank: int) -> int:
    """LoRA parameters of a Gemma 3 text configuration at `rank`: (in + out) x rank for each of seven projections.

    For MedGemma-4B at rank 16 this is 29,802,496: 119.2 MB in float32, 59.6 MB in 16 bits.
    """
    text = config.get_text_config()
    hidden, inner = text.hidden_size, text.intermediate_size
    queries, keys = text.num_attention_heads * text.head_dim, text.num_key_value_heads * text.head_dim
    attention = (hidden + queries) * 2 + (hidden + keys) * 2
    return rank * text.num_hidden_layers * (attention + 3 * (hidden + inner))


def check_language_only(model) -> tuple[int, int]:
    """Check that only LoRA weights of the language model are trainable; return (trainable, all) parameter counts.

    Raises:
        AdapterError: a vision, embedding or base weight is trainable, or no weight is.
    """
    trainable = {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}
    strange = [name for name in trainable if not re.search(LORA_TARGETS + r"\.lora_[AB]\.", name)]
    if strange or not trainable:
        what = strange[:3] or "nothing trainable"
        raise AdapterError(f"expected LoRA weights of the language model only, found {what}")
    return sum(trainable.values()), sum(p.numel() for p in model.parameters())


def adapter_record(
    profile: Profile, *, name: str, lora: dict[str, Any], data: Path, own_cases: int, **facts: Any
) -> dict[str, Any]:
    """The metadata stored with an adapter: base, prompt, settings, and the checksum of the training data.

    Args:
        lora: `rank`, `alpha` and `dropout`. data: the training file. own_cases: how many of its cases are the user's
            own; 04_push_adapter publishes none of those.
        facts: `learning_rate`, `seed`, `hardware`, `epochs`, `examples`; `push_to_hub` and `hub_model_id`, which 04
            reads; and, after training, `updates` and `minutes`.
    """
    return {
        "name": name,
        "profile": profile.name,
        "base_model": profile.base_model,
        "base_revision": profile.revision or None,
        "base_sha256": base_sha256(profile.base_model),
        "prompt": COMPACT.version,
        **lora,
        "push_to_hub": False,
        "hub_model_id": "",
        "data_sha256": file_sha256(data),
        "own_cases": own_cases,
        **facts,
    }


def save_adapter(
    model, folder: Path, record: dict[str, Any], *, weights: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Save the active adapter with its record; return the record with size and versions filled in.

    `weights` maps parameter names to trained weights, for a model that holds only a shard of each. The base is recorded
    by its portable name: PEFT alone would write an absolute path on this machine.
    """
    name = model.active_adapters[0] if isinstance(model.active_adapters, list) else model.active_adapter
    config = model.peft_config[name]
    config.base_model_name_or_path, config.revision = record["base_model"], record["base_revision"]
    # save_embedding_layers: "auto" may query the Hub, and a saved embedding of 262,000 rows takes 1.3 GB.
    model.save_pretrained(folder, selected_adapters=[name], save_embedding_layers=False, state_dict=weights)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
    packages = ("torch", "transformers", "peft", "trl", "datasets", "bitsandbytes")
    record = record | {
        "schema_version": 1,
        "auto_class": class_name(model.config),
        "adapter_bytes": (folder / "adapter_model.safetensors").stat().st_size,
        "versions": {name: version(name) for name in packages},
    }
    save_json(folder / RECORD, record)
    return record


def read_record(folder: Path) -> dict[str, Any]:
    """The record of an adapter folder.

    Raises:
        AdapterError: the folder has no record, or the record is not JSON.
    """
    path = Path(folder) / RECORD
    name = path.parent.name
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AdapterError(f"{name} holds no {RECORD}; expected an adapter folder written by 02_fine_tune") from None
    except json.JSONDecodeError as error:
        raise AdapterError(f"{RECORD} in {name} is not JSON: {error.msg}") from None


def load_adapters(base, base_model: str, folders: dict[str, Path]):
    """The base with named adapters attached, all frozen and in eval mode.

    Raises:
        AdapterError: an adapter was trained on another base, another commit of it or an unknown prompt, or its weights
            do not match its settings.
    """
    from peft import PeftModel

    model = base
    for name, folder in folders.items():
        check_belongs(read_record(folder), base_model, getattr(base, "base_revision", ""))
        if model is base:
            model = PeftModel.from_pretrained(base, folder, adapter_name=name)
        else:
            model.load_adapter(folder, adapter_name=name)
        _check_keys(model, Path(folder), name)
    return model.eval()


def _check_keys(model, folder: Path, name: str) -> None:
    """Refuse missing or unexpected adapter weights. PEFT only warns, and a missing weight would stay untrained."""
    from safetensors import safe_open

    with safe_open(folder / "adapter_model.safetensors", "pt") as file:
        stored = set(file.keys())
    mark = f".{name}."
    wanted = {key.replace(mark, ".") for key, _ in model.named_parameters() if ".lora_" in key and mark in key}
    if stored != wanted:
        raise AdapterError(
            f"adapter {name!r} does not fit its base: {len(stored - wanted)} weights have no matching layer, "
            f"{len(wanted - stored)} layers have no weights (e.g. {min(stored ^ wanted)})"
        )


def half_copy(folder: Path, out: Path) -> int:
    """Copy an adapter folder with float16 weights, for publishing where size matters; return the size in bytes.

    Raises:
        AdapterError: a weight exceeds the range of float16.
    """
    import torch
    from safetensors.torch import load_file, save_file

    weights = load_file(Path(folder) / "adapter_model.safetensors")
    half = {name: weight.to(torch.float16).contiguous() for name, weight in weights.items()}
    if not all(torch.isfinite(weight).all() for weight in half.values()):
        raise AdapterError(f"a weight of {Path(folder).name} does not fit into float16; publish the float32 adapter")
    with replace_folder(out) as copy:
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        save_file(half, copy / "adapter_model.safetensors", metadata={"format": "pt"})
        size = (copy / "adapter_model.safetensors").stat().st_size
        save_json(copy / RECORD, read_record(folder) | {"adapter_bytes": size})
    return size


def check_belongs(record: dict[str, Any], base_model: str, commit: str = "") -> None:
    """Refuse an adapter trained on another base, on another commit of it, or with an unknown prompt."""
    get_prompt(record["prompt"])
    trained = f"adapter {record.get('name', '')!r} was trained on"
    if record["base_model"] != base_model:
        raise AdapterError(f"{trained} {record['base_model']}, not on {base_model}")
    if commit and record["base_revision"] and commit != record["base_revision"]:
        raise AdapterError(f"{trained} {base_model} at commit {record['base_revision']}, not at {commit}")
    if record["base_sha256"] != base_sha256(base_model):
        raise AdapterError(f"{trained} other weights of {base_model}; retrain it (02_fine_tune)")
