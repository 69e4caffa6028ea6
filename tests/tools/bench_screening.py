"""Screening at size: notes per second of the rules on all cores, and that memory does not grow with the input.

    python tests/tools/bench_screening.py [--rules 100000] [--rows 200000]

The server is a stub in a process of its own; what is measured is the client. Peak memory is that of the whole client.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUPPORT = ROOT / "tests" / "support"
sys.path[:0] = [str(ROOT), str(SUPPORT)]
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{SUPPORT}", "TQDM_DISABLE": "1"}
STUB = """
import time
from stub_server import StubServer
with StubServer() as server:
    print(server.url, flush=True)
    time.sleep(86400)
"""


def write(path: Path, texts: list[str], n: int) -> Path:
    """`n` notes, the given ones over and over."""
    with path.open("w") as out:
        for i in range(n):
            out.write(json.dumps({"id": f"n{i}", "text": f"{texts[i % len(texts)]}\nRow {i}."}) + "\n")
    return path


def run(*arguments: str) -> tuple[float, float, float]:
    """The command line: seconds, peak memory in MB, and how many cores it and its workers kept busy."""
    began = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-m", "irae_lib.screening", *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = child.stdout.read().strip().splitlines()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"the client ended with {status}: {said}")
    seconds = time.monotonic() - began
    return seconds, usage.ru_maxrss / 1024, (usage.ru_utime + usage.ru_stime) / seconds


def main() -> None:
    """Rules first, then memory at 1,000 and at many rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rules", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=200_000)
    options = parser.parse_args()
    from irae_lib.synthesis.make_cases import make_cases

    texts = [one.case.text for one in make_cases(500, pool="test", seed=3, prefix="bench")]
    with tempfile.TemporaryDirectory() as aside:
        folder = Path(aside)
        if options.rules:
            notes = write(folder / "rules.jsonl", texts, options.rules)
            for workers in ("1", "0"):
                seconds, peak, cores = run(str(notes), "--out", str(folder / f"rules{workers}"), "--workers", workers)
                what = f"a worker a core ({os.cpu_count()})" if workers == "0" else "one worker"
                rate = f"{options.rules / seconds:.0f} notes/s, {seconds:.0f} s"
                print(f"rules, {what}: {rate}, {cores:.2f} cores busy, reader's peak {peak:.0f} MB", flush=True)
        stub = subprocess.Popen([sys.executable, "-c", STUB], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
        try:
            url, peaks = stub.stdout.readline().strip(), []
            if not url:  # without an address the client would run the rules alone, and look very fast
                raise SystemExit("the stub server did not start")
            for rows in (1000, options.rows):
                notes = write(folder / f"{rows}.jsonl", ["Nivolumab, cycle 3. Feels well."], rows)
                seconds, peak, _ = run(str(notes), "--out", str(folder / f"out{rows}"), "--server", url, "--one-pass")
                peaks.append(peak)
                print(f"{rows} rows through a server: {rows / seconds:.0f} notes/s, peak {peak:.0f} MB", flush=True)
        finally:
            stub.kill()
        print(f"memory grew by {peaks[1] - peaks[0]:.0f} MB")
        sys.exit(peaks[1] - peaks[0] > 50)


if __name__ == "__main__":
    main()
