"""The demonstration page as a private Space: stage its files, create or update it.

The Space holds this library, the clinical tables, the prompts and three lines that start `app.py`; base and adapter
come from the Hub at the commits it is given, with a read-only token of its own. ZeroGPU itself has not been tried.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from ..errors import AccessError
from ..files import DATA, ROOT, replace_folder, write_text
from ..workspace.hub_access import clear_hub_errors, make_repo
from .hub import Pushed
from .leak_scan import refuse_leaks
from .model_card import NOTICE

# ZeroGPU offers torch up to 2.11; Gradio's own version stands in the front matter.
_REQUIREMENTS = """torch==2.11.0
transformers>=5.15,<6
peft>=0.20,<1
llguidance>=1.9,<2
pydantic>=2.10,<3
numpy
tqdm
"""
_README = f"""---
title: irAE triage
sdk: gradio
sdk_version: 6.31.0
python_version: "3.12"
app_file: app.py
pinned: false
license: other
---

Research demonstration, not a medical device: synthetic or de-identified English text only.

{NOTICE}"""
_APP = "from irae_lib.publishing.demo_page import main\n\nmain()\n"


def stage_space(out: Path) -> Path:
    """Fill a folder with what the Space needs and nothing else; an older staging is replaced.

    Raises:
        AdapterError: the leak scan reports a file.
    """
    ignore = shutil.ignore_patterns("__pycache__", ".*", "cluster", "sharded")
    with replace_folder(out) as aside:
        shutil.copytree(ROOT / "irae_lib", aside / "irae_lib", ignore=ignore)
        for folder in ("clinical", "prompts"):
            shutil.copytree(DATA / folder, aside / "data" / folder, ignore=ignore)
        for name, text in (("app.py", _APP), ("README.md", _README), ("requirements.txt", _REQUIREMENTS)):
            write_text(aside / name, text)
        names = [path.relative_to(aside).as_posix() for path in aside.rglob("*") if path.is_file()]
        refuse_leaks(aside, allowed=[name for name in names if Path(name).suffix in (".py", ".json", ".md", ".txt")])
    return Path(out)


def push_space(
    folder: Path, repo_id: str, adapter: Pushed, record: Mapping[str, str], *, token: str, reader: str
) -> str:
    """Create or update the private Space of a pushed adapter; returns its commit.

    Args:
        token: may write. reader: another, read-only token for base and adapter, which becomes the Space's secret.

    Raises:
        AccessError: the Hub refuses or cannot be reached, the Space is public, or there is no second token: one that
            can write does not belong into a Space.
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
