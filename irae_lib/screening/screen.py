"""Screen notes in two stages: the rules over every note at once, then a model, which may take as long as it takes.

`apply_rules` uses all cores and needs no model; its verdicts stand from then on, whatever the server does. `ask_model`
sends each note to a server: a short question first where the server keeps to a schema, the whole one for what the rules
or the short answer flag. What fails goes to the dead letters with its reason, and the rules' verdict remains.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from ..files import file_sha256, write_lines
from ..safety.floors import review
from ..schemas import Record
from .notes import FROM_NOTE, Note, hash_of, read_notes
from .rows import is_alert, model_row, rules_hash, rules_row, sha256
from .server import FULL, Server
from .shards import WHOLE, Part, Shards

SHARD = 200  # rows; what a killed run has to ask again at most


class Summary(Record):
    """What a stage did: `rows` of the input (or of one part of it), of which `skipped` were done before; `bad` are no
    notes, `failed` have no model's answer, `alerts` call an irAE or ask for the same day, `not_assessed` are the notes
    that the rules did not understand: alerts and these need a person (`monitor.worklist`). `dead_letters` names the
    file with the bad and the failed."""

    stage: str
    rows: int
    skipped: int
    bad: int
    failed: int
    alerts: int
    seconds: float
    dead_letters: str
    not_assessed: int = 0

    @property
    def clean(self) -> bool:
        """Every row has its answer."""
        return not self.bad and not self.failed

    @property
    def notes_per_second(self) -> float:
        """Of what was done now."""
        return (self.rows - self.skipped) / self.seconds if self.seconds else 0.0

    @property
    def sentence(self) -> str:
        """All of it in one line, for a terminal or a log."""
        lost = "" if self.clean else f", see {self.dead_letters}"
        unread = f"; {self.not_assessed} not assessed: a person must read them" if self.not_assessed else ""
        pace = f"; {self.seconds:.0f} s, {self.notes_per_second:.1f} notes/s" if self.seconds else ""
        return (
            f"{self.stage}: {self.rows} rows, {self.skipped} done before, {self.alerts} alerts, {self.bad} bad rows, "
            f"{self.failed} without an answer{lost}{unread}{pace}"
        )


def apply_rules(
    path: Path,
    out: Path,
    *,
    workers: int = 0,
    shard: int = SHARD,
    part: Part = WHOLE,
    site: str = "",
    date: str = "",
    exposed: str = FROM_NOTE,
) -> Summary:
    """The safety layer over every note, on all cores (`workers` 0), into `out/rules/`.

    Args:
        part: only these shards; other machines that see the same folder do the others.

    Raises:
        SchemaError: the file cannot be read. RunError: `out` belongs to other input, rules or settings.
    """
    shards = Shards(Path(out) / "rules", part)
    shards.belong_to(about_input(path, shard, site, date, exposed) | {"rules": rules_hash()})
    started, skipped = time.monotonic(), shards.count()
    workers = workers or _cores()
    waiting: dict[Future, int] = {}
    with (
        ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool,
        tqdm(desc="rules", unit="note", initial=skipped) as bar,
    ):

        def finish(future: Future) -> None:
            found = future.result()
            shards.write(waiting.pop(future), found)
            bar.update(len(found))

        for number, notes in unfinished(path, shards, shard, site, date, exposed):
            waiting[pool.submit(_rules_of, list(notes))] = number
            if len(waiting) >= 3 * workers:  # memory does not grow with the file
                finish(next(iter(waiting)))
        for future in list(waiting):
            finish(future)
    return summary("rules", shards, skipped, time.monotonic() - started)


def _cores() -> int:
    """Cores that this process may use: on a shared machine fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _rules_of(notes: list[Note]) -> list[dict[str, Any]]:
    return [rules_row(note) for note in notes]


def unfinished(
    path: Path, shards: Shards, size: int, site: str, date: str, exposed: str = FROM_NOTE
) -> Iterator[tuple[int, Iterator[Note]]]:
    """The notes of every shard of this part that is still to do, shard by shard."""

    def wanted(place: int) -> bool:
        return shards.part.has(place // size) and not shards.done(place // size)

    notes = read_notes(path, site=site, date=date, exposed=exposed, wanted=wanted)
    return groupby(notes, key=lambda note: note.place // size)


async def ask_model(
    path: Path,
    out: Path,
    server: Server,
    *,
    adapter: str = "",
    base: str = "",
    two_passes: bool = True,
    retry: bool = False,
    shard: int = SHARD,
    part: Part = WHOLE,
    site: str = "",
    date: str = "",
    exposed: str = FROM_NOTE,
    told: Callable[[str], None] = print,
) -> Summary:
    """Ask a server about every note, into `out/model/`; finished shards are not asked again.

    Args:
        adapter, base: what the server serves, for the manifest, as it does not tell itself: a folder (its weights are
            hashed), or a name with its commit.
        two_passes: the short question first, the whole one only for what is flagged; needs a server with schemas.
        retry: ask again about the notes that have no answer; the others stay as they are.
        part: only these shards, as in `apply_rules`.

    Raises:
        AccessError: the server does not answer, ignores the schema, or is gone for good (see `Server.assess`).
        SchemaError, RunError: as `apply_rules`.
    """
    shards = Shards(Path(out) / "model", part)
    two_passes = two_passes and server.structured
    what = about_model(server.model, base, adapter, server.prompt.version, server.structured, server.most)
    shards.belong_to(about_input(path, shard, site, date, exposed) | what | {"two_passes": two_passes})
    stay = shards.reopen(without_answer) if retry else 0
    started, skipped = time.monotonic(), shards.count() + stay
    total = Shards(Path(out) / "rules", part).count() or None  # the rules have been over the input, as a rule
    async with server:
        told(await server.check())
        queue: asyncio.Queue[Note] = asyncio.Queue(maxsize=2 * server.concurrency)
        open_shards: dict[int, dict[str, Any]] = {}
        with tqdm(desc="model", unit="note", total=total, initial=skipped) as bar:

            def close_if_complete(number: int) -> None:
                one = open_shards[number]
                if one["all_sent"] and len(one["rows"]) == one["sent"]:
                    shards.write(number, one["rows"])
                    del open_shards[number]

            async def work() -> None:
                while True:
                    note = await queue.get()
                    row, one = await _ask(note, server, two_passes), open_shards[note.place // shard]
                    old = one["before"].get(note.place, row)
                    # A short answer of before is more than none.
                    one["rows"].append(old if "model" in old and "model" not in row else row)
                    close_if_complete(note.place // shard)
                    bar.update()
                    queue.task_done()

            workers = [asyncio.create_task(work()) for _ in range(server.concurrency)]
            try:
                for number, notes in unfinished(path, shards, shard, site, date, exposed):
                    before = shards.before(number)
                    kept = with_answer(before)
                    one = {"rows": [*kept.values()], "sent": len(kept), "all_sent": False, "before": before}
                    open_shards[number] = one
                    for note in notes:
                        if note.place in kept:
                            continue
                        one["sent"] += 1
                        await _while_working(queue.put(note), workers)
                    one["all_sent"] = True
                    close_if_complete(number)
                await _while_working(queue.join(), workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
    return summary("model", shards, skipped, time.monotonic() - started)


async def _while_working(waiting: Coroutine, workers: list[asyncio.Task]) -> None:
    """Wait for the queue; a worker that died (a full disk) must not leave us waiting for ever."""
    task = asyncio.ensure_future(waiting)
    await asyncio.wait([task, *workers], return_when=asyncio.FIRST_COMPLETED)
    for worker in workers:
        if worker.done() and worker.exception():
            task.cancel()
            raise worker.exception()
    await task


async def _ask(note: Note, server: Server, two_passes: bool) -> dict[str, Any]:
    if note.case is None:
        return rules_row(note)
    reply = await server.assess(note.case, short=two_passes)
    if not two_passes:
        return model_row(note, reply)
    alone = review(note.case, exposed=note.exposed)
    flagged = is_alert(alone.final) or not alone.assessed
    if not reply.assessment or not (flagged or is_alert(reply.assessment)):
        return model_row(note, reply, asked="short")
    whole = await server.assess(note.case)
    seconds = reply.seconds + whole.seconds
    if whole.assessment is None:  # the short answer has been paid for, and may raise
        return model_row(note, reply._replace(problem=whole.problem, seconds=seconds), asked="short")
    return model_row(note, whole._replace(seconds=seconds))


def without_answer(row: Mapping[str, Any]) -> bool:
    """A note that has no answer, or not the whole one; a row that is no note has none to get."""
    return "problem" in row and "final" in row


def with_answer(before: Mapping[int, Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    """Of the rows of a reopened shard, by place, those that stay."""
    return {place: row for place, row in before.items() if not without_answer(row)}


def about_input(path: Path, shard: int, site: str, date: str, exposed: str = FROM_NOTE) -> dict[str, Any]:
    """For the manifest: the file that is read, how it is cut, and where exposure comes from."""
    columns = {"site": site, "date": date, "exposed": exposed}
    return {"input": Path(path).name, "sha256": hash_of(path), "shard": shard} | columns


def about_model(model: str, base: str, adapter: str, prompt: str, structured: bool, most: int) -> dict[str, Any]:
    """For the manifest: who answers, what it is asked, and the rules over it."""
    weights = Path(adapter) / "adapter_model.safetensors"
    return {
        "model": model,
        "base": base,
        "adapter": file_sha256(weights) if adapter and weights.is_file() else adapter,
        "prompt": prompt,
        "schema": sha256(json.dumps(FULL, sort_keys=True)) if structured else "",
        "rules": rules_hash(),
        "max_tokens": most,
    }


def summary(stage: str, shards: Shards, skipped: int, seconds: float) -> Summary:
    """Count what is on disk, and gather the dead letters in one file beside the folder of the stage."""
    counts = dict.fromkeys(("rows", "bad", "failed", "alerts", "not_assessed"), 0)

    def dead() -> Iterator[dict[str, Any]]:
        for row in shards.rows():
            counts["rows"] += 1
            counts["alerts"] += bool(row.get("final", {}).get("alert"))
            counts["not_assessed"] += "not_assessed" in row
            if "problem" in row:
                counts["failed" if without_answer(row) else "bad"] += 1
                yield {"place": row["place"], "id": row["id"], "reason": row["problem"]}

    name = "_".join(filter(None, ("dead_letters", stage, str(shards.part)))) + ".jsonl"
    write_lines(shards.folder.parent / name, dead())
    return Summary(stage=stage, skipped=skipped, seconds=round(seconds, 2), dead_letters=name, **counts)
