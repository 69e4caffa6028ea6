"""Screen against a real server while client and server are killed, and compare with an undisturbed run.

    pip install "transformers[serving]"
    python tests/soak_batch.py [--notes 2000] [--client-kills 10] [--server-kills 3]

`transformers serve` on the loopback address with the merged rehearsal model and continuous batching; it keeps answers
to no schema, the tuned model writes the form by itself. No note may be lost or doubled, and every final answer must be
that of the undisturbed run.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
ENVIRONMENT = os.environ | {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "PYTHONPATH": str(ROOT)}
# Sized for the rehearsal: the default cache takes all memory, and every step then reads all of it.
SERVE = ["--device", "cpu", "--continuous-batching", "--cb-num-blocks", "384", "--cb-block-size", "32"]
SERVE += ["--cb-max-batch-tokens", "512"]


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
    command = [sys.executable, "-m", "irae_lib.batch", str(notes), "--out", str(out), "--no-schema", "--shard", "50"]
    command += ["--server", f"http://127.0.0.1:{serve.port}/v1", "--model", str(serve.model), "--max-tokens", "320"]
    command += ["--concurrency", str(concurrency)]
    return subprocess.Popen(
        command, env=ENVIRONMENT, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def answers(out: Path) -> list[dict]:
    """Rows without what depends on the moment."""
    rows = [json.loads(line) for path in sorted((out / "model").glob("*.jsonl")) for line in path.open()]
    return [{key: value for key, value in row.items() if key not in ("seconds", "tries")} for row in rows]


def main() -> None:
    """Undisturbed, disturbed, compared."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--notes", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--client-kills", type=int, default=10)
    parser.add_argument("--server-kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    from irae_lib.merge import merge
    from irae_lib.runtime import DATA, choose_profile
    from irae_lib.synthesis import make_cases

    with tempfile.TemporaryDirectory(prefix="soak_") as aside:
        folder, rng = Path(aside), random.Random(options.seed)
        os.environ["TQDM_DISABLE"] = "1"
        merge(DATA / "rehearsal_adapter", folder / "merged", choose_profile("rehearsal"), text_only=True)
        notes = folder / "notes.jsonl"
        cases = make_cases(options.notes, pool="test", seed=9, prefix="soak", detail="short")
        notes.write_text("".join(json.dumps({"id": c.case.id, "text": c.case.text}) + "\n" for c in cases))
        serve = Serve(folder / "merged", folder)
        try:
            began = time.monotonic()
            done = client(notes, folder / "whole", serve, options.concurrency)
            said, seconds = done.communicate()[0], time.monotonic() - began
            print(f"undisturbed: {said.strip().splitlines()[-1]}", flush=True)
            if not (folder / "whole" / "model").is_dir():
                raise SystemExit(said)
            # Kills spread over the time that the undisturbed run took; the others come while work is still left.
            events = ["client"] * options.client_kills + ["server"] * options.server_kills
            rng.shuffle(events)
            for number, event in enumerate(events, 1):
                running = client(notes, folder / "broken", serve, options.concurrency)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    running.wait(rng.uniform(0.5, 1.0) * seconds / len(events) + 2)
                if event == "server" and running.poll() is None:
                    serve.kill()
                    time.sleep(rng.uniform(0, 3))
                    serve.start()
                running.send_signal(signal.SIGKILL)
                running.wait()
                have = len(list((folder / "broken" / "model").glob("*.jsonl")))
                print(f"kill {number}: the {event}; {have} shards of {-(-options.notes // 50)} finished", flush=True)
            last = client(notes, folder / "broken", serve, options.concurrency)
            print(f"at last: {last.communicate()[0].strip().splitlines()[-1]}", flush=True)
        finally:
            serve.kill()
        whole, broken = answers(folder / "whole"), answers(folder / "broken")
        places = [row["place"] for row in broken]
        same = sum(a == b for a, b in zip(whole, broken, strict=True)) if len(whole) == len(broken) else 0
        finals = sum(a["final"] == b["final"] for a, b in zip(whole, broken, strict=True)) if same else 0
        print(f"rows {len(broken)}, in order and once each: {places == list(range(options.notes))}")
        print(f"same final answer as undisturbed: {finals} of {len(whole)}; same row: {same}")
        sys.exit(0 if places == list(range(options.notes)) and finals == len(whole) else 1)


if __name__ == "__main__":
    main()
