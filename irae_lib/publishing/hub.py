"""Publish an adapter: one folder, one commit to the Hub, and a download that proves it arrived.

`stage` fills a folder with exactly what may leave; `push` uploads that folder; `fetch` downloads it again by
commit and compares every byte, because the Hub's client does not verify what it downloads. Without a token
the staged folder is the publication. Token lookup is not here: the caller hands one over.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..errors import AccessError, AdapterError
from ..evaluation.report import Report
from ..files import file_sha256, write_text
from ..model.adapters import RECORD, read_record
from ..schemas import Record
from .leak_scan import scan
from .model_card import NOTICE, model_card

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
# A closed list: checkpoints, optimizer states and notes cannot go up by accident.
TERMS_COPY = "HAI-DEF-TERMS.txt"
PUBLISHED = (WEIGHTS, CONFIG, RECORD, "report.json", "README.md", "NOTICE", TERMS_COPY)


class Pushed(Record):
    """A finished upload: `commit` is the 40-digit hash consumers pin, `files` maps names to SHA-256."""

    repo_id: str
    commit: str
    url: str
    files: dict[str, str]


def stage(
    adapter_dir: Path,
    report: Report,
    out_dir: Path,
    repo_id: str,
    *,
    terms: Path | None = None,
    notes: Iterable[str] = (),
) -> Path:
    """Fill `out_dir` with the files of a publication and nothing else; an older staging is replaced.

    Args:
        terms: a copy of the HAI-DEF terms, which recipients of a MedGemma derivative must get.
        notes: texts of cases, no sentence of which may be in any file.

    Raises:
        AdapterError: a file is missing, a pickle lies beside the adapter, its base is a path of this machine, it was
            trained on the user's own cases (or does not say), or `scan` finds what must not leave.
    """
    adapter_dir, out_dir = Path(adapter_dir), Path(out_dir)
    record = read_record(adapter_dir)
    if record.get("own_cases") is None:
        raise AdapterError(
            f"{RECORD} does not say whether the adapter was trained on cases of your own (own_cases); notes can be "
            "read back out of weights, so it is not published. Train it again with 02_fine_tune"
        )
    if record["own_cases"]:
        raise AdapterError(
            f"the adapter was trained on {record['own_cases']} cases of your own: notes can be read back out of "
            "weights, so it is not published. Train without own_cases to publish"
        )
    missing = [name for name in (WEIGHTS, CONFIG) if not (adapter_dir / name).is_file()]
    if missing:
        raise AdapterError(f"{missing[0]} is not in the adapter folder {adapter_dir.name!r}; run 02_fine_tune again")
    pickles = sorted(path.name for path in adapter_dir.iterdir() if path.suffix in {".bin", ".pkl", ".pt", ".pth"})
    if pickles:
        raise AdapterError(f"{pickles[0]} beside the adapter is a pickle; publish safetensors only and remove it")
    config = json.loads((adapter_dir / CONFIG).read_text(encoding="utf-8"))
    config |= {"base_model_name_or_path": record["base_model"], "revision": record["base_revision"]}
    if PurePosixPath(record["base_model"]).is_absolute() or PureWindowsPath(record["base_model"]).is_absolute():
        raise AdapterError(
            "the adapter names its base by a path of this machine; record a Hub id or a path in the checkout"
        )

    aside = out_dir.with_name(f".{out_dir.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    shutil.copyfile(adapter_dir / WEIGHTS, aside / WEIGHTS)
    for name, data in ((CONFIG, config), (RECORD, record), ("report.json", report.model_dump(mode="json"))):
        write_text(aside / name, json.dumps(data, indent=1) + "\n")
    write_text(aside / "README.md", model_card(record, report, repo_id))
    write_text(aside / "NOTICE", NOTICE)
    if terms:
        shutil.copyfile(terms, aside / TERMS_COPY)
    if problems := scan(aside, allowed=PUBLISHED, notes=notes):
        shutil.rmtree(aside)
        raise AdapterError(f"not to be published: {'; '.join(problems)}")
    shutil.rmtree(out_dir, ignore_errors=True)
    aside.rename(out_dir)
    return out_dir


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a publication that is in `folder`, by name."""
    paths = [Path(folder) / name for name in PUBLISHED]
    return {path.name: file_sha256(path) for path in paths if path.is_file()}


# --- the Hub --------------------------------------------------------------------------------------------


def push(folder: Path, repo_id: str, *, token: str, private: bool = True, tag: str = "") -> Pushed:
    """Upload a staged folder in one commit, after reading back that the repository is as private as asked.

    Pushing the same files again makes no new commit. `tag` names the commit for people.

    Raises:
        AccessError: the Hub refuses the token, cannot be reached, or the repository is public and must not be.
            Nothing was uploaded then, unless the message says so.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    with said_clearly(f"{repo_id} was not published"):
        make_repo(api, repo_id, private=private)
        before = api.model_info(repo_id).sha
    try:
        with said_clearly(f"the upload to {repo_id} broke off"):
            commit = api.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                allow_patterns=list(PUBLISHED),
                commit_message="Adapter, card and report",
            )
    except AccessError as error:
        raise AccessError(f"{error}. {_state_left(api, repo_id, before)}") from None
    if tag:
        with said_clearly(f"commit {commit.oid} of {repo_id} was published, but not tagged"):
            api.create_tag(repo_id, tag=tag, revision=commit.oid, exist_ok=True)
    return Pushed(repo_id=repo_id, commit=commit.oid, url=f"{api.endpoint}/{repo_id}", files=file_hashes(folder))


def make_repo(api, repo_id: str, *, private: bool, repo_type: str = "model", **options: str) -> None:
    """Create a repository (of a model, or a Space), or find it, and read back that it is as private as asked.

    Raises:
        AccessError: it exists, is public, and must not be.
    """
    api.create_repo(repo_id, private=private, exist_ok=True, repo_type=repo_type, **options)
    # exist_ok leaves an existing repository as public as it was.
    if private and not api.repo_info(repo_id, repo_type=repo_type).private:
        raise AccessError(
            f"{repo_id} exists and is public; nothing was uploaded. Make it private, or choose another name"
        )


def _state_left(api, repo_id: str, before: str) -> str:
    """What a push that broke off has left: the answer may be lost and the commit there."""
    try:
        now = api.model_info(repo_id).sha
    except Exception:  # whatever keeps us from asking, the answer is the same
        return "Whether it arrived cannot be seen from here; push again: the same files make no second commit"
    if now == before:
        return "The repository is as it was before; push again"
    return f"Yet commit {now} is there; push again to have it checked: the same files make no second commit"


def fetch(pushed: Pushed, cache_dir: Path, *, token: str) -> Path:
    """Download a publication by its commit and compare it with what was pushed, byte by byte.

    Returns:
        The folder of the download, ready for `PeftModel.from_pretrained`.
    Raises:
        AdapterError: a file is missing or differs; names it.
        AccessError: the Hub refuses or cannot be reached.
    """
    from huggingface_hub import snapshot_download

    with said_clearly(f"{pushed.repo_id} was published but could not be downloaded again"):
        folder = snapshot_download(pushed.repo_id, revision=pushed.commit, token=token, cache_dir=cache_dir)
    found = file_hashes(Path(folder))
    wrong = sorted(name for name, digest in pushed.files.items() if found.get(name) != digest)
    if wrong:
        raise AdapterError(
            f"{', '.join(wrong)} of {pushed.repo_id} came back different from what was pushed; do not use it"
        )
    return Path(folder)


@contextmanager
def said_clearly(consequence: str) -> Iterator[None]:
    """Turn the client's errors into one sentence that says what happened and what to do, without the token."""
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
    except OSError as error:
        raise AccessError(
            f"{consequence}: {type(error).__name__}; check the network and the disk, then try again"
        ) from None
    except Exception as error:
        # The HTTP library under the client differs between versions (httpx, httpx2); only its name is known here. The
        # client wraps what breaks inside a large upload into an error of its own; the cause tells.
        causes = [error, error.__cause__, error.__context__]
        network = {"httpx", "httpx2", "httpcore", "httpcore2", "requests"}
        found = next((c for c in causes if type(c).__module__.split(".")[0] in network or isinstance(c, OSError)), None)
        if found is None:
            raise
        raise AccessError(f"{consequence}: {type(found).__name__}; check the network, then try again") from None
