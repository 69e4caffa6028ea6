"""Serve the small Gemma with an adapter in a real vLLM on a CPU, screen notes through it, and compare.

    python tests/tools/real_vllm.py ENVIRONMENT --adapter FOLDER --out FOLDER [--notes 100] [--compared 100]

ENVIRONMENT is the folder for vLLM's own environment: installed on first use (some minutes, 3 GB), kept after that. The
adapter is one of the small Gemma: `python -m irae_lib.run --profile gemma --only 02` trains one in about 35 minutes on
two cores, into runs/NAME/adapters/full.

Steps: `--try`; 100 notes in two passes; the same again with the server killed and started in the middle; a few notes
with `--grammar`; a replay of the server's answers by the local model; local answers to the same notes. Each finished step is saved in --out, and the
same command continues. It ends with a table, and with 0 if every note was answered or has a reason, and the server's
death changed nothing but near ties.

What differs from irae_lib/screening/cluster/vllm.yaml on a GPU is printed (`vllm_cpu.differences`).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from compare_decoding import Comparison, Local, Schema, Step, cause, labels, respelled  # noqa: E402 - next to this file
from vllm_cpu import Environment, Vllm, cpu_flags, differences, fitting_dtype  # noqa: E402

from irae_lib.cases import LabelledCase, validated_cases  # noqa: E402 - from this checkout
from irae_lib.evaluation.scoring import score  # noqa: E402
from irae_lib.files import save_json, write_lines  # noqa: E402
from irae_lib.schemas import FIELDS, Assessment  # noqa: E402
from irae_lib.screening.adapter_check import AdapterCheck  # noqa: E402
from irae_lib.screening.constraint import FULL, SHORT  # noqa: E402
from irae_lib.synthesis.make_cases import make_cases  # noqa: E402
from irae_lib.workspace import small_gemma  # noqa: E402

SHARD = 10
TIMEOUT = 600  # seconds per request: on two cores, 16 answers at a time take minutes
TIMES = ("seconds", "tries", "confidence", "certainty")  # what of a row may depend on the moment


def lasting(row: Mapping[str, Any]) -> dict[str, Any]:
    """What of a row may not depend on the moment."""
    return {name: value for name, value in row.items() if name not in TIMES}


class Trial:
    """The steps against one server; each result is saved in `out`, and read from there the next time."""

    def __init__(self, out: Path, cases: Sequence[LabelledCase], vllm: Vllm, adapter: Path, concurrency: int):
        self.out, self.cases, self.vllm, self.adapter, self.concurrency = out, cases, vllm, adapter, concurrency
        self.notes = out / "notes.jsonl"
        write_lines(self.notes, ({"id": case.case.id, "text": case.case.text} for case in cases))

    def step(self, name: str, work: Callable[[], Any], *, served: bool = True) -> Any:
        """The result of a step, run now if it is not saved; the server is started for the first that needs it."""
        path = self.out / f"{name}.json"
        if not path.is_file():
            if served and not self.vllm.process:
                print(f"the server answers after {self.vllm.start():.0f} s", flush=True)
            began = time.monotonic()
            save_json(path, {"result": work(), "seconds": round(time.monotonic() - began, 1)})
            print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        return json.loads(path.read_text(encoding="utf-8"))

    def client(self, *arguments: str | Path) -> subprocess.Popen:
        """`python -m irae_lib.screening` with these arguments, against the server."""
        command = [sys.executable, "-m", "irae_lib.screening", *map(str, arguments), "--server", self.vllm.url]
        command += ["--concurrency", str(self.concurrency), "--timeout", str(TIMEOUT)]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def try_adapter(self) -> str:
        """What `--try` says of the validated cases."""
        said = self.client("--try").communicate()[0].strip().splitlines()
        return next((line for line in said if line.startswith("the validated cases")), said[-1])

    def screen(self, name: str, *, kill: bool = False) -> dict[str, Any]:
        """Screen the notes into a folder; with `kill`, kill the server after a third of the shards, and restart it."""
        out, kills = self.out / name, []
        command = (self.notes, "--out", out, "--shard", str(SHARD), "--adapter", self.adapter)
        running = self.client(*command)
        while kill and running.poll() is None:
            shards = len(list((out / "model").glob("[0-9]*.jsonl")))
            if shards >= len(self.cases) / SHARD / 3:
                self.vllm.kill()
                kills.append({"shards": shards, "restart_seconds": round(self.vllm.start(), 1)})
                break
            time.sleep(0.2)
        said, resumed = running.communicate()[0].strip().splitlines(), 0
        while running.returncode == 1 and resumed < 2:  # a slow machine needs longer than a client waits for a server
            running, resumed = self.client(*command), resumed + 1
            said = running.communicate()[0].strip().splitlines()
        last = next((line for line in said if line.startswith("model:")), said[-1])
        return {"exit": running.returncode, "said": last, "kills": kills, "resumed": resumed}

    def screen_in_grammar(self, notes: int) -> str:
        """Screen the first notes with the notebooks' grammar; the summary of the model stage."""
        some = self.out / "some.jsonl"
        write_lines(some, ({"id": case.case.id, "text": case.case.text} for case in self.cases[:notes]))
        said = self.client(some, "--out", self.out / "grammar", "--grammar").communicate()[0].strip().splitlines()
        return next((line for line in said if line.startswith("model:")), said[-1])

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of a screening, in the order of the notes."""
        paths = sorted((self.out / name / "model").glob("[0-9]*.jsonl"))
        return [json.loads(line) for path in paths for line in path.open(encoding="utf-8")]


def right(cases: Sequence[LabelledCase], texts: Mapping[int, str]) -> str:
    """How many of the five fields are right in answers or labels as JSON."""
    hits = sum(
        score(Assessment.model_validate_json(text), cases[place].expected).total for place, text in texts.items()
    )
    return f"{hits} of {len(FIELDS) * len(texts)}"


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Rows of (what, result) as a Markdown table."""
    return "\n".join(["| what | result |", "|---|---|", *(f"| {what} | {result} |" for what, result in rows)])


def replay_row(kind: str, replays: Sequence[tuple[str, Sequence[Step]]]) -> tuple[str, str]:
    """Table row: how many answers (text, replay) are, token by token, the local model's choice, and how far others are.

    The replay tokenizes the text anew. Where the model prefers to spell the same text in other tokens, the server may
    have done so: nothing after that tells.
    """
    first = [(text, steps[0]) for text, steps in replays if steps]
    margins = [step.margin for text, step in first if not respelled(step, text)]
    text = f"{len(replays) - len(first)} of {len(replays)}"
    if len(first) > len(margins):
        text += f"; {len(first) - len(margins)} spell the same text in other tokens"
    if margins:
        text += f"; {len(margins)} part by {statistics.median(margins):.2f} nats (median), at most {max(margins):.2f}"
    return f"{kind}: every token is the local model's choice under the server's schema", text


def compared_rows(kind: str, cases: Sequence[LabelledCase], comparisons: Sequence[Comparison]) -> list[tuple[str, str]]:
    """Table rows for the answers of one question: how many are the local ones, why not, and how many are right."""
    n, causes = len(comparisons), Counter(c.cause for c in comparisons)
    others = "".join(f"; {count} {name}" for name, count in causes.most_common() if name != "same")
    served, local = ({c.place: getattr(c, side) for c in comparisons} for side in ("served", "local"))
    return [
        (f"{kind}: the same as local greedy decoding", f"{causes['same']} of {n}{others}"),
        (f"{kind}: fields right, served and local", f"{right(cases, served)}, {right(cases, local)}"),
    ]


def restart_rows(local: Local, whole: Sequence[dict], broken: Sequence[dict]) -> tuple[list[tuple[str, str]], bool]:
    """Table rows for the run whose server died, and whether only near ties differ."""
    pairs = list(zip(whole, broken, strict=True))
    parted = [(a, b) for a, b in pairs if lasting(a) != lasting(b)]
    schema, causes = Schema(local.replay.words, FULL), Counter()
    for a, b in parted:
        if a.get("asked") != b.get("asked") or "problem" in {**a, **b}:
            causes["one has no full answer"] += 1
            continue
        texts = [text_of(row) for row in (a, b)]
        if a["asked"] == "short":
            schema = Schema(local.replay.words, SHORT)
        steps = sorted(step for text in texts for step in local.steps(a["place"], text, schema))
        causes[cause(*texts, steps).split(":")[0]] += 1
    bits = sum(a.get("confidence") == b.get("confidence") for a, b in pairs)
    result = [
        ("rows equal after kill and restart", f"{len(pairs) - len(parted)} of {len(pairs)}"),
        ("of these rows, confidences equal to six digits", f"{bits} of {len(pairs)}"),
        ("why the others differ", ", ".join(f"{n} {name}" for name, n in causes.items()) or "none do"),
    ]
    return result, set(causes) <= {"near tie"}


def text_of(row: Mapping[str, Any]) -> str:
    """The compact JSON of a row's answer: all of it, or the labels if only they were asked for."""
    answer = Assessment.model_validate(row["model"])
    return labels(answer) if row["asked"] == "short" else answer.to_json()


def serve(trial: Trial, compared: int) -> dict[str, Any]:
    """All steps that need the server."""
    try:
        return {
            "try": trial.step("try", trial.try_adapter),
            "whole": trial.step("whole", lambda: trial.screen("whole")),
            "broken": trial.step("broken", lambda: trial.screen("broken", kill=True)),
            "grammar": trial.step("grammar", lambda: trial.screen_in_grammar(compared)),
        }
    finally:
        trial.vllm.kill()


def quotes_row(cases: Sequence[LabelledCase], texts: Mapping[int, str]) -> tuple[str, str]:
    """Table row: how much of the served evidence is quoted word for word, which a schema cannot demand."""
    answers = {place: Assessment.model_validate_json(text) for place, text in texts.items()}
    found = [quote in cases[place].case.text for place, answer in answers.items() for quote in answer.evidence]
    return "evidence found word for word in the note, served", f"{sum(found)} of {len(found)}"


def grammar_row(trial: Trial, local: Local) -> tuple[str, str]:
    """Table row: how many answers in the notebooks' grammar are those of the notebooks' decoding."""
    same = []
    rows = [row for row in trial.rows("grammar") if "model" in row]
    for short in (True, False):
        asked = [row for row in rows if (row["asked"] == "short") == short]
        answers = local.answers([trial.cases[row["place"]] for row in asked], short=short)
        form = labels if short else Assessment.to_json
        same.append(sum(text_of(row) == form(answer) for row, answer in zip(asked, answers, strict=True)))
        same.append(len(asked))
    return "with `--grammar`, same as the notebooks' decoding", "labels {} of {}, full answers {} of {}".format(*same)


def run_row(
    what: str, n: int, rows: Sequence[Mapping[str, Any]], step: Mapping[str, Any]
) -> tuple[tuple[str, str], bool]:
    """Table row of a screening, and whether every note is there once, with an answer or a reason."""
    result, reasons = step["result"], Counter(row["problem"] for row in rows if "problem" in row)
    dead = "; ".join(f"{count} {reason}" for reason, count in reasons.items()) or "none"
    answered = sum("model" in row and "problem" not in row for row in rows)
    text = f"{answered} of {n} answered, dead letters: {dead}; {step['seconds']:.0f} s"
    for kill in result["kills"]:
        text += f"; killed after {kill['shards']} shards, back in {kill['restart_seconds']:.0f} s"
    text += ", client started again" * result.get("resumed", 0)
    once = [row["place"] for row in rows] == list(range(n))
    return (what, text), once and result["exit"] in (0, 3) and all("model" in row or row.get("problem") for row in rows)


def report(trial: Trial, steps: Mapping[str, Any], versions: Mapping[str, str], compared: int) -> bool:
    """Print the table; whether every note has an answer or a reason, and only near ties differ after the kill."""
    whole, broken, n = trial.rows("whole"), trial.rows("broken"), len(trial.cases)
    local = Local(trial.out, trial.cases, trial.adapter)
    undisturbed, complete = run_row("undisturbed", n, whole, steps["whole"])
    disturbed, resumed = run_row("server killed", n, broken, steps["broken"])
    restarted, alike = restart_rows(local, whole, broken)
    own = AdapterCheck.of_answers(local.answers(validated_cases()))
    rows = [
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("`--try`", f"{steps['try']['result']}; locally {own.passed}; {steps['try']['seconds']:.0f} s"),
        *(undisturbed, disturbed, *restarted),
    ]
    for kind, asked in (("five labels alone", "short"), ("full answer", "full")):
        served = {row["place"]: text_of(row) for row in whole if row.get("asked") == asked and "model" in row}
        schema = Schema(local.replay.words, SHORT if asked == "short" else FULL)
        rows.append(replay_row(kind, [(text, local.steps(place, text, schema)) for place, text in served.items()]))
        few = dict(list(served.items())[:compared])
        rows += compared_rows(kind, trial.cases, local.compared(few, short=asked == "short"))
    rows += [quotes_row(trial.cases, served), grammar_row(trial, local)]  # quotes: of the full answers
    print(f"\n{table(rows)}")
    return complete and resumed and alike


def main() -> int:
    """Serve, screen, kill, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("environment", type=Path, help="folder of vLLM's environment, kept between runs")
    parser.add_argument("--adapter", type=Path, required=True, help="an adapter of the small Gemma")
    parser.add_argument("--out", type=Path, required=True, help="folder of results; the same folder continues")
    parser.add_argument("--notes", type=int, default=100)
    parser.add_argument("--compared", type=int, default=100, help="answers of each kind to compare with local ones")
    parser.add_argument("--concurrency", type=int, default=16, help="requests at a time")
    parser.add_argument("--dtype", default="", help="bfloat16 or float32; default: what this CPU is fast in")
    options = parser.parse_args()
    if not (options.adapter / "adapter_config.json").is_file():
        parser.error(f"{options.adapter} is not an adapter; see the top of this file for how to train one")
    for name in ("environment", "adapter", "out"):
        setattr(options, name, getattr(options, name).resolve())
    options.out.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leaves through `finally`, which ends the server
    os.chdir(ROOT)  # base models have names relative to the checkout
    dtype = options.dtype or fitting_dtype(cpu_flags())
    environment, base = Environment(options.environment), small_gemma.unpack()
    print("\n".join(f"{name}: {text}" for name, text in differences(dtype).items()), flush=True)
    cases = make_cases(options.notes, pool="test", seed=25, prefix="served", detail="short")
    vllm = Vllm(environment, base, options.adapter, options.out / "server.log", dtype)
    trial = Trial(options.out, cases, vllm, options.adapter, options.concurrency)
    return 0 if report(trial, serve(trial, options.compared), environment.versions, options.compared) else 1


if __name__ == "__main__":
    sys.exit(main())
