"""Screen notes in two stages: the rules on every note, then a model at its own pace.

`apply_rules` uses all cores and needs no model. Its verdicts do not depend on the server. `ask_model` sends each note
to a server. If the server applies a schema, a short question comes first. The full question follows if the rules or the
short answer flag the note, or the rules did not assess it. Failures go to the dead letters with their reason, and the
rules' verdict stands.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from ..files import file_sha256
from ..safety.floors import review
from .constraint import fingerprint
from .notes import Note
from .rows import model_row, rules_hash, rules_row
from .server import Server
from .stage import ScreeningRun, ScreeningSummary, Stage


def apply_rules(run: ScreeningRun, *, workers: int = 0) -> ScreeningSummary:
    """Apply the safety layer to every note, in `workers` processes (0: one per core), and fill `out/rules/`.

    Raises:
        SchemaError, RunError: as `Stage`.
    """
    workers = workers or _cores()
    stage = Stage(run, "rules", {"rules": rules_hash()})
    with stage:
        if workers == 1:  # here: a process of its own would take seconds to start
            for notes in stage.unfinished():
                stage.add(*_rules_of(notes))
        else:
            _fill(stage, workers)
    return stage.summary()


def _fill(stage: Stage, workers: int) -> None:
    """Apply the rules to the unfinished notes of a stage, in `workers` processes."""
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        pending = []
        for notes in stage.unfinished():
            pending.append(pool.submit(_rules_of, notes))
            if len(pending) >= 3 * workers:  # memory does not grow with the file
                stage.add(*pending.pop(0).result())
        for future in pending:
            stage.add(*future.result())


def _cores() -> int:
    """Cores available to this process, which on a shared machine may be fewer than installed."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _rules_of(notes: list[Note]) -> list[dict[str, Any]]:
    return [rules_row(note) for note in notes]


async def ask_model(
    run: ScreeningRun,
    server: Server,
    *,
    adapter: str = "",
    base: str = "",
    two_passes: bool = True,
    retry: bool = False,
    log: Callable[[str], None] = print,
) -> ScreeningSummary:
    """Ask a server about every note and fill `out/model/`; finished shards are skipped.

    Args:
        adapter, base: served by the server, for the manifest, since the server does not report them: a folder (its
            weights are hashed), or a name with its commit.
        two_passes: ask the short question first, the full one only where needed; the server must apply schemas.
        retry: ask again about notes without an answer; the others keep theirs.

    Raises:
        AccessError: the server does not answer, ignores the schema, or stays unreachable (see `Server.assess`).
        SchemaError, RunError: as `Stage`.
    """
    two_passes = two_passes and server.structured
    schema = fingerprint(server.grammar) if server.structured else ""
    about = about_model(server.model, base, adapter, server.prompt.version, schema, server.max_tokens)
    stage = Stage(run, "model", about | {"two_passes": two_passes}, retry=retry)
    async with server:
        log(await server.check())
        with stage:
            notes = (note for notes in stage.unfinished() for note in notes)

            async def work() -> None:
                for note in notes:  # all workers share this iterator
                    stage.add(await _ask(note, server, two_passes))

            await _run_all(work() for _ in range(server.concurrency))
    return stage.summary()


async def _run_all(workers: Iterable) -> None:
    """Run workers until all are done; the first error stops the others and is raised."""
    tasks = [asyncio.create_task(worker) for worker in workers]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ask(note: Note, server: Server, two_passes: bool) -> dict[str, Any]:
    reply = await server.assess(note.case, short=two_passes)
    if not two_passes:
        return model_row(note, reply)
    alone = review(note.case, exposed=note.exposed)
    if not (reply.assessment and (reply.assessment.is_alert or alone.final.is_alert or not alone.assessed)):
        return model_row(note, reply, asked="short")
    full = await server.assess(note.case)
    seconds = reply.seconds + full.seconds
    if full.assessment is None:  # keep the short answer: it may still raise
        return model_row(note, reply._replace(problem=full.problem, seconds=seconds), asked="short")
    return model_row(note, full._replace(seconds=seconds))


def about_model(model: str, base: str, adapter: str, prompt: str, schema: str, max_tokens: int) -> dict[str, Any]:
    """Manifest entries for the model, its prompt, its `schema` (a fingerprint), and the rules applied to its answers."""
    weights = Path(adapter) / "adapter_model.safetensors"
    return {
        "model": model,
        "base": base,
        "adapter": file_sha256(weights) if adapter and weights.is_file() else adapter,
        "prompt": prompt,
        "schema": schema,
        "rules": rules_hash(),
        "max_tokens": max_tokens,
    }
