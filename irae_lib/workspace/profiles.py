"""Profiles: base model, precision and data sizes for each kind of machine.

Every choice comes with its reason, which a notebook can print. Imports only the standard library; torch is imported
only to look for a GPU.
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
    """Settings of a run: base model, precision, data sizes, training schedule.

    `revision` is the commit to read from a Hub repository, "" for its newest (`pinned` resolves it).
    `note_detail` is "full", or "short" for notes a very small model can read. A sixth of `train_cases` are sides of
    minimal pairs. `contrast_pairs` counts pairs, so twice as many notes.
    `held_out_rows` is the number of rows for the held-out loss. `outside_cases` is the number of external cases to
    ask, and `probes` the number of changed notes of each kind.
    `dtype` is the dtype weights are loaded in; `four_bit` says whether the linear layers are NF4. `eleven_copies` is
    the number of copies of the eleven validated cases in the full training file.
    An update reads `batch_size` rows, `at_once` of them through the model together (0: all), with or without
    activation `checkpointing`. These two change time and memory, not the result (`training.micro_batch` chooses
    them). `grouped` puts rows of similar length in one update. Units: learning rates per update, `max_new_tokens` in
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
    def rows_at_once(self) -> int:
        """Rows of an update per forward pass."""
        return min(self.at_once or self.batch_size, self.batch_size)

    @property
    def is_rehearsal(self) -> bool:
        """Whether this is the rehearsal base, whose numbers test the pipeline, not a model."""
        return self.base_model == REHEARSAL_BASE


# The rehearsal base is 3,000 times smaller than MedGemma and needs short notes and a larger learning rate. It has seen
# few words outside the generator's, so it needs the eleven hand-written notes many times per epoch to learn them.
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
    # All rows and three epochs on a GPU; two cores have time for a fifth of the rows (`_fitted`).
    "gemma": Profile("gemma", SMALL_GEMMA, learning_rate=5e-4),
    # No bfloat16 below compute capability 8: fp16 matmuls, everything else (residual stream) in float32.
    "t4": Profile("t4", MEDGEMMA, dtype="float32", compute_dtype="float16", **_ON_A_GPU),
    "gpu": Profile("gpu", MEDGEMMA, dtype="bfloat16", compute_dtype="bfloat16", **_ON_A_GPU),
}


def choose_profile(name: str = "auto", base_model: str = "") -> Profile:
    """The profile called `name`, with the reason for it; `auto` inspects the machine.

    The environment variable IRAE_PROFILE overrides `auto` (tests and CI use it). A given `base_model` replaces only
    the profile's base model.

    Raises:
        RunError: unknown profile, or a GPU profile on a machine without CUDA.
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
    """Adapt the small Gemma's workload and precision to the machine; the model fits any."""
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
    # Not is_bf16_supported(): it returns True on a T4, where bfloat16 is emulated.
    return torch.cuda.get_device_capability(), torch.cuda.get_device_name()
