"""Access to the Hugging Face Hub: token, gated models, pinned commits, private repositories, clear errors."""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import AccessError
from ..files import ROOT
from . import small_gemma
from .profiles import SMALL_GEMMA, Profile

_LONGEST_WAIT = 60  # seconds that the Hub may ask to wait before a second request

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
    return _ask_vault()


@functools.cache
def _ask_vault() -> HubToken:
    """The token in Colab's vault. Asked once a process: a question may wait for a click, or until it times out."""
    nowhere = "not in the environment, the token file or the Colab vault"
    try:
        from google.colab import userdata

        value = (userdata.get("HF_TOKEN") or "").strip()
    except Exception as error:  # not on Colab, no such secret, access denied, or a kernel without vault access
        if "timeout" in type(error).__name__.lower():
            nowhere = (
                "not in the environment or the token file, and the Colab vault did not answer in time: restart the "
                "session to ask it again"
            )
        return HubToken(None, nowhere)
    return HubToken(value, "Colab vault") if value else HubToken(None, nowhere)


def require_access(base_model: str) -> str:
    """Check that `base_model` can be read from here; returns a one-line status.

    Raises:
        AccessError: neither a folder nor a Hub id, a folder without a model, a gated model without a token, or the
            small Gemma is not installed; says what to do.
    """
    if base_model == SMALL_GEMMA:
        small_gemma.require_installed()
    elif is_local(base_model) and not (ROOT / base_model / "config.json").is_file():
        raise AccessError(f"the folder {Path(base_model).name!r} holds no config.json; expected a model and its files")
    if is_local(base_model):
        return f"{base_model} is a folder of this checkout: no token needed"
    _require_hub_id(base_model)
    token = find_token()
    if token.value is None and base_model.startswith("google/"):
        raise AccessError(
            f"{base_model} is gated and no token was found ({token.where}). Accept the terms at "
            f"https://huggingface.co/{base_model}, make a read token at https://huggingface.co/settings/tokens and "
            "set it as HF_TOKEN (Colab: key icon on the left, allow this notebook)."
        )
    return f"{base_model} from the Hub, {f'token from {token.where}' if token.value else 'without a token'}"


def pinned(profile: Profile, revision: str = "") -> Profile:
    """Pin the profile to a commit of its base, so that tokenizer, weights and record match.

    Asks the Hub for `revision` (a commit, tag or branch; "" for the newest). A local base stays unchanged: its weights
    have their own hash. Offline, the cached revision is used, whatever it is.

    Raises:
        AccessError: terms not accepted, a token that cannot read, no such repository or revision, a Hub that refuses
            or cannot be reached; a revision for a local base.
    """
    base = profile.base_model
    if is_local(base):
        if revision:
            raise AccessError(f"{base} is a folder of this checkout and has no revision {revision!r}")
        return profile
    _require_hub_id(base)
    from huggingface_hub import HfApi
    from huggingface_hub import errors as hub_errors

    api = HfApi(token=find_token().value)
    with reading(base):
        try:
            commit = _patiently(lambda: api.model_info(base, revision=revision or None).sha)
        except hub_errors.RevisionNotFoundError:
            raise AccessError(f"{base} has no revision {revision!r}; give a commit of it, or nothing") from None
        except hub_errors.GatedRepoError:
            raise AccessError(
                f"the token may not read {base} yet: accept the terms at https://huggingface.co/{base} with the "
                "account the token belongs to"
            ) from None
        except hub_errors.RepositoryNotFoundError:
            raise AccessError(f"{base} does not exist, or the token may not read it; check the spelling") from None
        except hub_errors.OfflineModeIsEnabled:
            commit = revision
    return replace(profile, revision=commit or "")


def _patiently(ask: Callable[[], Any]) -> Any:
    """Ask the Hub; if it is asked too often (HTTP 429), wait as long as it says, at most a minute, and ask once more."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return ask()
    except HfHubHTTPError as error:
        if _status(error) != 429:
            raise
        said = error.response.headers.get("Retry-After", "")
        wait = int(said) if said.isdigit() else 5
        if wait > _LONGEST_WAIT:
            raise
    print(f"the Hub asks to wait: once more in {wait} s", flush=True)
    time.sleep(wait)
    return ask()


def is_local(base_model: str) -> bool:
    """Whether `base_model` is a folder (relative to the checkout), or the small Gemma, which is unpacked on use."""
    return base_model == SMALL_GEMMA or (ROOT / base_model).is_dir()


def model_path(base_model: str) -> str:
    """The argument for `from_pretrained`: a folder's full path or the Hub id. Unpacks the small Gemma.

    Raises:
        AccessError: the folder holds no model, or there is neither such a folder nor can there be such a Hub id.
    """
    if base_model == SMALL_GEMMA:
        small_gemma.unpack()
    if is_local(base_model):
        if not (ROOT / base_model / "config.json").is_file():
            raise AccessError(f"the folder {Path(base_model).name} is not a base model: config.json is not in it")
        return str(ROOT / base_model)
    _require_hub_id(base_model)
    return base_model


def _require_hub_id(base_model: str) -> None:
    """Refuse the path of a folder that does not exist, which would be looked for on the Hub."""
    first = base_model.partition("/")[0]
    if not _REPOSITORY.fullmatch(base_model) or first in (".", "..") or (ROOT / first).is_dir():
        raise AccessError(
            f"{base_model!r} is neither a folder of this checkout nor a Hub id like owner/name; check the spelling"
        )


# --- repositories ---------------------------------------------------------------------------------------


def make_repo(api, repo_id: str, *, private: bool, repo_type: str = "model", **options: str) -> None:
    """Create a repository (model or Space) unless it exists, and verify that it is private if requested.

    Raises:
        AccessError: the name has no owner, or the repository exists and is public, but must be private.
    """
    api.create_repo(require_repo_id(repo_id), private=private, exist_ok=True, repo_type=repo_type, **options)
    # exist_ok does not change the visibility of an existing repository.
    if private and not api.repo_info(repo_id, repo_type=repo_type).private:
        raise AccessError(
            f"{repo_id} exists and is public; nothing was uploaded. Make it private, or choose another name"
        )


_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def require_repo_id(repo_id: str) -> str:
    """The name of a repository to write to, if it has an owner: without one, the Hub adds an owner and answers 404.

    Raises:
        AccessError: not of the form owner/name.
    """
    if not _REPOSITORY.fullmatch(repo_id):
        raise AccessError(
            f"{repo_id!r} is not the name of a repository; expected owner/name, with your user or organization as owner"
        )
    return repo_id


@contextmanager
def reading(base_model: str) -> Iterator[None]:
    """Turn the Hub's errors while a base model is read into one sentence; a local model's errors stay."""
    if is_local(base_model):
        yield
        return
    refusals = {
        401: "the token was refused; make a new one at https://huggingface.co/settings/tokens and set HF_TOKEN",
        403: f"the token may not read it; accept the terms at https://huggingface.co/{base_model}, and give a "
        "fine-grained token access to public gated repositories in its settings",
        404: "the repository, its commit or a file is not there, or the token may not see it",
    }
    with clear_hub_errors(f"{base_model} cannot be read", refusals):
        yield


_WRITING = {
    401: "the token was refused; make a new one with write access and set HF_TOKEN",
    403: "the token may not write there; give it write access to this repository",
    404: "the repository is not there or the token may not see it",
}
_TOO_MANY = "the Hub gets too many requests from here (HTTP 429); wait some minutes. A token raises the limit"
# The client's HTTP library differs between versions and is known only by name.
_NETWORK = {"httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3", "socket"}


@contextmanager
def clear_hub_errors(consequence: str, refusals: Mapping[int, str] = _WRITING) -> Iterator[None]:
    """Turn the client's errors into one sentence with the problem and the remedy, without the token.

    `refusals` words the Hub's answers by HTTP status.
    """
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        yield
    except AccessError:
        raise
    except HFValidationError:
        raise AccessError(f"{consequence}: the name must be owner/name in letters, digits, '-', '_' and '.'") from None
    except Exception as error:
        causes = list(_causes(error))
        status = next(filter(None, map(_status, causes)), 0)
        cause = next((c for c in causes if type(c).__module__.split(".")[0] in _NETWORK), None)
        if status and any(map(_from_storage, causes)):
            why = f"the Hub's upload storage refused it (HTTP {status}); try again, with a token that may write there"
        elif status:
            why = refusals.get(status, _TOO_MANY if status == 429 else f"the Hub answered {status}; try again later")
        elif any(isinstance(c, LocalEntryNotFoundError) for c in causes) and not cause:
            why = "it is not in this machine's cache and the Hub is not asked (HF_HUB_OFFLINE); unset that, or load it"
        elif cause:
            why = f"the Hub cannot be reached ({type(cause).__name__}); check the network, then try again"
        elif cause := next((c for c in causes if isinstance(c, OSError)), None):
            why = f"{type(cause).__name__}; check the network and the disk, then try again"
        else:
            raise
        raise AccessError(f"{consequence}: {why}") from None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it wraps: the client raises its own error for a failure inside a large transfer."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int:
    """The HTTP status in an error; 0 without one. The client of the upload storage gives it as text only."""
    response = getattr(error, "response", None)
    if response is not None:
        return int(response.status_code)
    written = re.search(r"HTTP status (?:client|server) error \((\d{3})", str(error))
    return int(written[1]) if written else 0


def _from_storage(error: BaseException) -> bool:
    """Whether an error is an answer of the upload storage, which is another server than the Hub."""
    from huggingface_hub import constants

    response = getattr(error, "response", None)
    if response is None:
        return bool(_status(error))
    return not str(response.url).startswith(constants.ENDPOINT)
