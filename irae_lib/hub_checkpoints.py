"""Checkpoints on the Hub, for a machine whose disk dies with it and that has no Drive.

One private repository keeps the newest checkpoint of one run. What comes back is checked by its seal, so neither a
cut upload nor a changed byte is gone on from.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import checkpoints
from .hub import make_repo, said_clearly
from .runtime import find_token
from .schemas import AccessError, RunError


def further_places(where: str, *, scratch: Path, own_cases: int = 0) -> tuple[Any, ...]:
    """Where a trainer keeps copies of its checkpoints: "" nowhere, a folder (a mounted Drive), or "hub:owner/name".

    Raises:
        AccessError: the Hub is asked for and there is no token.
        RunError: the Hub is asked for and the run trains on `own_cases`: notes can be read back out of weights.
    """
    if not where:
        return ()
    if not where.startswith("hub:"):
        return (checkpoints.Folder(Path(where)),)
    if own_cases:
        raise RunError(
            f"this run trains on {own_cases} cases of your own: notes can be read back out of weights, so its "
            "checkpoints do not go to the Hub. Copy them to a folder that you control"
        )
    token = find_token()
    if token.value is None:
        raise AccessError(
            f"copies of checkpoints on the Hub need a token with write access ({token.where}); make one at "
            "https://huggingface.co/settings/tokens and set it as HF_TOKEN"
        )
    return (CheckpointRepo(where.removeprefix("hub:"), token=token.value, scratch=scratch),)


class CheckpointRepo:
    """A private repository `repo_id`, and a folder `scratch` of this machine to download into.

    The repository's history keeps replaced checkpoints (about 180 MB each for MedGemma-4B at rank 16): delete the
    repository when the run is over.
    """

    def __init__(self, repo_id: str, *, token: str, scratch: Path):
        from huggingface_hub import HfApi

        self.repo_id, self.scratch, self.api = repo_id, Path(scratch), HfApi(token=token)
        self._made = False

    def keep(self, folder: Path) -> None:
        """Upload a sealed checkpoint in place of the one before, in one commit.

        Raises:
            AccessError: the Hub refuses, cannot be reached, or the repository is public; the checkpoint before stays.
        """
        with said_clearly(f"{folder.name} was not copied to {self.repo_id}"):
            if not self._made:
                make_repo(self.api, self.repo_id, private=True)
                self._made = True
            self.api.upload_folder(
                repo_id=self.repo_id,
                folder_path=folder.parent,
                allow_patterns=f"{folder.name}/*",
                delete_patterns="checkpoint-*",  # those of before, in the same commit
                commit_message=folder.name,
            )

    def find(self, belongs: Mapping[str, Any]) -> checkpoints.Found:
        """Download the newest checkpoint and check it. A repository that is not there yet holds none.

        Raises:
            RunError: it belongs to another run. AccessError: the Hub refuses or cannot be reached.
        """
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import RepositoryNotFoundError

        with said_clearly(f"the checkpoint in {self.repo_id} could not be fetched"):
            shutil.rmtree(self.scratch, ignore_errors=True)
            with suppress(RepositoryNotFoundError):
                snapshot_download(
                    self.repo_id, token=self.api.token, local_dir=self.scratch, allow_patterns="checkpoint-*"
                )
        return checkpoints.find(self.scratch, belongs)
