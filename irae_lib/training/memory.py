"""Estimate the memory and time of training in advance, and check that the device has enough memory.

The formulas follow the parts of a QLoRA step on Gemma 3: weights, adapter, gradients, optimizer, stored activations,
recomputation of one layer, and the loss head in tiles. With random weights at full size, under a cap of 14.7 GiB,
PyTorch reserved 5.24, 5.70 and 6.44 GiB for one row of 448, 1,024 and 2,048 tokens
(`data/reports/true_size_h200.json`); the estimate is 5 to 8 % higher. Training without checkpointing, and on a T4, was
not measured.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from ..model.adapters import adapter_parameters
from ..workspace.profiles import Profile

GIB = 2**30
MEDGEMMA_VISION = 416_900_000  # parameters of MedGemma's vision tower, for a text-only configuration
_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
# NF4 with double quantization: 4 bits, 8-bit scales per block of 64, float32 scales of those.
_NF4_BYTES = 4.127 / 8
# Memory that PyTorch reserves beyond its allocations, and memory of kernels loaded later. The CUDA context is not
# included: it already exists when free memory is read.
_FRAGMENTATION, _KERNELS = 1.10, 0.15 * GIB
# TRL 1.16 projects scored positions in tiles of 4,096 x 32,768 and recomputes them in the backward pass.
_HEAD_TILE = (4096, 32768)
# Seconds per 1,000 tokens of MedGemma-4B on a T4, from another project's published run (4.45 s per sequence of up to
# 2,048 tokens), not from ours.
_T4_SECONDS_PER_1000 = (3.0, 6.0)


class MemoryPart(NamedTuple):
    """One component of the training memory."""

    name: str
    bytes: float


class Estimate(NamedTuple):
    """Memory of one training step at `length` tokens, by part; `total` includes fragmentation and kernels."""

    length: int
    parts: tuple[MemoryPart, ...]

    @property
    def total(self) -> float:
        """Bytes on the device."""
        return sum(part.bytes for part in self.parts) * _FRAGMENTATION + _KERNELS


def estimate_memory(
    config: Any, profile: Profile, *, length: int, rank: int = 16, vision: int | None = None
) -> Estimate:
    """Device memory of one update of a profile on a Gemma 3 configuration, `profile.at_once` rows at a time.

    Args:
        config: the model's configuration. length: tokens of the longest row. rank: of the adapter.
        vision: parameters of the vision tower, loaded and frozen so that adapters fit everywhere; default: counted from
            the configuration, 0 for a text model.
    """
    text = config.get_text_config()
    width, step = _BYTES[profile.dtype], _BYTES[profile.compute_dtype]
    frozen = _NF4_BYTES if profile.four_bit else width
    vision = vision_parameters(config) if vision is None else vision
    hidden, inner, layers = text.hidden_size, text.intermediate_size, text.num_hidden_layers
    queries, keys = text.num_attention_heads * text.head_dim, text.num_key_value_heads * text.head_dim
    linear = layers * (hidden * (2 * queries + 2 * keys) + 3 * hidden * inner)
    embeddings = text.vocab_size * hidden
    adapter = adapter_parameters(config, rank)
    tokens = length * profile.rows_at_once
    again = 2 * tokens * (6 * hidden + 3 * (queries + keys) + 5 * inner) * step
    kept = tokens * layers * (hidden * 4 if profile.checkpointing else _kept_by_a_layer(text, step))
    head = min(tokens, _HEAD_TILE[0]) * min(text.vocab_size, _HEAD_TILE[1])
    return Estimate(
        length,
        (
            MemoryPart("language weights", linear * frozen),
            MemoryPart("vision weights (frozen)", vision * frozen),
            MemoryPart("embeddings", embeddings * width),
            MemoryPart("adapter and its gradients, float32", adapter * 8),
            MemoryPart("optimizer", adapter * (2 if profile.four_bit else 8)),
            MemoryPart("activations kept", kept),
            MemoryPart("one layer and its gradients", again),
            MemoryPart("loss head, one tile", head * (step + 4)),
        ),
    )


def _kept_by_a_layer(text: Any, step: int) -> int:
    """Bytes per token that one layer stores for the backward pass; derived from the operations, not measured.

    The inputs of the four norms and of the query and key norms, in float32; queries, keys, values and the attention
    output; the gate before and after its activation, and the up projection; for LoRA, the inputs of seven projections
    after dropout, and the one-byte dropout masks. Frozen weights store no input.
    """
    hidden, inner = text.hidden_size, text.intermediate_size
    queries, keys = text.num_attention_heads * text.head_dim, text.num_key_value_heads * text.head_dim
    norms = 4 * (4 * hidden + queries + keys)
    return norms + step * (4 * queries + 3 * inner) + (step + 1) * (5 * hidden + queries + inner)


def vision_parameters(config: Any) -> int:
    """Parameters of a model's vision tower and projector, counted without allocating them; 0 for a text model."""
    if not hasattr(config, "vision_config"):
        return 0
    import torch
    from transformers import AutoModel

    with torch.device("meta"):
        model = AutoModel.from_config(config)
    return sum(p.numel() for name, p in model.named_parameters() if not name.startswith("language_model."))


class Fit(NamedTuple):
    """Whether training fits on the device: `fits`, and a one-line reason, with the remedy if it does not."""

    fits: bool
    reason: str


def check_fit(estimates: list[Estimate], *, available: float, disk: Path) -> Fit:
    """Compare the longest estimate with `available` bytes on the device and the free bytes of `disk`.

    A checkpoint holds adapter and optimizer; the disk must fit two checkpoints and a third being written.
    """
    worst = max(estimates, key=lambda estimate: estimate.length)
    needs, has = worst.total / GIB, available / GIB
    parts = {part.name: part.bytes for part in worst.parts}
    written = 3 * (parts["adapter and its gradients, float32"] / 2 + parts["optimizer"]) / GIB
    disk = Path(disk).absolute()
    free = shutil.disk_usage(next(path for path in (disk, *disk.parents) if path.exists())).free / GIB
    if needs > has:
        remedy = "a lower rank, shorter notes, or a device with more memory"
        return Fit(False, f"needs about {needs:.1f} GiB at {worst.length} tokens, the device has {has:.1f}: {remedy}")
    if free < written:
        return Fit(False, f"needs {written:.2f} GiB of disk for checkpoints, {free:.2f} are free: remove old runs")
    return Fit(True, f"about {needs:.1f} of {has:.1f} GiB at {worst.length} tokens, {free:.0f} GiB of disk free")


def estimate_minutes(tokens: int, *, epochs: int) -> tuple[float, float]:
    """Minutes on a T4 with MedGemma-4B for rows of `tokens` tokens in total, as a range; not measured here."""
    return tuple(tokens * epochs / 1000 * seconds / 60 for seconds in _T4_SECONDS_PER_1000)


def available_memory() -> tuple[float, str]:
    """The bytes this process may use on the device, including those in use, and its name: CUDA memory or free RAM."""
    import torch

    if torch.cuda.is_available():
        return float(torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved()), torch.cuda.get_device_name()
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return 8.0 * GIB, "RAM"  # macOS: no such file; this number is small enough to warn early
    facts = dict(line.split(":") for line in meminfo.read_text(encoding="ascii").splitlines())
    return float(facts["MemAvailable"].split()[0]) * 1024, "RAM"


def t4_checklist(profile: Profile, facts: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Rows (claim, state, seen) of claims that only a T4 can prove; a run on a T4 fills in the state.

    Args:
        facts: `capability`, `lora_dtypes`, `losses`, `peak_bytes`, `estimate_bytes`, `seconds`, `tokens` of this run.
    """
    on_t4 = profile.name == "t4" and facts["capability"] == (7, 5)
    per_1000 = facts["seconds"] / facts["tokens"] * 1000 if facts["tokens"] else 0.0
    apart = facts["peak_bytes"] / facts["estimate_bytes"] - 1 if facts["peak_bytes"] else 0.0
    finite = all(map(math.isfinite, facts["losses"]))
    claims = [
        ("trains in float16 without NaN", finite, f"{len(facts['losses'])} updates"),
        ("LoRA weights stay float32", facts["lora_dtypes"] == {"float32"}, ", ".join(sorted(facts["lora_dtypes"]))),
        ("peak memory within 20 % of the estimate", abs(apart) <= 0.2, f"{apart:+.0%}" if facts["peak_bytes"] else "-"),
        ("peak memory under 14.7 GiB", facts["peak_bytes"] < 14.7 * GIB, f"{facts['peak_bytes'] / GIB:.1f} GiB"),
        ("3 to 6 s for 1,000 tokens", per_1000 <= 6, f"{per_1000:.2f} s"),
    ]
    return [(claim, ("yes" if holds else "NO") if on_t4 else "not on a T4", seen) for claim, holds, seen in claims]
