"""Load base models and adapters: class, precision, LoRA targets, and the checks that they belong together.

MedGemma and the rehearsal base are both `Gemma3ForConditionalGeneration`; nothing here asks which of the two
it has. The tokenizer is loaded, never the processor: with a processor TRL would take the image path.
"""

from __future__ import annotations

import json
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import runtime
from .cases import file_sha256, write_text
from .prompts import get_prompt, messages
from .runtime import Profile
from .schemas import AdapterError, Case

# transformers 5.24 announces new names for these, which PEFT and TRL call; the reader of a notebook can do nothing.
warnings.filterwarnings("ignore", message="`(is_)?gradient_checkpointing` is deprecated", category=FutureWarning)

# PEFT matches the whole module name. Bare names ("q_proj") would also adapt the vision tower.
LORA_TARGETS = r"model\.language_model\.layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
RECORD = "irae_adapter.json"


def load_tokenizer(base_model: str):
    """The tokenizer of a base model, left-padded, after checking that it is Gemma's kind.

    Raises:
        AdapterError: no chat template, or the turn tokens are not single tokens.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(runtime.model_path(base_model), token=runtime.find_token().value)
    tokenizer.padding_side = "left"
    if not tokenizer.chat_template:
        raise AdapterError(f"{base_model} has no chat template; use the instruction-tuned model (-it)")
    for turn in ("<start_of_turn>", "<end_of_turn>"):
        if len(tokenizer.encode(turn, add_special_tokens=False)) != 1:
            raise AdapterError(
                f"{turn} is not one token in the tokenizer of {base_model}; expected a Gemma 3 tokenizer"
            )
    return tokenizer


def load_base(profile: Profile):
    """The base model of a profile in eval mode, in the profile's precision, safetensors only, no remote code."""
    import torch
    from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

    runtime.require_access(profile.base_model)
    options: dict[str, Any] = {"dtype": getattr(torch, profile.dtype)}  # the default would be the checkpoint's bfloat16
    if profile.four_bit:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, profile.compute_dtype),
        )
        options["device_map"] = {"": 0} if torch.cuda.is_available() else "cpu"
    if profile.compute_dtype == "float16":
        keep_residual_in_float32()
    model = AutoModelForImageTextToText.from_pretrained(
        runtime.model_path(profile.base_model), token=runtime.find_token().value, use_safetensors=True, **options
    )
    return model.eval()


def keep_residual_in_float32() -> None:
    """Make Gemma 3's norms return float32, for this process.

    The residual stream passes 65,504, the largest float16, in most layers; the matrix products stay far below.
    Under float16 autocast the stock norm would cast its output back down and the sum would overflow to NaN.
    """
    from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm

    def forward(self, x):
        return self._norm(x.float()) * (1.0 + self.weight.float())

    Gemma3RMSNorm.forward = forward


def stop_ids(tokenizer) -> list[int]:
    """Both ends of an answer: Gemma ends a turn with <end_of_turn> and a document with <eos>."""
    return [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<end_of_turn>")]


def lora_config(*, rank: int = 16, alpha: int = 32, dropout: float = 0.05):
    """LoRA on the seven projections of every language layer; the vision tower stays as it is."""
    from peft import LoraConfig

    return LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=LORA_TARGETS, task_type="CAUSAL_LM"
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
    """(trainable, all) parameters, after checking that LoRA on the language model and nothing else trains.

    Raises:
        AdapterError: a vision, embedding or base weight would be trained, or nothing would.
    """
    trainable = {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}
    strange = [name for name in trainable if "lora_" not in name or "language_model" not in name]
    if strange or not trainable:
        raise AdapterError(
            f"expected LoRA weights of the language model only, found {strange[:3] or 'nothing trainable'}"
        )
    return sum(trainable.values()), sum(p.numel() for p in model.parameters())


# --- adapters on disk -----------------------------------------------------------------------------------


def base_sha256(base_model: str) -> str | None:
    """SHA-256 of a local base's weights; None for a Hub model, whose revision says the same."""
    return file_sha256(runtime.ROOT / base_model / "model.safetensors") if runtime.is_local(base_model) else None


def save_adapter(model, folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Save the active adapter with its record; returns the record with size and versions filled in.

    The base is recorded by its portable name: PEFT alone would write the absolute path of this machine.
    """
    name = model.active_adapters[0] if isinstance(model.active_adapters, list) else model.active_adapter
    config = model.peft_config[name]
    config.base_model_name_or_path, config.revision = record["base_model"], record["base_revision"]
    # save_embedding_layers: "auto" may ask the Hub, and a saved embedding of 262,000 rows weighs 1.3 GB.
    model.save_pretrained(folder, selected_adapters=[name], save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's stub card says nothing true about this adapter
    size = (folder / "adapter_model.safetensors").stat().st_size
    packages = ("torch", "transformers", "peft", "trl", "datasets", "bitsandbytes")
    record = record | {
        "schema_version": 1,
        "adapter_bytes": size,
        "versions": {name: version(name) for name in packages},
    }
    write_text(folder / RECORD, json.dumps(record, indent=1) + "\n")
    return record


def read_record(folder: Path) -> dict[str, Any]:
    """The record of an adapter folder.

    Raises:
        AdapterError: the folder has no record or it is not JSON.
    """
    try:
        return json.loads((Path(folder) / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AdapterError(
            f"{Path(folder).name} holds no {RECORD}; expected an adapter folder written by 02_fine_tune"
        ) from None
    except json.JSONDecodeError as error:
        raise AdapterError(f"{RECORD} in {Path(folder).name} is not JSON: {error.msg}") from None


def load_adapters(base, base_model: str, folders: dict[str, Path]):
    """The base with named adapters attached, frozen; `use(model, name)` chooses one.

    Raises:
        AdapterError: an adapter was made for another base, or with a prompt this library does not have.
    """
    from peft import PeftModel

    model = None
    for name, folder in folders.items():
        check_belongs(read_record(folder), base_model)
        if model is None:
            model = PeftModel.from_pretrained(base, folder, adapter_name=name)
        else:
            model.load_adapter(folder, adapter_name=name)
    return (model if model is not None else base).eval()


def check_belongs(record: dict[str, Any], base_model: str) -> None:
    """Refuse an adapter that was trained on another base or with an unknown prompt."""
    get_prompt(record["prompt"])
    if record["base_model"] != base_model:
        raise AdapterError(f"adapter {record['name']!r} was trained on {record['base_model']}, not on {base_model}")
    if record["base_sha256"] != base_sha256(base_model):
        raise AdapterError(
            f"adapter {record['name']!r} was trained on other weights of {base_model}; retrain it (02_fine_tune)"
        )


def next_token_logits(model, tokenizer, case: Case, prompt) -> Any:
    """Logits (vocabulary,), float32, of the first answer token: a fingerprint to compare two loaded models by."""
    import torch

    text = tokenizer.apply_chat_template(messages(case, prompt), add_generation_prompt=True, tokenize=False)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").to(model.device)
    with torch.no_grad():
        return model(**ids).logits[0, -1].float().cpu()
