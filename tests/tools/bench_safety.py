"""Notes per second of the safety layer on one core, beside medspaCy's context pipeline over the same notes.

    python tests/tools/bench_safety.py [--cases FILE] [--repeats 9]

Notes are made as long as a real progress note (about 1 kB) from the rule examples and the validated cases; with
--cases from any JSON-lines file with a `text`. medspaCy is used when it is installed (pip install medspacy); it is
asked only for sentences, targets and their context, without any grading. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from irae_lib import Case, review  # noqa: E402
from irae_lib.cases import validated_cases  # noqa: E402


def notes(path: Path | None, length: int = 1000) -> list[str]:
    """Texts of about `length` characters."""
    if path is None:
        rows = [
            json.loads(line) for line in (ROOT / "tests/cases/rules.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        texts = [case.case.text for case in validated_cases()]
        texts += [row[kind] for kind in ("fires", "below", "quiet") for row in rows]
    else:
        texts = [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    made, part = [], ""
    for text in texts:
        part = f"{part}\n{text}" if part else text
        if len(part) >= length:
            made.append(part[:length])
            part = ""
    return made or [part]


def seconds(run, texts: list[str]) -> float:
    started = time.perf_counter()
    for text in texts:
        run(text)
    return time.perf_counter() - started


def medspacy_pipeline(targets: list[str]):
    """medspaCy with its default sentence splitter and context rules; None where it is not installed."""
    try:
        import medspacy
        from medspacy.ner import TargetRule
    except ImportError:
        return None
    pipeline = medspacy.load(medspacy_enable=["medspacy_pyrush", "medspacy_target_matcher", "medspacy_context"])
    pipeline.get_pipe("medspacy_target_matcher").add([TargetRule(literal, "FINDING") for literal in targets])
    return pipeline


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=Path)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    texts = notes(options.cases) * 4
    runs = {"ours": lambda text: review(Case(text=text))}
    lexicon = json.loads((ROOT / "data/clinical/lexicon.json").read_text(encoding="utf-8"))["findings"]
    targets = [
        phrase
        for _, *phrases in lexicon.values()
        for phrase in phrases
        if phrase.isascii() and not set(phrase) & set("(|:")
    ]
    pipeline = medspacy_pipeline(targets)
    if pipeline is not None:
        runs["medspacy"] = pipeline
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run(texts[0])  # tables and patterns are built at the first note
    for _ in range(options.repeats):  # in turn, so that a slow moment of the machine hits both
        for name, run in runs.items():
            part = texts if name == "ours" else texts[: max(1, len(texts) // 8)]
            rates[name].append(len(part) / seconds(run, part))
    result = {"notes": len(texts), "mean_characters": round(sum(map(len, texts)) / len(texts))}
    for name, values in rates.items():
        result[f"{name}_notes_per_second"] = round(statistics.median(values))
        print(
            f"{name:<9} median {statistics.median(values):8.0f}  min {min(values):8.0f}  max {max(values):8.0f} notes/s"
        )
    if "medspacy" in rates:
        result["ratio"] = round(
            statistics.median(a / b for a, b in zip(rates["ours"], rates["medspacy"], strict=True)), 1
        )
    else:
        print("medspaCy is not installed: no comparison")
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
