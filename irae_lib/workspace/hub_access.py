"""Access to base models: the Hugging Face token, gated repositories, pinned commits, local folders."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..errors import AccessError
from ..files import ROOT
from .profiles import Profile

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
