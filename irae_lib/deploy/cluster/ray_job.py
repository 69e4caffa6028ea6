"""Screen on a Ray cluster: the same notes, rules, rows and shards as `python -m irae_lib.batch`, vLLM on every GPU.

    python -m irae_lib.deploy.cluster.ray_job notes.parquet --out screened --adapter adapters/full --engines 8

The rules go over all notes first. Then the notes of unfinished shards become a Ray dataset, Ray Data LLM runs the
model, and this program writes a shard whenever its notes are back; the same command goes on where it was ended. One
pass: the whole question to every note. For two passes, and for a server that answers elsewhere, use the Slurm file.

Run here on Ray with a stand-in for the model (`tests/test_cluster.py`). Ray 2.60 asks for vLLM 0.29
(`pip install "ray[llm]"`); the two together have not run on a GPU for us.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from ...answers import parse_answer
from ...batch.notes import Note
from ...batch.rows import model_row, rules_row
from ...batch.screen import SHARD, Summary, about_input, about_model, apply_rules, summary, unfinished
from ...batch.server import FULL, Reply
from ...batch.shards import Shards
from ...prompts import COMPACT, messages
from ...runtime import MEDGEMMA
from ...schemas import Case, IraeError, RunError

MOST = 512  # tokens of an answer


def engine(base: str, engines: int) -> dict[str, Any]:
    """What Ray's `vLLMEngineProcessorConfig` is given; `engine_kwargs` are those of vLLM's AsyncEngineArgs."""
    return {
        "model_source": base,
        "engine_kwargs": {
            "dtype": "bfloat16",
            "max_model_len": 8192,
            "enable_lora": True,
            "max_lora_rank": 16,
            "limit_mm_per_prompt": {"image": 0},
            "structured_outputs_config": {"backend": "guidance", "disable_any_whitespace": True},
        },
        "concurrency": engines,
        "batch_size": 64,
        "should_continue_on_error": True,  # one note must not end a night's work
    }


def question(note: Note, adapter: str) -> dict[str, Any]:
    """One row of the dataset: what Ray Data LLM reads, and the note itself to judge the answer by."""
    return {
        "model": adapter,
        "messages": messages(note.case),
        "sampling_params": {"temperature": 0.0, "max_tokens": MOST, "structured_outputs": {"json": FULL}},
        "note": note._replace(case=None)._asdict() | {"case": note.case.model_dump_json()},
    }


def finished(row: dict[str, Any]) -> dict[str, Any]:
    """The answer under the safety layer, as JSON. A row whose request failed comes here, too, and says so."""
    note = Note(**row["note"] | {"case": Case.model_validate_json(row["note"]["case"])})
    if error := row.get("__inference_error__"):
        named = re.match(r"\w+(Error|Exception)\b", str(error))  # and nothing behind it, which may be note text
        reply = Reply(None, f"the engine failed: {named[0] if named else 'no reason that can be told'}")
    else:
        answer = parse_answer(row.get("generated_text") or "")
        reply = Reply(answer.assessment, answer.unscored and f"unreadable: {answer.unscored}")
    reply = reply._replace(seconds=float(row.get("time_taken_llm") or 0.0))
    return {"place": note.place, "row": json.dumps(model_row(note, reply))}


def screen(
    path: Path,
    out: Path,
    answered: Callable[[Any], Any],
    *,
    base: str = MEDGEMMA,
    adapter: str = "",
    shard: int = SHARD,
    site: str = "",
    date: str = "",
) -> Summary:
    """Fill `out/model/` with the answers to every note; `answered` adds `generated_text` to a Ray dataset.

    Raises:
        SchemaError: the file cannot be read. RunError: `out` belongs to other input, model or settings; or notes did
            not come back.
    """
    import pyarrow
    import ray

    shards, started = Shards(Path(out) / "model"), time.monotonic()
    what = about_model(base, adapter, COMPACT.version, True, MOST) | {"two_passes": False}
    shards.belong_to(about_input(path, shard, site, date) | what)
    skipped, blocks, rows, sizes = shards.count(), [], {}, {}
    for number, found in unfinished(path, shards, shard, site, date):
        notes = list(found)
        rows[number], sizes[number] = [rules_row(note) for note in notes if note.case is None], len(notes)
        if asked := [question(note, adapter) for note in notes if note.case]:
            # Into Ray's store, which spills to disk: this program's memory does not grow with the file.
            blocks.append(ray.put(pyarrow.Table.from_pylist(asked)))
        else:
            shards.write(number, rows.pop(number))
    if blocks:
        answers = answered(ray.data.from_arrow_refs(blocks)).map(finished)
        for one in tqdm(answers.iter_rows(), desc="model", unit="note"):
            number = one["place"] // shard
            rows[number].append(json.loads(one["row"]))
            if len(rows[number]) == sizes[number]:
                shards.write(number, rows.pop(number))
    if rows:
        lost = sum(sizes[number] - len(rows[number]) for number in rows)
        raise RunError(f"Ray gave {lost} notes of {len(rows)} shards not back; the same command asks for them again")
    return summary("model", shards, skipped, time.monotonic() - started)


def main(arguments: list[str] | None = None) -> int:
    """The command line: 0: every row has its answer, 1: it could not run, 3: some rows are in the dead letters."""
    parser = argparse.ArgumentParser(prog="irae_lib.deploy.cluster.ray_job", description=__doc__.splitlines()[0])
    parser.add_argument("notes", type=Path, help="JSON lines, CSV or Parquet with id and text (or sections)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--base", default=MEDGEMMA)
    parser.add_argument("--adapter", required=True, help="a folder that all nodes see, or owner/name on the Hub")
    parser.add_argument("--engines", type=int, default=1, help="vLLM engines, one a GPU")
    parser.add_argument("--site", default="")
    parser.add_argument("--date", default="")
    options = parser.parse_args(arguments)
    columns = {"site": options.site, "date": options.date}
    try:
        stages = [apply_rules(options.notes, options.out, **columns)]
        print(stages[0].sentence, flush=True)
        from ray.data.llm import build_processor, vLLMEngineProcessorConfig

        processor = build_processor(vLLMEngineProcessorConfig(**engine(options.base, options.engines)))
        how = {"base": options.base, "adapter": options.adapter, **columns}
        stages.append(screen(options.notes, options.out, processor, **how))
        print(stages[1].sentence, flush=True)
    except IraeError as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0 if all(one.clean for one in stages) else 3


if __name__ == "__main__":
    sys.exit(main())
