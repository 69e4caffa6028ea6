"""The GitHub address of this repository: `python -m irae_lib.workspace.address owner/name` sets it everywhere.

`data/repository.txt` holds it. Badges and setup cells of the notebooks, a command in `irae_lib/training/README.md` and
the cards of adapters repeat it: a notebook opened alone in Colab has no other source. Once an address is set, README.md
gets a badge next to each notebook.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import IraeError, RunError
from ..files import ROOT, portable_name, write_text

UNSET = "OWNER/REPO"
_PLACE = Path("data") / "repository.txt"
_COLAB = "https://colab.research.google.com"
_BADGE = re.compile(r" \[!\[Colab\]\([^)]*\)\]\([^)]*\)")


def repository(root: Path = ROOT) -> str:
    """`owner/name` on GitHub, or OWNER/REPO if it is not set."""
    return (root / _PLACE).read_text(encoding="utf-8").strip()


def set_repository(new: str, root: Path = ROOT) -> list[Path]:
    """Replace the current address everywhere with a new one (owner/name, or as pasted from a browser).

    Returns:
        The files that changed.
    Raises:
        RunError: it is not the address of a GitHub repository.
    """
    new = re.sub(r"^https?://(www\.)?github\.com/|(\.git)?/?$", "", new)
    if new != UNSET and not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[\w.-]{1,100}", new):
        raise RunError(f"{new!r} is not the address of a GitHub repository; expected owner/name")
    old, changed = repository(root), []
    # Match only the full address: another repository's name may begin with it.
    spot = re.compile(rf'(\A|github\.com/|/github/|repository = \\?"){re.escape(old)}(?![\w-]|\.\w)')
    readme, training = root / "README.md", root / "irae_lib" / "training" / "README.md"
    for path in (*sorted((root / "notebooks").glob("*.ipynb")), readme, training, root / _PLACE):
        text = path.read_text(encoding="utf-8")
        written = _with_badges(text, new) if path == readme else spot.sub(rf"\g<1>{new}", text)
        if written != text:
            changed.append(write_text(path, written))
    return changed


def _with_badges(text: str, address: str) -> str:
    """README.md with a badge after the notebook in each table row; without an address, no badges."""
    text = _BADGE.sub("", text)
    if address == UNSET:
        return text
    picture = f"![Colab]({_COLAB}/assets/colab-badge.svg)"
    badge = rf"\1 [{picture}]({_COLAB}/github/{address}/blob/main/\2)"
    return re.sub(r"^(\|\[[^]]*\]\((notebooks/\w+\.ipynb)\))", badge, text, flags=re.MULTILINE)


def main(arguments: Sequence[str]) -> int:
    """Set the address given on the command line, or print the current one; returns the exit status."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(f"the address is {repository()}; to set it: python -m irae_lib.workspace.address owner/name")
        return 0 if not arguments else 2
    try:
        changed = set_repository(arguments[0])
    except IraeError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(*(portable_name(path) for path in changed) if changed else ["nothing to change"], sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
