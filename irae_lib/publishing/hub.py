"""Publish an adapter: one folder, one commit to the Hub, and a verified download.

`stage` fills a folder with only the files to publish; `push` uploads that folder; `fetch` downloads it again by
commit and compares every byte, because the Hub's client does not verify its downloads. Without a token, the
staged folder is the publication. The caller supplies the token.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ..errors import AccessError, AdapterError, NotPublished
from ..evaluation.report import Report
from ..files import file_sha256, replace_folder, save_json, write_text
from ..model.adapters import RECORD, read_record
from ..schemas import Record
from ..workspace.hub_access import clear_hub_errors, make_repo
from .leak_scan import refuse_leaks
from .model_card import NOTICE, model_card

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
# A closed list: checkpoints, optimizer states and notes cannot be uploaded by accident.
TERMS_COPY = "HAI-DEF-TERMS.txt"
PUBLISHED = (WEIGHTS, CONFIG, RECORD, "report.json", "README.md", "NOTICE", TERMS_COPY)


class Pushed(Record):
    """A finished upload: `commit` is the 40-digit hash to pin, `files` maps names to SHA-256."""

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
    """Fill `out_dir` with the files of a publication and nothing else; an older folder is replaced.

    Args:
        terms: a copy of the HAI-DEF terms, which recipients of a MedGemma derivative must receive.
        notes: texts of cases; none of their sentences may be in any file.

    Raises:
        AdapterError: a file is missing, a pickle is next to the adapter, its base is a local path, its record does not
            say whether it was trained on the user's own cases, or the leak scan reports a file.
        NotPublished: it was trained on the user's own cases.
    """
    adapter_dir = Path(adapter_dir)
    record = read_record(adapter_dir)
    _refuse_own_cases(record)
    _require_safetensors(adapter_dir)
    config = json.loads((adapter_dir / CONFIG).read_text(encoding="utf-8")) | _portable_base(record)
    with replace_folder(out_dir) as aside:
        shutil.copyfile(adapter_dir / WEIGHTS, aside / WEIGHTS)
        for name, data in ((CONFIG, config), (RECORD, record), ("report.json", report.model_dump(mode="json"))):
            save_json(aside / name, data)
        write_text(aside / "README.md", model_card(record, report, repo_id))
        write_text(aside / "NOTICE", NOTICE)
        if terms:
            shutil.copyfile(terms, aside / TERMS_COPY)
        refuse_leaks(aside, allowed=PUBLISHED, notes=notes)
    return Path(out_dir)


def _refuse_own_cases(record: Mapping[str, Any]) -> None:
    if record.get("own_cases") is None:
        raise AdapterError(
            f"{RECORD} does not say whether the adapter was trained on cases of your own (own_cases); notes can be "
            "read back out of weights, so it is not published. Train it again with 02_fine_tune"
        )
    if record["own_cases"]:
        raise NotPublished(
            f"the adapter was trained on {record['own_cases']} cases of your own: notes can be read back out of "
            "weights, so it is not published. Train without own_cases to publish"
        )


def _require_safetensors(folder: Path) -> None:
    for name in (WEIGHTS, CONFIG):
        if not (folder / name).is_file():
            raise AdapterError(f"{name} is not in the adapter folder {folder.name!r}; run 02_fine_tune again")
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in {".bin", ".pkl", ".pt", ".pth"})
    if pickles:
        raise AdapterError(f"{pickles[0]} in the adapter folder is a pickle; remove it and publish safetensors only")


def _portable_base(record: Mapping[str, Any]) -> dict[str, Any]:
    """Name of the base in the published configuration: a Hub id or a path in the checkout."""
    base = record["base_model"]
    if PurePosixPath(base).is_absolute() or PureWindowsPath(base).is_absolute():
        raise AdapterError(
            "the adapter names its base by a path of this machine; record a Hub id or a path in the checkout"
        )
    return {"base_model_name_or_path": base, "revision": record["base_revision"]}


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every published file in `folder`, by name."""
    paths = [Path(folder) / name for name in PUBLISHED]
    return {path.name: file_sha256(path) for path in paths if path.is_file()}


# --- the Hub --------------------------------------------------------------------------------------------


def push(folder: Path, repo_id: str, *, token: str, private: bool = True, tag: str = "") -> Pushed:
    """Upload a staged folder in one commit, after verifying that the repository is private if requested.

    Pushing the same files again does not create a new commit. `tag` is a readable name for the commit.

    Raises:
        AccessError: the Hub refuses the token, cannot be reached, or the repository is public but must be
            private. Nothing was uploaded, unless the message says so.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    with clear_hub_errors(f"{repo_id} was not published"):
        make_repo(api, repo_id, private=private)
        before = api.model_info(repo_id).sha
    try:
        with clear_hub_errors(f"the upload to {repo_id} broke off"):
            commit = api.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                allow_patterns=list(PUBLISHED),
                commit_message="Adapter, card and report",
            )
    except AccessError as error:
        raise AccessError(f"{error}. {_state_left(api, repo_id, before)}") from None
    if tag:
        with clear_hub_errors(f"commit {commit.oid} of {repo_id} was published, but not tagged"):
            api.create_tag(repo_id, tag=tag, revision=commit.oid, exist_ok=True)
    return Pushed(repo_id=repo_id, commit=commit.oid, url=f"{api.endpoint}/{repo_id}", files=file_hashes(folder))


def _state_left(api, repo_id: str, before: str) -> str:
    """State of the repository after an interrupted push, which may have committed before the response was lost."""
    try:
        now = api.model_info(repo_id).sha
    except Exception:  # the advice is the same for any error
        return "Whether it arrived cannot be seen from here; push again: the same files make no second commit"
    if now == before:
        return "The repository is as it was before; push again"
    return f"Yet commit {now} is there; push again to have it checked: the same files make no second commit"


def fetch(pushed: Pushed, cache_dir: Path, *, token: str) -> Path:
    """Download a publication by its commit and compare it with the pushed files, byte by byte.

    Returns:
        The folder of the download, ready for `PeftModel.from_pretrained`.
    Raises:
        AdapterError: a file is missing or differs; names it.
        AccessError: the Hub refuses or cannot be reached.
    """
    from huggingface_hub import snapshot_download

    with clear_hub_errors(f"{pushed.repo_id} was published but could not be downloaded again"):
        folder = snapshot_download(pushed.repo_id, revision=pushed.commit, token=token, cache_dir=cache_dir)
    hashes = file_hashes(Path(folder))
    different = sorted(name for name, digest in pushed.files.items() if hashes.get(name) != digest)
    if different:
        raise AdapterError(
            f"{', '.join(different)} of {pushed.repo_id} differ from the pushed files after download; do not use the repository"
        )
    return Path(folder)
