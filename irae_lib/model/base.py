"""Load a base model and its tokenizer in the precision of a profile.

MedGemma and the rehearsal base are both `Gemma3ForConditionalGeneration`; text-only Gemma 3 uses its own class. Only
the tokenizer is loaded, not the processor: given a processor, TRL would take the image path.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import files
from ..errors import AdapterError, RunError
from ..files import file_sha256
from ..workspace import hub_access
from ..workspace.profiles import Profile

_GEMMA_IDS = {"<pad>": 0, "<eos>": 1, "<bos>": 2, "<start_of_turn>": 105, "<end_of_turn>": 106}
_GEMMA_TURNS = "<bos><start_of_turn>user\na<end_of_turn>\n<start_of_turn>model\nb<end_of_turn>\n"


def load_tokenizer(base_model: str, revision: str = ""):
    """The left-padded tokenizer of a base model (at a Hub commit, or the newest), checked by `check_tokenizer`."""
    from transformers import AutoTokenizer

    where = {"token": hub_access.find_token().value, "revision": revision or None}
    with hub_access.reading(base_model):
        tokenizer = AutoTokenizer.from_pretrained(hub_access.model_path(base_model), **where)
    tokenizer.padding_side = "left"
    check_tokenizer(tokenizer, base_model)
    return tokenizer


def check_tokenizer(tokenizer, base_model: str) -> None:
    """Refuse a tokenizer whose special tokens or chat template are not Gemma 3's.

    Raises:
        AdapterError: a special token has another id, or the template is missing or renders other turns.
    """
    if not tokenizer.chat_template:
        raise AdapterError(f"{base_model} has no chat template; use the instruction-tuned model (-it)")
    for token, wanted in _GEMMA_IDS.items():
        ids = tokenizer.encode(token, add_special_tokens=False)
        if ids != [wanted]:
            where = f"the tokenizer of {base_model}"
            raise AdapterError(f"{token} is {ids} in {where}; in a Gemma 3 tokenizer it is {wanted}")
    asked = [{"role": "user", "content": " a "}, {"role": "assistant", "content": "b"}]
    if tokenizer.apply_chat_template(asked, tokenize=False) != _GEMMA_TURNS:
        raise AdapterError(
            f"the chat template of {base_model} does not write Gemma 3's turns; adapters trained with it would not "
            "work elsewhere. Use the tokenizer that came with the model"
        )


def quantization(profile: Profile):
    """The quantization settings of a profile. 02 spells out the same settings line by line (tested)."""
    import torch
    from transformers import BitsAndBytesConfig

    if not profile.four_bit:
        return None
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, profile.compute_dtype),
        bnb_4bit_quant_storage=torch.bfloat16 if profile.dtype == "bfloat16" else torch.uint8,
    )


def load_base(profile: Profile, quantized=None):
    """The base model of a profile, in its precision and in eval mode; safetensors only, without remote code.

    `quantized` is a `BitsAndBytesConfig`; default: that of the profile, see `quantization`.
    """
    import torch
    import transformers

    hub_access.require_access(profile.base_model)
    options: dict[str, Any] = {"dtype": getattr(torch, profile.dtype)}  # the default is the checkpoint's bfloat16
    if profile.four_bit:
        options["quantization_config"] = quantized or quantization(profile)
    if torch.cuda.is_available() and (profile.four_bit or profile.dtype == "bfloat16"):
        options["device_map"] = {"": torch.cuda.current_device()}
    if profile.compute_dtype == "float16":
        keep_residual_in_float32()
        spare_the_math_kernel()
    where = {"token": hub_access.find_token().value, "revision": profile.revision or None}
    path = hub_access.model_path(profile.base_model)
    with hub_access.reading(profile.base_model):
        auto_class = getattr(transformers, class_name(transformers.AutoConfig.from_pretrained(path, **where)))
        model = auto_class.from_pretrained(path, use_safetensors=True, **where, **options)
    model.base_revision = profile.revision  # transformers 5.24 no longer records the loaded commit
    if profile.four_bit:
        check_four_bit(model, profile.compute_dtype)
    return model.eval()


def check_four_bit(model, compute_dtype: str) -> None:
    """Refuse a model without 4-bit layers, or whose 4-bit layers compute in a dtype other than `compute_dtype`.

    The configuration of an already quantized checkpoint silently overrides the profile's.

    Raises:
        RunError: names the dtypes present and the dtype expected.
    """
    found = {str(module.compute_dtype) for module in model.modules() if type(module).__name__ == "Linear4bit"}
    if found != {f"torch.{compute_dtype}"}:
        what = ", ".join(sorted(found)) or "no 4-bit layer"
        raise RunError(
            f"expected 4-bit layers that compute in {compute_dtype}, found {what}: use a base in full precision"
        )


def class_name(config) -> str:
    """The transformers auto class for a configuration, with or without a vision tower."""
    return "AutoModelForImageTextToText" if hasattr(config, "vision_config") else "AutoModelForCausalLM"


def spare_the_math_kernel() -> None:
    """On a T4, repeat keys and values before attention instead of using grouped-query attention, for this process.

    Below compute capability 8, grouped-query attention falls back to the slowest kernel. Others measured on a T4 that
    generation is 1.6 to 1.8 times faster without it (transformers pull request 45776).
    """
    import torch
    from transformers.integrations import sdpa_attention

    if torch.cuda.is_available() and torch.cuda.get_device_capability() < (8, 0):
        sdpa_attention.use_gqa_in_sdpa = lambda *args, **kwargs: False


def keep_residual_in_float32() -> None:
    """Make Gemma 3's norms return float32, for this process.

    The residual stream exceeds 65,504, the largest float16, in most layers; the matrix products stay far below.
    Under float16 autocast the stock norm would cast its output back to float16, and the sum would overflow to NaN.
    """
    from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm

    def forward(self, x):
        return self._norm(x.float()) * (1.0 + self.weight.float())

    Gemma3RMSNorm.forward = forward


def largest_residual(model, ids: Sequence[int]) -> float:
    """The largest absolute value in the residual stream, over all layers and tokens, when a model reads `ids`."""
    import torch

    layers = [module for name, module in model.named_modules() if name.endswith("layers") and "vision" not in name]
    seen: list[float] = []

    def look(module, inputs, output) -> None:
        state = output[0] if isinstance(output, tuple) else output
        seen.append(float(state.detach().abs().max()))

    hooks = [layer.register_forward_hook(look) for layer in layers[0]]
    try:
        with torch.inference_mode():
            model(input_ids=torch.tensor([list(ids)], device=model.device), logits_to_keep=1)
    finally:
        for hook in hooks:
            hook.remove()
    return max(seen)


def base_sha256(base_model: str) -> str | None:
    """SHA-256 of a local base's weights; None for a Hub model, which its revision identifies."""
    return file_sha256(files.ROOT / base_model / "model.safetensors") if hub_access.is_local(base_model) else None
