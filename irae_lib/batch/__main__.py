"""`python -m irae_lib.batch NOTES --out FOLDER [--server URL --model NAME]`: screen a file of notes."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from ..schemas import IraeError
from .screen import SHARD, Summary, apply_rules, ask_model
from .server import Server
from .shards import Part


def main(arguments: list[str] | None = None) -> int:
    """Run both stages; 0: every row has its answer, 1: it could not run, 3: some rows are in the dead letters."""
    options = _parser().parse_args(arguments)
    try:
        columns = {"site": options.site, "date": options.date, "shard": options.shard, "part": Part.read(options.part)}
        stages = [apply_rules(options.notes, options.out, workers=options.workers, **columns)]
        _say(stages[0], options.out)
        if options.server:
            server = Server(
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
            stages.append(
                asyncio.run(
                    ask_model(
                        options.notes,
                        options.out,
                        server,
                        adapter=options.adapter,
                        two_passes=not options.one_pass,
                        retry=options.retry,
                        **columns,
                    )
                )
            )
            _say(stages[1], options.out)
    except IraeError as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from the finished shards", file=sys.stderr)
        return 130
    return 0 if all(one.clean for one in stages) else 3


def _say(one: Summary, out: Path) -> None:
    lost = f", see {one.dead_letters}" if not one.clean else ""
    print(
        f"{one.stage}: {one.rows} rows, {one.skipped} done before, {one.alerts} alerts, {one.bad} bad rows, "
        f"{one.failed} without an answer{lost}; {one.seconds:.0f} s, {one.notes_per_second:.1f} notes/s; "
        f"in {out.name}/{one.stage}/",
        flush=True,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m irae_lib.batch", description="Screen notes: the rules on every one, then a model."
    )
    parser.add_argument("notes", type=Path, help="JSON lines, CSV or Parquet with id and text (or sections)")
    parser.add_argument("--out", type=Path, required=True, help="folder of results; the same one goes on")
    parser.add_argument("--server", default="", help="OpenAI-compatible address ending in /v1; default: rules only")
    parser.add_argument("--model", default="irae", help="the name that the server serves")
    parser.add_argument("--adapter", default="", help="hash or commit of the adapter it serves, for the manifest")
    parser.add_argument("--key-variable", default="IRAE_SERVER_KEY", help="environment variable with the server's key")
    parser.add_argument("--concurrency", type=int, default=16, help="requests at a time")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds a request")
    parser.add_argument("--tries", type=int, default=5, help="a note, in all")
    parser.add_argument("--max-tokens", type=int, default=512, help="of an answer")
    parser.add_argument("--no-schema", action="store_true", help="for a server without structured outputs")
    parser.add_argument("--no-logprobs", action="store_true", help="for a server that refuses to be asked for them")
    parser.add_argument("--one-pass", action="store_true", help="ask the whole question of every note")
    parser.add_argument("--retry", action="store_true", help="ask again where a note has no answer")
    parser.add_argument("--workers", type=int, default=0, help="processes for the rules; default: all cores")
    parser.add_argument("--shard", type=int, default=SHARD, help="rows a shard")
    parser.add_argument("--part", default="", metavar="K/N", help="only this part of the shards, such as 3/8")
    parser.add_argument("--site", default="", help="column to count alerts by")
    parser.add_argument("--date", default="", help="column with a date, to count alerts by day")
    return parser


if __name__ == "__main__":
    sys.exit(main())
