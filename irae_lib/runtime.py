"""Where am I running, and what follows from it: folders, profile, precision, token.

Every choice comes back with its reason, so that a notebook can print why, not only what. Standard library at
import; torch is asked only when a device matters.
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from .schemas import AccessError, RunError

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
REHEARSAL_BASE = "data/rehearsal_base"
MEDGEMMA = "google/medgemma-4b-it"

# On a CPU with AVX512-BF16 bitsandbytes would like to fetch native code from the Hub. It works
# without, and says so on import, which transformers and PEFT may bring about before any module of ours.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Profile:
    """One way to run everything: base model, precision, amounts of data, training schedule.

    `revision` is the commit of a Hub repository that is read, "" for its newest (`pinned` says which that is).
    `note_detail` is "full", or "short" for notes a very small model can read. A sixth of `train_cases` are sides of
    minimal pairs. `contrast_pairs` counts pairs, so twice as many notes.
    `dtype` is the dtype weights are loaded in; `four_bit` says whether the linear layers are NF4. `eleven_copies`
    says how often the full training file holds the eleven validated cases. Units: learning rates per update,
    `max_new_tokens` in tokens, batch sizes in cases.
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
    batch_size: int = 1
    accumulation: int = 4
    learning_rate: float = 2e-4
    decode_batch: int = 16
    max_new_tokens: int = 512

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
    accumulation=1,
    learning_rate=1.5e-3,
    decode_batch=64,
    max_new_tokens=320,
)
_SMOKE = {
    "train_cases": 24,
    "eleven_copies": 1,
    "calibration_cases": 12,
    "test_cases": 12,
    "contrast_pairs": 6,
    "epochs": 1,
}
_PROFILES = {
    "rehearsal": _REHEARSAL,
    "smoke": replace(_REHEARSAL, name="smoke", **_SMOKE),
    # Below compute capability 8 there is no bfloat16: fp16 matmuls, everything else (residual stream) float32.
    "t4": Profile("t4", MEDGEMMA, dtype="float32", compute_dtype="float16", four_bit=True),
    "gpu": Profile("gpu", MEDGEMMA, dtype="bfloat16", compute_dtype="bfloat16", four_bit=True),
}


def choose_profile(name: str = "auto", base_model: str = "") -> Profile:
    """The profile called `name`, with the reason for it; `auto` looks at what is there.

    IRAE_PROFILE in the environment decides what `auto` means (tests and CI use it). A given `base_model`
    replaces the profile's own and nothing else.

    Raises:
        RunError: no such profile; a GPU profile on a machine without CUDA.
    """
    asked = name
    if name == "auto":
        name = os.environ.get("IRAE_PROFILE") or "auto"
    capability, device = _cuda()
    if name == "auto":
        if capability is None:
            name, reason = "rehearsal", "no CUDA device here: float32 on the CPU"
        elif capability < (8, 0):
            name, reason = (
                "t4",
                f"{device} has compute capability {capability[0]}.{capability[1]}, below 8: no bfloat16",
            )
        else:
            name, reason = "gpu", f"{device} has compute capability {capability[0]}.{capability[1]}: bfloat16"
    elif name not in _PROFILES:
        raise RunError(f"profile {name!r} is not known; choose auto, {', '.join(_PROFILES)}")
    else:
        reason = "asked for" if asked != "auto" else "IRAE_PROFILE asks for it"
    if name in ("t4", "gpu") and capability is None:
        raise RunError(
            f"profile {name!r} needs a CUDA device and there is none; use rehearsal, or a machine with a GPU"
        )
    profile = replace(_PROFILES[name], reason=reason)
    return replace(profile, base_model=base_model) if base_model else profile


def _cuda() -> tuple[tuple[int, int] | None, str]:
    try:
        import torch
    except ImportError:
        return None, ""
    if not torch.cuda.is_available():
        return None, ""
    # Never is_bf16_supported(): it answers True on a T4, where bfloat16 is emulated.
    return torch.cuda.get_device_capability(), torch.cuda.get_device_name()


# --- run folders ----------------------------------------------------------------------------------------


def runs_root() -> Path:
    """Folder that holds the runs: IRAE_RUNS in the environment, else `runs/` in the checkout."""
    return Path(os.environ.get("IRAE_RUNS") or ROOT / "runs")


def new_run(run_dir: str = "") -> Path:
    """A run folder to write into: the one given, or a fresh `runs/<time>`. Exists on return."""
    if run_dir:
        folder = Path(run_dir)
    else:
        root, stamp = runs_root(), datetime.now().strftime("%Y%m%d-%H%M%S")
        folder = root / stamp
        for again in range(2, 100):  # two runs within one second
            if not folder.exists():
                break
            folder = root / f"{stamp}-{again}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def find_run(run_dir: str = "", *, needs: str, made_by: str) -> Path:
    """The run folder given, or the newest that holds `needs` (a path inside the folder).

    Raises:
        RunError: there is none; says which notebook makes it.
    """
    if run_dir:
        folder = Path(run_dir)
        if not (folder / needs).exists():
            raise RunError(
                f"{needs} is not in the run folder {folder.name!r}; run {made_by} with the same run_dir first"
            )
        return folder
    root = runs_root()
    runs = [path for path in root.iterdir() if (path / needs).exists()] if root.is_dir() else []
    if not runs:
        raise RunError(f"no run under {root.name}/ holds {needs}; run {made_by} first, or give run_dir")
    return max(runs, key=lambda path: ((path / needs).stat().st_mtime_ns, path.name))


# --- access ---------------------------------------------------------------------------------------------


class Token(NamedTuple):
    """A Hugging Face token and where it was found; `value` is None when there is none."""

    value: str | None
    where: str

    def __repr__(self) -> str:
        # A token must not reach a notebook's output by way of a stray expression at the end of a cell.
        return f"Token({'found' if self.value else 'none'}, {self.where})"


def find_token() -> Token:
    """The Hugging Face token: environment, then token file, then Colab's vault (only from Colab's own page)."""
    if value := os.environ.get("HF_TOKEN", "").strip():
        return Token(value, "environment variable HF_TOKEN")
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    path = Path(os.environ.get("HF_TOKEN_PATH") or home / "token")
    if path.is_file() and (value := path.read_text(encoding="utf-8").strip()):
        return Token(value, "token file")
    try:
        from google.colab import userdata

        if value := (userdata.get("HF_TOKEN") or "").strip():
            return Token(value, "Colab vault")
    except Exception:
        # Not on Colab, no such secret, access refused, or a kernel the vault does not answer (papermill, VS Code).
        pass
    return Token(None, "not in the environment, the token file or the Colab vault")


def require_access(base_model: str) -> str:
    """One line on how `base_model` can be read from here.

    Raises:
        AccessError: a gated model and no token; says what to accept and where to put the token.
    """
    if is_local(base_model):
        return f"{base_model} is a folder of this checkout: no token needed"
    token = find_token()
    if token.value is None:
        raise AccessError(
            f"{base_model} is gated and no token was found ({token.where}). Accept the terms at "
            f"https://huggingface.co/{base_model}, make a read token at https://huggingface.co/settings/tokens and "
            "set it as HF_TOKEN (Colab: key icon on the left, allow this notebook)."
        )
    return f"{base_model} from the Hub, token from {token.where}"


def pinned(profile: Profile, revision: str = "") -> Profile:
    """The profile with the commit of its base filled in, so that tokenizer, weights and record are of one state.

    Asks the Hub for `revision` (a commit, tag or branch; "" for the newest). A local base stays as it is: its weights
    have a hash of their own. Offline the cached state is used, whatever it is.

    Raises:
        AccessError: terms not accepted, a token that cannot read, no such repository or revision; a revision for a
            local base.
    """
    if is_local(profile.base_model):
        if revision:
            raise AccessError(f"{profile.base_model} is a folder of this checkout and has no revision {revision!r}")
        return profile
    from huggingface_hub import HfApi
    from huggingface_hub import errors as hub_errors

    base, token = profile.base_model, find_token().value
    try:
        found = HfApi(token=token).model_info(base, revision=revision or None).sha
    except hub_errors.RevisionNotFoundError:
        raise AccessError(f"{base} has no revision {revision!r}; give a commit of it, or nothing") from None
    except hub_errors.GatedRepoError:
        raise AccessError(
            f"the token may not read {base} yet: accept the terms at https://huggingface.co/{base} with the account "
            "the token belongs to"
        ) from None
    except hub_errors.RepositoryNotFoundError:
        raise AccessError(f"{base} does not exist, or the token may not read it") from None
    except hub_errors.OfflineModeIsEnabled:
        found = revision
    return replace(profile, revision=found or "")


def is_local(base_model: str) -> bool:
    """True when `base_model` names a folder (relative names are looked up in the checkout)."""
    return (ROOT / base_model).is_dir()


def model_path(base_model: str) -> str:
    """What to hand to `from_pretrained`: a folder's full path, or the Hub id as it is."""
    if is_local(base_model):
        return str(ROOT / base_model)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", base_model):
        raise AccessError(f"{base_model!r} is neither a folder of this checkout nor a Hub id like owner/name")
    return base_model


def portable_name(path: Path | str) -> str:
    """A path as it may be stored or printed: relative to the checkout where possible, else its last part."""
    path = Path(path).resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
