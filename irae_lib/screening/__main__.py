"""Command line: `python -m irae_lib.screening NOTES --out FOLDER [--server URL --model NAME]` screens a file of notes.

`--try --server URL` only checks that the server applies the adapter. `--gather` counts the rows that all machines have
written into the folder.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from ..errors import IraeError, RunError
from ..files import UTF_8, portable_name
from ..prompts import LONGEST_NOTE
from .adapter_check import check_adapter
from .fhir.worklist import worklist_fhir, write_worklist_fhir
from .notes import FROM_NOTE, count_rows, encoding_of_notes, is_fhir
from .screen import apply_rules, ask_model
from .server import Server
from .shards import WHOLE, ShardPart, Shards
from .stage import SHARD, ScreeningRun, ScreeningSummary, summarize
from .worklist import write_worklist

STATUS = (
    "exit status: 0 every row has an answer; 1 an error, nothing more was done; 2 wrong options; 3 rows are in the dead "
    "letters or missing; 130 stopped with Ctrl-C, the same command resumes"
)


def main(arguments: list[str] | None = None) -> int:
    """Run both stages and write the worklist; return the exit status (see `STATUS`)."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.check_adapter and not options.server:
        parser.error("--try needs a --server")
    if not options.check_adapter and not (options.notes and options.out):
        parser.error("a file of notes and --out are needed")
    try:
        command = _check_adapter if options.check_adapter else _gather if options.gather else _screen
        return command(options)
    except IraeError as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; the same command resumes after the finished shards", file=sys.stderr)
        return 130


def _screen(options: argparse.Namespace) -> int:
    if options.fhir_worklist:
        worklist_fhir((), references=False)  # if the library is missing, say so now
    part = ShardPart.read(options.part)
    columns = {name: getattr(options, name) for name in ("site", "date", "exposed")}
    run = ScreeningRun(options.notes, options.out, options.shard, part, **columns)
    if (encoding := encoding_of_notes(options.notes)) != UTF_8:
        print(f"{options.notes.name} is not UTF-8: read as {encoding}")
    stages = [_tell(apply_rules(run, workers=options.workers), run, options.fhir_worklist)]
    if options.server:
        settings = {name: getattr(options, name) for name in ("adapter", "base", "two_passes", "retry")}
        stages.append(_tell(asyncio.run(ask_model(run, _server(options), **settings)), run, options.fhir_worklist))
    return 0 if all(stage.clean for stage in stages) else 3


def _tell(stage: ScreeningSummary, run: ScreeningRun, as_fhir: bool) -> ScreeningSummary:
    """Print the summary of a stage and write the worklist: if a later stage fails, it holds what is known."""
    print(stage.sentence, flush=True)
    if run.part == WHOLE:
        _write_worklist(run.notes, run.out, as_fhir)
    return stage


def _write_worklist(notes: Path, out: Path, as_fhir: bool) -> None:
    table, *others = write_worklist(out)
    if as_fhir:
        others.append(write_worklist_fhir(out, references=is_fhir(notes)))
    names = ", ".join(path.name for path in others)
    print(f"worklist, worst first: {portable_name(table)}, {names}", flush=True)


def _gather(options: argparse.Namespace) -> int:
    folders = [folder for name in ("rules", "model") if (folder := options.out / name).is_dir()]
    if not folders:
        raise RunError(f"{options.out.name}/ is not a screening run: it has neither rules/ nor model/")
    stages = [summarize(shards, shards.count()) for shards in map(Shards, folders)]
    rows = count_rows(options.notes)
    for stage in stages:
        print(stage.sentence)
        if missing := rows - stage.rows:
            print(f"{stage.stage}: {missing} of {rows} rows are missing: parts were not run, or are still running")
    _write_worklist(options.notes, options.out, options.fhir_worklist)
    return 0 if all(stage.clean and stage.rows == rows for stage in stages) else 3


def _check_adapter(options: argparse.Namespace) -> int:
    check = asyncio.run(check_adapter(_server(options)))
    print(f"the validated cases: {check.passed} of {check.n} pass, {check.unanswered} without an answer")
    if check.passed < options.passes:
        print(
            f"expected {options.passes}, as in 03 (--passes). Check that {options.model!r} is the adapter, not the base, "
            "and that it was made for the class that is served. vLLM silently ignores an adapter of foreign names",
            file=sys.stderr,
        )
    return 0 if check.passed >= options.passes else 3


def _server(options: argparse.Namespace) -> Server:
    names = ("concurrency", "timeout", "tries", "max_tokens", "longest", "outage", "structured", "grammar", "logprobs")
    settings = {name: getattr(options, name) for name in names}
    return Server(options.server, options.model, key=os.environ.get(options.key_variable, ""), **settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m irae_lib.screening",
        description="Screen notes: the rules on every note, then a model. Writes a worklist, worst first.",
        epilog=STATUS,
    )

    def add(*names: str, help: str, **settings: Any) -> None:
        default = f" (default: {settings['default']})" if settings.get("default") else ""
        parser.add_argument(*names, help=help + default, **settings)

    add("notes", nargs="?", type=Path, help="JSON lines, CSV or Parquet with id and text (or sections); or FHIR")
    add("--out", type=Path, help="folder of results; the same folder resumes")
    add("--server", default="", help="OpenAI-compatible address ending in /v1; without it: rules only")
    add("--model", default="irae", help="the name that the server serves")
    add("--try", dest="check_adapter", action="store_true", help="only ask it the eleven validated cases")
    add("--passes", type=int, default=11, help="how many of the eleven the adapter passes in 03")
    add("--adapter", default="", help="the adapter it serves, folder or name@commit, for the manifest")
    add("--base", default="", help="the base under it, likewise")
    add("--key-variable", default="IRAE_SERVER_KEY", help="environment variable with the server's key")
    add("--concurrency", type=int, default=16, help="requests at a time")
    add("--timeout", type=float, default=120.0, help="seconds per request")
    add("--tries", type=int, default=5, help="requests per note")
    add("--max-tokens", type=int, default=512, help="tokens per answer")
    add("--outage", type=float, default=300.0, help="seconds to wait for a server that restarts")
    add("--longest", type=int, default=LONGEST_NOTE, help="characters; the model is not asked about a longer note")
    add("--no-schema", dest="structured", action="store_false", help="for a server without structured outputs")
    add("--grammar", action="store_true", help="with vLLM and guidance: the notebooks' grammar instead of the schema")
    add("--no-logprobs", dest="logprobs", action="store_false", help="for a server that refuses to send them")
    add("--one-pass", dest="two_passes", action="store_false", help="ask the full question about every note")
    add("--retry", action="store_true", help="ask again about notes that have no answer")
    add("--gather", action="store_true", help="only count all parts, and write their dead letters")
    add("--workers", type=int, default=0, help="processes for the rules; 0: all cores")
    add("--shard", type=int, default=SHARD, help="rows per shard")
    add("--part", default="", metavar="K/N", help="only this part of the shards, such as 3/8")
    add("--site", default="", help="column to count alerts by")
    add("--date", default="", help="column with a date, to count alerts by day")
    exposed = "on or after a checkpoint inhibitor: yes (all), note (as each says), or a column of yes and no"
    as_fhir = "write the worklist as FHIR as well (DetectedIssue); needs fhir.resources"
    add("--fhir-worklist", action="store_true", help=as_fhir)
    add("--exposed", default=FROM_NOTE, metavar="yes|note|COLUMN", help=exposed)
    return parser


if __name__ == "__main__":
    sys.exit(main())
