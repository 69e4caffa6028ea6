"""Results on disk: numbered shards that are whole or not there, under a manifest that says what they belong to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..cases import write_lines, write_text
from ..schemas import RunError

MANIFEST = "manifest.json"


class Shards:
    """Shards of one stage in a folder: `write` once, `done` to skip, `rows` to read all of them in order."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._there = {path.name for path in self.folder.glob("[0-9]*.jsonl")}

    def done(self, number: int) -> bool:
        """Whether this shard is finished."""
        return _name(number) in self._there

    def write(self, number: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Finish a shard: its rows in the order of their places, in one step."""
        write_lines(self.folder / _name(number), sorted(rows, key=lambda row: row["place"]))
        self._there.add(_name(number))

    def read(self, number: int) -> list[dict[str, Any]]:
        """The rows of a finished shard; none where it is not finished."""
        if not self.done(number):
            return []
        with (self.folder / _name(number)).open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def forget(self, unfit: Callable[[Mapping[str, Any]], bool]) -> None:
        """Take the shards that hold a row of this kind as not finished: they are asked again and then replaced."""
        for name in sorted(self._there):
            if any(unfit(row) for row in self.read(int(name.removesuffix(".jsonl")))):
                self._there.discard(name)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every row of every finished shard, in order, one shard in memory at a time."""
        for name in sorted(self._there):
            yield from self.read(int(name.removesuffix(".jsonl")))


def _name(number: int) -> str:
    return f"{number:07}.jsonl"


def open_manifest(out: Path, stage: str, belongs: Mapping[str, Any]) -> None:
    """Write down what a stage belongs to, or check that it is the same that was begun before.

    Raises:
        RunError: the folder holds the shards of something else; names what differs.
    """
    path = Path(out) / MANIFEST
    whole = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    before = whole.get(stage)
    if before is not None and before != belongs:
        differs = sorted(key for key in {*before, *belongs} if before.get(key) != belongs.get(key))
        raise RunError(
            f"{Path(out).name}/ holds the {stage} stage of another run: {', '.join(differs)} differ. Go on with the "
            "same input and settings, or give another --out"
        )
    write_text(path, json.dumps(whole | {stage: dict(belongs)}, indent=1) + "\n")
