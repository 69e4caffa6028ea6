"""Merge base and adapter into an ordinary checkpoint, for servers that cannot load an adapter.

The merged model is as large as the base (8.6 GB for MedGemma-4B in 16 bits). It is verified: after reloading, it must
grade the eleven validated cases as base and adapter do.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from ..cases import validated_cases
from ..errors import AdapterError, RunError
from ..evaluation.scoring import grade_answers
from ..files import file_sha256, replace_folder, save_json
from ..model.adapters import RECORD, read_record
from ..model.loaded import LoadedModel
from ..workspace.profiles import Profile


def merge(adapter: Path, out: Path, profile: Profile, *, text_only: bool = False) -> int:
    """Write base and adapter as one checkpoint to `out` (complete or absent); returns how many validated cases pass.

    The weights are read unquantized, in the profile's dtype, and keep it. `out` also gets the tokenizer and a record of
    the merge. `text_only` omits the vision tower (`Gemma3ForCausalLM`), since a server would otherwise require an image
    processor.

    Raises:
        AdapterError: the profile computes in float16, the adapter is of another base, or the merged model grades the
            eleven differently.
        RunError: not enough free disk.
    """
    adapter, out = Path(adapter), Path(out)
    if profile.compute_dtype == "float16":
        raise AdapterError(
            f"profile {profile.name} has no dtype to merge in: Gemma 3 overflows float16, and float32 is twice the "
            "size. Merge on a machine with bfloat16 (profile gpu)"
        )
    profile = replace(profile, four_bit=False)  # merging from 4 bits would bake in the rounding errors
    record, cases = read_record(adapter), validated_cases()
    loaded = LoadedModel(profile, {"merged": adapter})
    before = _grades(loaded, cases, "merged")
    model = loaded.model.merge_and_unload()
    if text_only and hasattr(model.model, "language_model"):
        model = _language_model(model)
    needs = sum(p.numel() * p.element_size() for p in model.parameters())
    out.parent.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(out.parent).free) < 1.2 * needs:
        raise RunError(f"the merged model needs {needs / 1e9:.1f} GB of disk, {free / 1e9:.1f} GB are free")
    with replace_folder(out) as aside:
        model.save_pretrained(aside)
        loaded.tokenizer.save_pretrained(aside)
        merged = record | {"merged_from": file_sha256(adapter / "adapter_model.safetensors"), "dtype": profile.dtype}
        save_json(aside / RECORD, merged)
        del model, loaded  # fit one model of this size in memory, not two
        alone = LoadedModel(replace(profile, base_model=str(aside.resolve()), revision=""))
        after = _grades(alone, cases, "base")
        if [graded.raw for graded in after] != [graded.raw for graded in before]:
            raise AdapterError("the merged model grades the validated cases differently; it is not saved")
    return sum(graded.raw.passed for graded in after)


def _language_model(model):
    """The language part of a Gemma 3 as a separate model that shares its weights."""
    from accelerate import init_empty_weights
    from transformers import Gemma3ForCausalLM

    with init_empty_weights(include_buffers=False):
        alone = Gemma3ForCausalLM(model.config.get_text_config())
    alone.model, alone.lm_head = model.model.language_model, model.lm_head
    alone.generation_config = model.generation_config
    return alone


def _grades(loaded: LoadedModel, cases, arm: str):
    return grade_answers(cases, loaded.answer([case.case for case in cases], arm, label="the eleven"))
