"""Screen notes in two stages: the rules over every note at once, then a model, which may take as long as it takes.

`apply_rules` uses all cores and needs no model; its verdicts stand from then on, whatever the server does. `ask_model`
sends each note to a server: a short question first where the server keeps to a schema, the whole one for what the rules
or the short answer flag. What fails goes to the dead letters with its reason, and the rules' verdict remains.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from ..cases import file_sha256, write_lines
from ..runtime import DATA
from ..safety import review
from ..schemas import FIELDS, Assessment, Record, RunError, Urgency, differing
from .notes import Note, hash_of, read_notes
from .server import FULL, Server
from .shards import Shards, open_manifest

SHARD = 200  # rows; what a killed run has to ask again at most


class Summary(Record):
    """What a stage did: `rows` in the input, of which `skipped` were done before; `bad` are no notes, `failed` have no
    model's answer, `alerts` call an irAE or ask for the same day."""

    stage: str
    rows: int
    skipped: int
    bad: int
    failed: int
    alerts: int
    seconds: float

    @property
    def clean(self) -> bool:
        """Every row has its answer."""
        return not self.bad and not self.failed

    @property
    def notes_per_second(self) -> float:
        """Of what was done now."""
        return (self.rows - self.skipped) / self.seconds if self.seconds else 0.0


def apply_rules(
    path: Path, out: Path, *, workers: int = 0, shard: int = SHARD, site: str = "", date: str = ""
) -> Summary:
    """The safety layer over every note, on all cores (`workers` 0), into `out/rules/`.

    Raises:
        SchemaError: the file cannot be read. RunError: `out` belongs to other input, rules or settings.
    """
    out, shards = Path(out), Shards(Path(out) / "rules")
    open_manifest(out, "rules", _input(path, shard, site, date) | {"rules": rules_hash()})
    started, skipped, rows = time.monotonic(), 0, 0
    workers = workers or os.cpu_count() or 1
    waiting: dict[Future, int] = {}
    with (
        ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool,
        tqdm(desc="rules", unit="note") as bar,
    ):

        def finish(future: Future) -> None:
            found = future.result()
            shards.write(waiting.pop(future), found)
            bar.update(len(found))

        for number, notes in groupby(read_notes(path, site=site, date=date), key=lambda note: note.place // shard):
            chunk = list(notes)
            rows += len(chunk)
            if shards.done(number):
                skipped += len(chunk)
                continue
            waiting[pool.submit(_rules_of, chunk)] = number
            if len(waiting) >= 3 * workers:  # memory does not grow with the file
                finish(next(iter(waiting)))
        for future in list(waiting):
            finish(future)
    return _summary("rules", shards, rows, skipped, time.monotonic() - started, out)


def _rules_of(notes: list[Note]) -> list[dict[str, Any]]:
    rows = []
    for note in notes:
        row = _about(note)
        if note.case is None:
            rows.append(row | {"problem": note.problem})
            continue
        result = review(note.case)
        rows.append(row | {"final": _fields(result.final), "rules": sorted({c.rule for c in result.corrections})})
    return rows


async def ask_model(
    path: Path,
    out: Path,
    server: Server,
    *,
    adapter: str = "",
    two_passes: bool = True,
    retry: bool = False,
    shard: int = SHARD,
    site: str = "",
    date: str = "",
    told: Callable[[str], None] = print,
) -> Summary:
    """Ask a server about every note, into `out/model/`; finished shards are not asked again.

    Args:
        adapter: hash or commit of what the server serves, for the manifest: the server itself does not tell.
        two_passes: the short question first, the whole one only for what is flagged; needs a server with schemas.
        retry: ask again for the shards in which a note has no answer.

    Raises:
        AccessError: the server does not answer, or ignores the schema. SchemaError, RunError: as `apply_rules`.
    """
    out, shards = Path(out), Shards(Path(out) / "model")
    rules = Shards(out / "rules")
    two_passes = two_passes and server.structured
    belongs = _input(path, shard, site, date) | {
        "model": server.model,
        "adapter": adapter,
        "prompt": server.prompt.version,
        "schema": _sha(json.dumps(FULL, sort_keys=True)) if server.structured else "",
        "rules": rules_hash(),
        "two_passes": two_passes,
        "max_tokens": server.most,
    }
    open_manifest(out, "model", belongs)
    if retry:
        shards.forget(lambda row: "problem" in row and "final" in row)
    started, rows, skipped = time.monotonic(), 0, 0
    async with server:
        told(await server.check())
        queue: asyncio.Queue[Note] = asyncio.Queue(maxsize=2 * server.concurrency)
        open_shards: dict[int, dict[str, Any]] = {}
        with tqdm(desc="model", unit="note", total=_count(rules)) as bar:

            def close_if_complete(number: int) -> None:
                one = open_shards[number]
                if one["all_sent"] and len(one["rows"]) == one["sent"]:
                    shards.write(number, one["rows"])
                    del open_shards[number]

            async def work() -> None:
                while True:
                    note = await queue.get()
                    row = await _ask(note, server, two_passes)
                    open_shards[note.place // shard]["rows"].append(row)
                    close_if_complete(note.place // shard)
                    bar.update()
                    queue.task_done()

            workers = [asyncio.create_task(work()) for _ in range(server.concurrency)]
            try:
                grouped = groupby(read_notes(path, site=site, date=date), key=lambda note: note.place // shard)
                for number, notes in grouped:
                    done = shards.done(number)
                    if not done:
                        open_shards[number] = {"rows": [], "sent": 0, "all_sent": False}
                    for note in notes:
                        rows += 1
                        if done:
                            skipped += 1
                            bar.update()
                            continue
                        open_shards[number]["sent"] += 1
                        await _while_working(queue.put(note), workers)
                    if not done:
                        open_shards[number]["all_sent"] = True
                        close_if_complete(number)
                await _while_working(queue.join(), workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
    return _summary("model", shards, rows, skipped, time.monotonic() - started, out)


async def _while_working(waiting: Coroutine, workers: list[asyncio.Task]) -> None:
    """Wait for the queue; a worker that died (a full disk) must not leave us waiting for ever."""
    task = asyncio.ensure_future(waiting)
    await asyncio.wait([task, *workers], return_when=asyncio.FIRST_COMPLETED)
    for worker in workers:
        if worker.done() and worker.exception():
            error = worker.exception()
            if isinstance(error, OSError):
                raise RunError(f"results could not be written: {error.strerror}; finished shards stay") from None
            raise error
    await task


async def _ask(note: Note, server: Server, two_passes: bool) -> dict[str, Any]:
    row = _about(note)
    if note.case is None:
        return row | {"problem": note.problem}
    alone = review(note.case)
    asked = "short" if two_passes else "full"
    reply = await server.assess(note.case, short=two_passes)
    if two_passes and reply.assessment and (is_alert(alone.final) or is_alert(reply.assessment)):
        asked, reply = "full", await server.assess(note.case)
    row |= {"asked": asked, "seconds": round(reply.seconds, 3), "tries": reply.tries}
    if reply.assessment is None:  # the rules have read the note all the same
        return row | {"problem": reply.problem, "final": _fields(alone.final)}
    result = review(note.case, reply.assessment)
    return row | {
        "model": reply.assessment.model_dump(mode="json"),
        "final": _fields(result.final),
        "rules": sorted({c.rule for c in result.corrections}),
        "disagrees": list(differing(alone.final, reply.assessment)),
    }


def is_alert(said: Assessment) -> bool:
    """Calls an irAE, or asks for the same day: what a person is told of."""
    return said.irae_detected or said.urgency >= Urgency.URGENT


def rules_hash() -> str:
    """One hash over the code and the tables that the safety layer works by."""
    code = Path(__file__).parent.parent
    paths = [*sorted((code / "clinical").glob("*.py")), code / "safety.py", *sorted((DATA / "clinical").glob("*.json"))]
    return _sha("".join(file_sha256(path) for path in paths))


def _about(note: Note) -> dict[str, Any]:
    row = {"place": note.place, "id": note.id}
    row |= {key: value for key, value in (("site", note.site), ("date", note.date)) if value}
    return row | ({"note_sha256": _sha(note.case.text)} if note.case else {})


def _fields(said: Assessment) -> dict[str, Any]:
    """The five fields as plain JSON, and whether a person is told."""
    plain = said.model_dump(mode="json")
    found = {name: plain[name] for name in FIELDS if name in plain}
    return found | {"likelihood": plain["causality"]["likelihood"], "alert": is_alert(said)}


def _input(path: Path, shard: int, site: str, date: str) -> dict[str, Any]:
    return {"input": Path(path).name, "sha256": hash_of(path), "shard": shard, "site": site, "date": date}


def _count(rules: Shards) -> int | None:
    """Rows of the input, where the rules have been over it."""
    return sum(1 for _ in rules.rows()) or None


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _summary(stage: str, shards: Shards, rows: int, skipped: int, seconds: float, out: Path) -> Summary:
    """Count what is on disk, and gather the dead letters in one file."""
    bad = failed = alerts = 0
    dead = []
    for row in shards.rows():
        alerts += bool(row.get("final", {}).get("alert"))
        if "problem" in row:
            bad, failed = bad + ("final" not in row), failed + ("final" in row)
            dead.append({"place": row["place"], "id": row["id"], "reason": row["problem"]})
    write_lines(out / f"dead_letters_{stage}.jsonl", dead)
    return Summary(
        stage=stage, rows=rows, skipped=skipped, bad=bad, failed=failed, alerts=alerts, seconds=round(seconds, 2)
    )
