"""Publish the demo page as a private Space: stage its files, create or update it.

The Space holds this library, the clinical tables, the prompts and a three-line `app.py`; base and adapter come from the
Hub at pinned commits, with a read-only token of its own. The rehearsal base, which is on no Hub, is staged with it.
ZeroGPU itself has not been tested; it offers torch up to 2.11.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from ..errors import AccessError, AdapterError
from ..files import DATA, ROOT, render, replace_folder, write_text
from ..workspace.hub_access import clear_hub_errors, is_local, make_repo
from ..workspace.profiles import REHEARSAL_BASE
from .hub import Pushed
from .leak_scan import refuse_leaks
from .model_card import NOTICE

_APP = "from irae_lib.publishing.demo_page import main\n\nmain()\n"


def stage_space(out: Path, base_model: str = "") -> Path:
    """Fill a folder with only the files that the Space needs; an older folder is replaced.

    Args:
        base_model: the base of the adapter. The rehearsal base goes along; a Hub model is downloaded by the Space.

    Raises:
        AdapterError: the leak scan reports a file, or the base is another folder of this machine.
    """
    stand_in = base_model == REHEARSAL_BASE
    if base_model and is_local(base_model) and not stand_in:
        raise AdapterError(
            f"{base_model} is on this machine alone, and a Space cannot download it; make a Space for an adapter of a "
            "base on the Hub, or of the rehearsal base"
        )
    ignore = shutil.ignore_patterns("__pycache__", ".*", "cluster", "sharded")
    with replace_folder(out) as aside:
        shutil.copytree(ROOT / "irae_lib", aside / "irae_lib", ignore=ignore)
        for folder in ("clinical", "prompts", "page", *[Path(base_model).name] * stand_in):
            shutil.copytree(DATA / folder, aside / "data" / folder, ignore=ignore)
        write_text(aside / "app.py", _APP)
        for name in ("README.md", "requirements.txt"):
            write_text(aside / name, render(f"page/{name}", notice=NOTICE))
        names = [path.relative_to(aside).as_posix() for path in aside.rglob("*") if path.is_file()]
        suffixes = (".py", ".json", ".css", ".md", ".txt")
        weights = [name for name in names if stand_in and name.startswith(f"{REHEARSAL_BASE}/")]
        refuse_leaks(aside, allowed=[name for name in names if name.endswith(suffixes)] + weights)
    return Path(out)


def push_space(
    folder: Path, repo_id: str, adapter: Pushed, record: Mapping[str, str], *, token: str, reader: str
) -> str:
    """Create or update the private Space of a pushed adapter; returns its commit.

    Args:
        token: with write access. reader: a separate read-only token for base and adapter; the Space's secret.

    Raises:
        AccessError: the Hub refuses or cannot be reached, the Space is public, or the second token is missing: a
            token with write access does not belong in a Space.
    """
    from huggingface_hub import HfApi

    if reader in ("", token):
        raise AccessError(
            "the Space needs a read-only token of its own (fine-grained: the base and the adapter repository); a token "
            "that can write does not belong there"
        )
    api = HfApi(token=token)
    variables = {
        "IRAE_BASE_MODEL": record["base_model"],
        "IRAE_BASE_REVISION": record["base_revision"] or "",
        "IRAE_ADAPTER": adapter.repo_id,
        "IRAE_ADAPTER_REVISION": adapter.commit,
    }
    with clear_hub_errors(f"the Space {repo_id} was not brought up to date"):
        make_repo(api, repo_id, private=True, repo_type="space", space_sdk="gradio")
        api.add_space_secret(repo_id, "HF_TOKEN", reader)
        for name, value in variables.items():
            api.add_space_variable(repo_id, name, value)
        return api.upload_folder(
            repo_id=repo_id, repo_type="space", folder_path=folder, commit_message=f"Adapter {adapter.commit[:12]}"
        ).oid
