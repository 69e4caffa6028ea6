"""Profiles: base model, precision and amounts of data for each kind of machine.

Every choice comes with its reason, so that a notebook can print it. Standard library at import; torch is imported only
to look for a GPU.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from ..errors import RunError

REHEARSAL_BASE = "data/rehearsal_base"
SMALL_GEMMA = "cache/gemma-3-270m"  # unpacked by small_gemma.py
MEDGEMMA = "google/medgemma-4b-it"


@dataclass(frozen=True)
class Profile:
    """One way to run everything: base model, precision, amounts of data, training schedule.

    `revision` is the commit of a Hub repository that is read, "" for its newest (`pinned` says which that is).
    `note_detail` is "full", or "short" for notes a very small model can read. A sixth of `train_cases` are sides of
    minimal pairs. `contrast_pairs` counts pairs, so twice as many notes.
    `held_out_rows` are read for the loss beside the training loss. `outside_cases` are asked of those from elsewhere,
    `probes` changed notes of each kind.
    `dtype` is the dtype weights are loaded in; `four_bit` says whether the linear layers are NF4. `eleven_copies`
    says how often the full training file holds the eleven validated cases.
    An update reads `batch_size` rows, `at_once` of them through the model together (0: all), with or without
    `checkpointing` of activations: the last two change time and memory, not the result (`training.micro_batch` chooses
    them). `grouped`: rows of one update are of like length. Units: learning rates per update, `max_new_tokens` in
    tokens, batch sizes in cases.
    """

    name: str
    base_model: str
    revision: str = ""
    reason: str = ""
    dtype: str = "float32"
    compute_dtype: str = "float32"
    four_bit: bool = False
    note_detail: str = "full"
    train_cases: int = 1000
    eleven_copies: int = 1
    calibration_cases: int = 150
    test_cases: int = 300
    contrast_pairs: int = 100
    epochs: int = 3
    batch_size: int = 4
    at_once: int = 1
    checkpointing: bool = False
    grouped: bool = False
    learning_rate: float = 2e-4
    decode_batch: int = 16
    max_new_tokens: int = 512
    held_out_rows: int = 32
    outside_cases: int = 176
    probes: int = 20

    @property
    def is_rehearsal(self) -> bool:
        """True on the rehearsal base: numbers prove the pipeline, not a model."""
        return self.base_model == REHEARSAL_BASE


# The rehearsal base is 3,000 times smaller than MedGemma and wants short notes and a larger learning rate. It has met
# few words outside the generator's, so it needs the eleven hand-written notes many times an epoch to hold them.
_REHEARSAL = Profile(
    "rehearsal",
    REHEARSAL_BASE,
    note_detail="short",
    eleven_copies=12,
    batch_size=8,
    at_once=0,
    learning_rate=1.5e-3,
    decode_batch=64,
    max_new_tokens=320,
    outside_cases=0,
)
_ON_TWO_CORES = {"train_cases": 200, "calibration_cases": 24, "test_cases": 64, "contrast_pairs": 6, "epochs": 1}
_ON_TWO_CORES |= {"outside_cases": 64, "probes": 0, "held_out_rows": 8}
_SMOKE = {"train_cases": 24, "calibration_cases": 12, "test_cases": 12, "contrast_pairs": 6}
_ON_A_GPU = {"four_bit": True, "checkpointing": True, "grouped": True, "decode_batch": 64}
PROFILES = {
    "rehearsal": _REHEARSAL,
    "smoke": replace(_REHEARSAL, name="smoke", eleven_copies=1, epochs=1, **_SMOKE),
    # On a GPU all rows, three epochs; two cores have time for a fifth (`_fitted`).
    "gemma": Profile("gemma", SMALL_GEMMA, learning_rate=5e-4),
    # Below compute capability 8 there is no bfloat16: fp16 matmuls, everything else (residual stream) float32.
    "t4": Profile("t4", MEDGEMMA, dtype="float32", compute_dtype="float16", **_ON_A_GPU),
    "gpu": Profile("gpu", MEDGEMMA, dtype="bfloat16", compute_dtype="bfloat16", **_ON_A_GPU),
}


def choose_profile(name: str = "auto", base_model: str = "") -> Profile:
    """The profile called `name`, with the reason for it; `auto` looks at what is there.

    IRAE_PROFILE in the environment decides what `auto` means (tests and CI use it). A given `base_model`
    replaces the profile's own and nothing else.

    Raises:
        RunError: no such profile; a GPU profile on a machine without CUDA.
    """
    reason = "asked for"
    if name == "auto":
        name, reason = os.environ.get("IRAE_PROFILE") or "auto", "IRAE_PROFILE asks for it"
    capability, device = _cuda()
    if name == "auto" and capability is None:
        name, reason = "rehearsal", "no CUDA device here: float32 on the CPU"
    elif name == "auto":
        reason = f"{device} has compute capability {capability[0]}.{capability[1]}"
        old = capability < (8, 0)
        name, reason = ("t4", f"{reason}, below 8: no bfloat16") if old else ("gpu", f"{reason}: bfloat16")
    if name not in PROFILES:
        raise RunError(f"profile {name!r} is not known; choose auto, {', '.join(PROFILES)}")
    if name in ("t4", "gpu") and capability is None:
        raise RunError(
            f"profile {name!r} needs a CUDA device and there is none; use rehearsal, or a machine with a GPU"
        )
    profile = replace(PROFILES[name], reason=reason)
    if name == "gemma":
        profile = _fitted(profile, capability)
    return replace(profile, base_model=base_model) if base_model else profile


def _fitted(gemma: Profile, capability: tuple[int, int] | None) -> Profile:
    """The small Gemma fits any machine; what changes is how much work there is time for, and the precision."""
    if capability is None:
        return replace(gemma, reason=f"{gemma.reason}; no GPU, so a fifth of the notes and one epoch", **_ON_TWO_CORES)
    kind = PROFILES["t4" if capability < (8, 0) else "gpu"]
    many = {"batch_size": 16, "at_once": 16, "grouped": True, "learning_rate": 1e-3, "decode_batch": 64}
    return replace(gemma, dtype=kind.dtype, compute_dtype=kind.compute_dtype, **many)


def _cuda() -> tuple[tuple[int, int] | None, str]:
    try:
        import torch
    except ImportError:
        return None, ""
    if not torch.cuda.is_available():
        return None, ""
    # Never is_bf16_supported(): it answers True on a T4, where bfloat16 is emulated.
    return torch.cuda.get_device_capability(), torch.cuda.get_device_name()
