"""`python -m irae_lib.screening NOTES --out FOLDER [--server URL --model NAME]`: screen a file of notes.

With `--try --server URL` it only finds out whether the server serves the adapter; with `--gather` it counts what all
machines have put into the folder.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from ..errors import IraeError, RunError
from .adapter_check import try_server
from .notes import FROM_NOTE, count_rows
from .screen import SHARD, apply_rules, ask_model, summary
from .server import Server
from .shards import Part, Shards


def main(arguments: list[str] | None = None) -> int:
    """Run both stages; 0: every row has its answer, 1: it could not run, 3: some rows are in the dead letters."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.trial and not options.server:
        parser.error("--try needs a --server")
    if not options.trial and not (options.notes and options.out):
        parser.error("a file of notes and --out are needed")
    try:
        run = _try if options.trial else _gather if options.gather else _screen
        return run(options)
    except IraeError as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from the finished shards", file=sys.stderr)
        return 130


def _screen(options: argparse.Namespace) -> int:
    columns = {
        "site": options.site,
        "date": options.date,
        "exposed": options.exposed,
        "shard": options.shard,
        "part": Part.read(options.part),
    }
    stages = [apply_rules(options.notes, options.out, workers=options.workers, **columns)]
    print(stages[0].sentence, flush=True)
    if options.server:
        how = {
            "adapter": options.adapter,
            "base": options.base,
            "two_passes": not options.one_pass,
            "retry": options.retry,
            **columns,
        }
        stages.append(asyncio.run(ask_model(options.notes, options.out, _server(options), **how)))
        print(stages[1].sentence, flush=True)
    return 0 if all(one.clean for one in stages) else 3


def _gather(options: argparse.Namespace) -> int:
    found = [Shards(options.out / name) for name in ("rules", "model") if (options.out / name).is_dir()]
    if not found:
        raise RunError(f"{options.out.name}/ holds no run: neither rules/ nor model/ is in it")
    stages = [summary(one.folder.name, one, one.count(), 0.0) for one in found]
    rows = count_rows(options.notes)
    for one in stages:
        print(one.sentence)
        if missing := rows - one.rows:
            print(f"{one.stage}: {missing} of {rows} rows are missing: parts were not run, or are still at work")
    return 0 if all(one.clean and one.rows == rows for one in stages) else 3


def _try(options: argparse.Namespace) -> int:
    found = asyncio.run(try_server(_server(options)))
    print(f"the validated cases: {found.passed} of {found.n} pass, {found.unanswered} without an answer")
    if not found.good:
        print(
            f"an adapter of this project passes all of them. Is {options.model!r} the adapter or its base? Was it made "
            "for the class that is served? A server takes an adapter of foreign names without a word",
            file=sys.stderr,
        )
    return 0 if found.good else 3


def _server(options: argparse.Namespace) -> Server:
    return Server(
        options.server,
        options.model,
        key=os.environ.get(options.key_variable, ""),
        concurrency=options.concurrency,
        timeout=options.timeout,
        tries=options.tries,
        structured=not options.no_schema,
        logprobs=not options.no_logprobs,
        most=options.max_tokens,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m irae_lib.screening", description="Screen notes: the rules on every one, then a model."
    )
    parser.add_argument("notes", nargs="?", type=Path, help="JSON lines, CSV or Parquet with id and text (or sections)")
    parser.add_argument("--out", type=Path, help="folder of results; the same one goes on")
    parser.add_argument("--server", default="", help="OpenAI-compatible address ending in /v1; default: rules only")
    parser.add_argument("--model", default="irae", help="the name that the server serves")
    parser.add_argument("--try", dest="trial", action="store_true", help="only ask it the eleven validated cases")
    parser.add_argument("--adapter", default="", help="the adapter it serves, folder or name@commit, for the manifest")
    parser.add_argument("--base", default="", help="the base under it, likewise")
    parser.add_argument("--key-variable", default="IRAE_SERVER_KEY", help="environment variable with the server's key")
    parser.add_argument("--concurrency", type=int, default=16, help="requests at a time")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds a request")
    parser.add_argument("--tries", type=int, default=5, help="a note, in all")
    parser.add_argument("--max-tokens", type=int, default=512, help="of an answer")
    parser.add_argument("--no-schema", action="store_true", help="for a server without structured outputs")
    parser.add_argument("--no-logprobs", action="store_true", help="for a server that refuses to be asked for them")
    parser.add_argument("--one-pass", action="store_true", help="ask the whole question of every note")
    parser.add_argument("--retry", action="store_true", help="ask again about notes that have no answer")
    parser.add_argument("--gather", action="store_true", help="only count all parts, and write their dead letters")
    parser.add_argument("--workers", type=int, default=0, help="processes for the rules; default: all cores")
    parser.add_argument("--shard", type=int, default=SHARD, help="rows a shard")
    parser.add_argument("--part", default="", metavar="K/N", help="only this part of the shards, such as 3/8")
    parser.add_argument("--site", default="", help="column to count alerts by")
    parser.add_argument("--date", default="", help="column with a date, to count alerts by day")
    parser.add_argument(
        "--exposed",
        default=FROM_NOTE,
        metavar="yes|note|COLUMN",
        help="on or after a checkpoint inhibitor: all are, as each note says (default), or a column with yes, no or "
        "nothing",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
