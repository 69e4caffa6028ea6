"""A screening run and its stages: input, manifest, unfinished shards, and the summary of a stage.

The rules, a model server and a Ray cluster fill their shards through the same `Stage`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from tqdm.auto import tqdm

from ..files import write_lines
from ..schemas import Record, Urgency
from .notes import FROM_NOTE, Note, hash_of, read_notes
from .rows import rules_row, without_answer
from .shards import WHOLE, ShardPart, Shards

SHARD = 200  # rows; the most that a killed run has to repeat


class ScreeningRun(NamedTuple):
    """A file of notes and the folder `out` of their results, which all stages share.

    `shard` is the number of rows per shard; a run takes one `part` of the shards. `site` and `date` name columns to
    count alerts by; `exposed` is the source of checkpoint inhibitor exposure (see `read_notes`).
    """

    notes: Path
    out: Path
    shard: int = SHARD
    part: ShardPart = WHOLE
    site: str = ""
    date: str = ""
    exposed: str = FROM_NOTE

    def manifest(self) -> dict[str, Any]:
        """The input file and the settings of the run."""
        settings = {name: getattr(self, name) for name in ("shard", "site", "date", "exposed")}
        return {"input": Path(self.notes).name, "sha256": hash_of(self.notes)} | settings

    def shards(self, stage: str) -> Shards:
        """The shards of a stage ("rules" or "model") in this run's part."""
        return Shards(Path(self.out) / stage, self.part)


class ScreeningSummary(Record):
    """Counts of a stage: `rows` of the input (or of one part of it), of which `skipped` were done before.

    `bad` rows are not notes, `failed` notes have no model answer, `alerts` call an irAE or ask for same-day care;
    `by_urgency` counts them by urgency, highest first. The rules did not understand `not_assessed` notes; a person must
    read these and the alerts (`worklist`). `repeated` rows have the id of an earlier row. `dead_letters` names the file
    of bad rows and failed notes.
    """

    stage: str
    rows: int
    skipped: int
    bad: int
    failed: int
    alerts: int
    seconds: float
    dead_letters: str
    not_assessed: int = 0
    by_urgency: dict[str, int] = {}
    repeated: int = 0

    @property
    def clean(self) -> bool:
        """Whether every row has an answer."""
        return not self.bad and not self.failed

    @property
    def notes_per_second(self) -> float:
        """Rows not skipped, per second."""
        return (self.rows - self.skipped) / self.seconds if self.seconds else 0.0

    @property
    def sentence(self) -> str:
        """The summary in one line, for a terminal or a log."""
        lost = "" if self.clean else f", see {self.dead_letters}"
        unread = f"; {self.not_assessed} not assessed: a person must read them" if self.not_assessed else ""
        twice = f"; {self.repeated} rows repeat an earlier id: `place` distinguishes them" if self.repeated else ""
        urgencies = ", ".join(f"{count} {urgency}" for urgency, count in self.by_urgency.items())
        alerts = f"{self.alerts} alerts" + (f" ({urgencies})" if urgencies else "")
        pace = f"; {self.seconds:.0f} s, {self.notes_per_second:.1f} notes/s" if self.seconds else ""
        return (
            f"{self.stage}: {self.rows} rows, {self.skipped} done before, {alerts}, {self.bad} bad rows, "
            f"{self.failed} without an answer{lost}{unread}{twice}{pace}"
        )


def summarize(shards: Shards, skipped: int, seconds: float = 0.0) -> ScreeningSummary:
    """Count the rows of finished shards, and write the dead letters to a file next to the stage folder."""
    counts = dict.fromkeys(("rows", "bad", "failed", "alerts", "not_assessed", "repeated"), 0)
    urgencies: Counter[str] = Counter()
    ids: set[int] = set()  # hashes: memory for a million ids is about 60 MB

    def dead_letters() -> Iterator[dict[str, Any]]:
        for row in shards.rows():
            counts["rows"] += 1
            counts["repeated"] += hash(row["id"]) in ids
            ids.add(hash(row["id"]))
            if row.get("final", {}).get("alert"):
                urgencies[row.get("at_least", row["final"])["urgency"]] += 1
            counts["not_assessed"] += "not_assessed" in row
            if "problem" in row:
                counts["failed" if without_answer(row) else "bad"] += 1
                yield {"place": row["place"], "id": row["id"], "reason": row["problem"]}

    stage = shards.folder.name
    name = "_".join(filter(None, ("dead_letters", stage, str(shards.part)))) + ".jsonl"
    write_lines(shards.folder.parent / name, dead_letters())
    counts["alerts"] = urgencies.total()
    by_urgency = {urgency.value: urgencies[urgency] for urgency in reversed(Urgency) if urgencies[urgency]}
    about = {"stage": stage, "skipped": skipped, "seconds": round(seconds, 2), "dead_letters": name}
    return ScreeningSummary(**about, **counts, by_urgency=by_urgency)


class _OpenShard(NamedTuple):
    """A shard in progress: its size, its rows so far by place, and its rows from an earlier run."""

    size: int
    rows: dict[int, Mapping[str, Any]]
    before: dict[int, Mapping[str, Any]]


class Stage:
    """One stage of a run: hand out unfinished notes, take their rows in any order, write each shard when complete.

    `with stage:` shows progress. `retry` reopens the shards that hold notes without an answer.

    Raises:
        SchemaError: the file of notes cannot be read.
        RunError: the folder belongs to another input, model or settings.
    """

    def __init__(self, run: ScreeningRun, name: str, about: Mapping[str, Any], *, retry: bool = False):
        self.run, self.shards = run, run.shards(name)
        self.shards.belong_to(run.manifest() | about)
        answered = self.shards.reopen(without_answer) if retry else 0
        self.skipped = self.shards.count() + answered
        self._open: dict[int, _OpenShard] = {}
        self._started = time.monotonic()

    def __enter__(self) -> Stage:
        name = self.shards.folder.name
        # The rules have usually counted the input before the model stage.
        total = self.run.shards("rules").count() or None if name == "model" else None
        self._bar = tqdm(desc=name, unit="note", total=total, initial=self.skipped)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def unfinished(self) -> Iterator[list[Note]]:
        """Yield the notes to process, shard by shard; bad rows are added here, answered notes keep their rows."""
        run, size = self.run, self.run.shard

        def wanted(place: int) -> bool:
            return run.part.has(place // size) and not self.shards.done(place // size)

        rows = read_notes(run.notes, site=run.site, date=run.date, exposed=run.exposed, wanted=wanted)
        for number, group in groupby(rows, key=lambda note: note.place // size):
            notes, before = list(group), self.shards.before(number)
            answered = {place: row for place, row in before.items() if not without_answer(row)}
            self._open[number] = _OpenShard(len(notes), answered, before)
            waiting = [note for note in notes if note.place not in answered]
            self.add(*(rules_row(note) for note in waiting if note.case is None))
            yield [note for note in waiting if note.case]

    def add(self, *rows: Mapping[str, Any]) -> None:
        """Add rows to open shards and write each shard once complete; rows of written shards are ignored."""
        for row in rows:
            place, number = row["place"], row["place"] // self.run.shard
            if shard := self._open.get(number):
                before = shard.before.get(place, row)
                # A short answer from an earlier run is better than none.
                shard.rows[place] = before if "model" in before and "model" not in row else row
                self._bar.update()
                if len(shard.rows) == shard.size:
                    self.shards.write(number, shard.rows.values())
                    del self._open[number]

    def missing(self) -> tuple[int, int]:
        """Number of missing rows, and of the shards they belong to."""
        return sum(shard.size - len(shard.rows) for shard in self._open.values()), len(self._open)

    def summary(self) -> ScreeningSummary:
        """Summarize the shards written so far."""
        return summarize(self.shards, self.skipped, time.monotonic() - self._started)
