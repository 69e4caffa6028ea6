"""Results on disk: numbered shards, each complete or absent, and the manifest of their run.

Several machines may fill one folder, each with its own `ShardPart`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import RunError
from ..files import require_same_run, write_lines, write_text

MANIFEST = "manifest.json"


class ShardPart(NamedTuple):
    """Part `number` (from 1) of `of` parts of the shards; `ShardPart()` is all of them."""

    number: int = 1
    of: int = 1

    @classmethod
    def read(cls, text: str) -> ShardPart:
        """Parse `"3/8"` as a part, "" as all shards. Raises RunError for anything else."""
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text or "1/1")
        part = cls(*map(int, match.groups())) if match else cls(0, 0)
        if not 1 <= part.number <= part.of:
            raise RunError(f"expected a part such as 3/8 (the third of eight), found {text!r}")
        return part

    def has(self, shard: int) -> bool:
        """Whether a shard belongs to this part."""
        return shard % self.of == self.number - 1

    def __str__(self) -> str:
        return "" if self.of == 1 else f"{self.number}of{self.of}"


WHOLE = ShardPart()


class Shards:
    """Shards of one stage in a folder: `write` each once, skip those `done`, read all `rows` in order.

    A shard that is empty or ends mid-line (after a disk or machine failure) counts as absent.
    """

    def __init__(self, folder: Path, part: ShardPart = WHOLE):
        self.folder, self.part = Path(folder), part
        paths = [path for path in self.folder.glob("[0-9]*.jsonl") if part.has(int(path.stem))]
        self._finished = {int(path.stem) for path in paths if _is_complete(path)}
        self._reopened: set[int] = set()

    def belong_to(self, run: Mapping[str, Any]) -> None:
        """Write the manifest of these shards, or check that the existing one matches this run.

        Raises:
            RunError: the folder holds the shards of another run; names the differences.
        """
        path = self.folder / MANIFEST
        if not path.is_file():
            write_text(path, json.dumps(dict(run), indent=1) + "\n", replace=False)
        stored = json.loads(path.read_text(encoding="utf-8"))
        folder = f"{self.folder.parent.name}/{self.folder.name}/ holds the shards of"
        require_same_run(stored, run, folder, "Resume with the same input and settings, or give another --out")

    def done(self, number: int) -> bool:
        """Whether this shard is finished."""
        return number in self._finished

    def write(self, number: int, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write a shard atomically, its rows in order of place.

        Raises:
            RunError: the shard could not be written; finished shards are kept.
        """
        try:
            write_lines(self._path(number), sorted(rows, key=lambda row: row["place"]))
        except OSError as error:
            raise RunError(f"results could not be written: {error.strerror}; finished shards are kept") from None
        self._finished.add(number)

    def reopen(self, unfit: Callable[[Mapping[str, Any]], bool]) -> int:
        """Mark shards with an `unfit` row as unfinished until rewritten; returns the number of their fit rows."""
        fit = 0
        for number in sorted(self._finished):
            unfit_rows = [unfit(row) for row in self._rows(number)]
            if any(unfit_rows):
                self._reopened.add(number)
                fit += unfit_rows.count(False)
        self._finished -= self._reopened
        return fit

    def before(self, number: int) -> dict[int, dict[str, Any]]:
        """The rows of a reopened shard, by place; empty for any other."""
        return {row["place"]: row for row in self._rows(number)} if number in self._reopened else {}

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield every row of the finished shards, in order, one shard in memory at a time."""
        for number in sorted(self._finished):
            yield from self._rows(number)

    def count(self) -> int:
        """Number of rows in the finished shards."""
        return sum(self._path(number).read_bytes().count(b"\n") for number in self._finished)

    def _rows(self, number: int) -> list[dict[str, Any]]:
        with self._path(number).open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:07}.jsonl"


def _is_complete(path: Path) -> bool:
    """Whether a file ends with a newline."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 1))
        return file.read() == b"\n"
