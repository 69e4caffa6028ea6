"""Screen against a real server while client and server are killed, and compare with an undisturbed run.

    pip install -r tests/requirements-extra.txt
    python tests/tools/soak_screening.py [--notes 2000] [--client-kills 10] [--server-kills 3]

`transformers serve` on the loopback address with the merged rehearsal model and continuous batching; it keeps answers
to no schema, the tuned model writes the form by itself. No note may be lost or doubled, and every row must be that
of the undisturbed run.
"""

import argparse
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from irae_lib.files import write_text  # noqa: E402 - from this checkout

ENVIRONMENT = os.environ | {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "PYTHONPATH": str(ROOT)}
# Sized for the rehearsal: the default cache takes all memory, and every step then reads all of it.
SERVE = ["--device", "cpu", "--continuous-batching", "--cb-num-blocks", "384", "--cb-block-size", "32"]
SERVE += ["--cb-max-batch-tokens", "512"]
SHARD = 50


class Serve:
    """`transformers serve` in a process of its own, at a fixed port, to be killed and started again."""

    def __init__(self, model: Path, folder: Path):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.model, self.log, self.kills = model, folder / "server.log", 0
        (folder / "home" / "hub").mkdir(parents=True)  # /v1/models answers 500 until it is there
        self.environment = ENVIRONMENT | {"HF_HOME": str(folder / "home")}
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(self.model)]
        command += ["--host", "127.0.0.1", "--port", str(self.port), *SERVE]
        out = self.log.open("a")
        self.process = subprocess.Popen(command, stdout=out, stderr=out, env=self.environment)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/health", trust_env=False)
                return
            except httpx.HTTPError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.3)
        raise SystemExit(f"transformers serve did not start:\n{self.log.read_text()[-2000:]}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def client(notes: Path, out: Path, serve: Serve, concurrency: int) -> subprocess.Popen:
    command = [
        sys.executable,
        "-m",
        "irae_lib.screening",
        str(notes),
        "--out",
        str(out),
        "--no-schema",
        "--shard",
        str(SHARD),
    ]
    command += ["--server", f"http://127.0.0.1:{serve.port}/v1", "--model", str(serve.model), "--max-tokens", "320"]
    command += ["--concurrency", str(concurrency)]
    return subprocess.Popen(
        command, env=ENVIRONMENT, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finished(out: Path) -> int:
    return len(list((out / "model").glob("[0-9]*.jsonl")))


def disturb(
    start: Callable[[], subprocess.Popen], serve: Serve, out: Path, events: list[str], rng: random.Random, of: int
) -> tuple[str, dict[str, int]]:
    """Kill whom each event names at a random moment while work is left; the last words of the client, and the kills.

    A killed client is started again, a killed server comes back after some seconds under the client's feet.
    """
    kills = dict.fromkeys(events, 0)
    moments = sorted(rng.sample(range(1, of - 1), len(events)))
    running = start()
    for moment, event in zip(moments, events, strict=True):
        while finished(out) < moment and running.poll() is None:
            time.sleep(0.1)
        time.sleep(rng.uniform(0, 4))
        if running.poll() is not None:
            break
        if event == "server":
            serve.kill()
            time.sleep(rng.uniform(0, 3))
            serve.start()
        else:
            running.send_signal(signal.SIGKILL)
            running.wait()
        kills[event] += finished(out) < of
        print(f"the {event} killed, {finished(out)} of {of} shards finished", flush=True)
        running = running if event == "server" else start()
    return running.communicate()[0].strip().splitlines()[-1], kills


def rows(out: Path) -> list[dict]:
    """Rows without what depends on the moment."""
    found = [json.loads(line) for path in sorted((out / "model").glob("[0-9]*.jsonl")) for line in path.open()]
    return [{key: value for key, value in row.items() if key not in ("seconds", "tries")} for row in found]


def measure(report: Path, notes: Path, folder: Path, serve: Serve, at_16: float) -> None:
    """Seconds of answers that have the server for themselves."""
    few = folder / "few.jsonl"
    few.write_text("".join(notes.read_text().splitlines(keepends=True)[:200]))
    client(few, folder / "alone", serve, 1).communicate()
    found = [json.loads(line) for path in (folder / "alone" / "model").glob("[0-9]*.jsonl") for line in path.open()]
    what = "rehearsal base and adapter merged, transformers serve with continuous batching, two CPU cores"
    seconds = [row["seconds"] for row in found]
    write_text(report, json.dumps({"what": what, "seconds_alone": seconds, "notes_per_second_at_16": at_16}) + "\n")


def main() -> None:
    """Undisturbed, disturbed, compared."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--notes", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--client-kills", type=int, default=10)
    parser.add_argument("--server-kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--report", type=Path, help="measure 200 notes one by one, too, and write what 06 simulates from"
    )
    options = parser.parse_args()
    from irae_lib.files import DATA
    from irae_lib.publishing.merge import merge
    from irae_lib.synthesis.make_cases import make_cases
    from irae_lib.workspace.profiles import choose_profile

    shards, rng = -(-options.notes // SHARD), random.Random(options.seed)
    events = ["client"] * options.client_kills + ["server"] * options.server_kills
    if len(events) > shards - 2:
        raise SystemExit(f"{len(events)} kills want {(len(events) + 2) * SHARD} notes or more")
    rng.shuffle(events)
    with tempfile.TemporaryDirectory(prefix="soak_") as aside:
        folder = Path(aside)
        os.environ["TQDM_DISABLE"] = "1"
        merge(DATA / "rehearsal_adapter", folder / "merged", choose_profile("rehearsal"), text_only=True)
        notes = folder / "notes.jsonl"
        cases = make_cases(options.notes, pool="test", seed=9, prefix="soak", detail="short")
        notes.write_text("".join(json.dumps({"id": c.case.id, "text": c.case.text}) + "\n" for c in cases))
        serve = Serve(folder / "merged", folder)
        try:
            said = client(notes, folder / "whole", serve, options.concurrency).communicate()[0]
            print(f"undisturbed: {said.strip().splitlines()[-1]}", flush=True)
            if finished(folder / "whole") < shards:
                raise SystemExit(said)
            if options.report:
                measure(options.report, notes, folder, serve, float(re.findall(r"([\d.]+) notes/s", said)[-1]))

            def start() -> subprocess.Popen:
                return client(notes, folder / "broken", serve, options.concurrency)

            last, kills = disturb(start, serve, folder / "broken", events, rng, shards)
            print(f"at last: {last}", flush=True)
        finally:
            serve.kill()
        whole, broken = rows(folder / "whole"), rows(folder / "broken")
    once = [row["place"] for row in broken] == list(range(options.notes))
    same = sum(a == b for a, b in zip(whole, broken, strict=True)) if once else 0
    finals = sum(a["final"] == b["final"] for a, b in zip(whole, broken, strict=True)) if once else 0
    print(f"kills while work was left: {kills}; rows {len(broken)}, in order and once each: {once}")
    print(f"same final answer as undisturbed: {finals} of {len(whole)}; same row: {same}")
    sys.exit(0 if once and same == finals == len(whole) and sum(kills.values()) == len(events) else 1)


if __name__ == "__main__":
    main()
