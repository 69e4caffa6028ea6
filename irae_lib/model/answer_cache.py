"""Save answers batch by batch, so that an interrupted validation can resume.

On a T4 a validation takes hours. A cache file belongs to one model, prompt, list of notes and code version; any change
starts a new file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files import write_text
from ..schemas import Case
from .answers import Answer


class AnswerCache:
    """Answers to a list of notes, by position in the list; `known` holds the saved answers.

    Args:
        path: the cache file; it and its folder are created with the first answer.
        cases: all notes, in order.
        belongs: everything else that affects the answers (weights, prompt, precision, batch, code), as JSON types.
    """

    def __init__(self, path: Path, cases: Sequence[Case], belongs: Mapping[str, Any]):
        self.path = Path(path)
        notes = hashlib.sha256("\0".join(case.text for case in cases).encode()).hexdigest()
        self._header = {"belongs": dict(belongs), "notes": notes}
        self.known: dict[int, Answer] = {}
        if self.path.is_file():
            self._read()

    def add(self, batch: Mapping[int, Answer]) -> None:
        """Append the answers of a batch; they are on disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a" if self.known else "w", encoding="utf-8") as file:
            file.write(self._lines(batch, header=not self.known))
            file.flush()
            os.fsync(file.fileno())
        self.known.update(batch)

    def _read(self) -> None:
        whole = self.path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]  # drop an incomplete last line
        try:
            if not whole or json.loads(whole[0]) != self._header:
                return
            for row in map(json.loads, whole[1:]):
                place = row.pop("place")
                self.known[place] = Answer.model_validate(row)
        except (ValueError, KeyError, TypeError):  # e.g. zeros after a power failure: the rows before are valid
            pass
        write_text(self.path, self._lines(self.known, header=True))

    def _lines(self, answers: Mapping[int, Answer], *, header: bool) -> str:
        rows = [self._header] if header else []
        rows += [{"place": i} | answer.model_dump(mode="json") for i, answer in answers.items()]
        return "".join(json.dumps(row) + "\n" for row in rows)
