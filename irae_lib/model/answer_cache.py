"""Answers saved batch by batch, so that an interrupted validation resumes.

On a T4 a validation takes hours. A cache file belongs to one model, prompt, list of notes and version of the code;
anything else starts a new file.
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
    """Answers to a list of notes, by their place in the list; `known` are those already saved.

    Args:
        path: the file, made with its folder when the first answer comes.
        cases: all notes, in order.
        belongs: everything else that decides the answers (weights, prompt, precision, batch, code), plain JSON types.
    """

    def __init__(self, path: Path, cases: Sequence[Case], belongs: Mapping[str, Any]):
        self.path = Path(path)
        notes = hashlib.sha256("\0".join(case.text for case in cases).encode()).hexdigest()
        self._header = {"belongs": dict(belongs), "notes": notes}
        self.known: dict[int, Answer] = {}
        if self.path.is_file():
            self._read()

    def add(self, batch: Mapping[int, Answer]) -> None:
        """Write down the answers of a batch; on disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a" if self.known else "w", encoding="utf-8") as file:
            file.write(self._lines(batch, header=not self.known))
            file.flush()
            os.fsync(file.fileno())
        self.known.update(batch)

    def _read(self) -> None:
        whole = self.path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]  # a torn last line is dropped
        try:
            if not whole or json.loads(whole[0]) != self._header:
                return
            for row in map(json.loads, whole[1:]):
                place = row.pop("place")
                self.known[place] = Answer.model_validate(row)
        except (ValueError, KeyError, TypeError):  # a page of zeros after a power cut: what came before is good
            pass
        write_text(self.path, self._lines(self.known, header=True))

    def _lines(self, answers: Mapping[int, Answer], *, header: bool) -> str:
        rows = [self._header] if header else []
        rows += [{"place": i} | answer.model_dump(mode="json") for i, answer in answers.items()]
        return "".join(json.dumps(row) + "\n" for row in rows)
