"""Screen on a Ray cluster: the same notes, rules, rows and shards as `python -m irae_lib.screening`, vLLM on every GPU.

    python -m irae_lib.screening.cluster.ray_job notes.parquet --out screened --adapter adapters/full --engines 8

The rules run on all notes first, and the eleven validated cases verify the adapter. Then the notes of unfinished
shards become a Ray dataset, Ray Data LLM runs the model, and this program writes each shard once complete. The same
command resumes. Every note gets the full question. For two passes, or another server, use the Slurm file.

Tested on Ray with a stub for the model (`tests/screening/test_cluster.py`). Ray 2.60 requires vLLM 0.29
(`pip install "ray[llm]"`); they have not been run together on a GPU.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...cases import validated_cases
from ...errors import AccessError, IraeError, RunError
from ...model.answers import parse_answer
from ...prompts import COMPACT, messages
from ...schemas import Case
from ...workspace.profiles import MEDGEMMA
from ..adapter_check import AdapterCheck
from ..constraint import FULL, fingerprint
from ..notes import Note
from ..rows import model_row
from ..screen import about_model, apply_rules
from ..server import Reply
from ..stage import ScreeningRun, ScreeningSummary, Stage

MAX_TOKENS = 512  # per answer


def engine(base: str, engines: int) -> dict[str, Any]:
    """Arguments of Ray's `vLLMEngineProcessorConfig`; `engine_kwargs` are those of vLLM's AsyncEngineArgs."""
    return {
        "model_source": base,
        "engine_kwargs": {
            "dtype": "bfloat16",
            "max_model_len": 24576,  # as in vllm.yaml
            "enable_lora": True,
            "max_lora_rank": 16,
            "limit_mm_per_prompt": {"image": 0},
            "structured_outputs_config": {"backend": "guidance", "disable_any_whitespace": True},
        },
        "concurrency": engines,
        "batch_size": 64,
        "should_continue_on_error": True,  # one failed note must not stop the run
    }


def pack(note: Note) -> dict[str, Any]:
    """Convert a note to a dataset row."""
    return {"note": note._replace(case=None)._asdict() | {"case": note.case.model_dump_json()}}


def _unpack(row: dict[str, Any]) -> Note:
    return Note(**row["note"] | {"case": Case.model_validate_json(row["note"]["case"])})


def add_question(row: dict[str, Any], adapter: str) -> dict[str, Any]:
    """Add the columns that Ray Data LLM reads; done in the workers, since they are many times the note's size."""
    sampling = {"temperature": 0.0, "max_tokens": MAX_TOKENS, "structured_outputs": {"json": FULL}}
    return row | {"model": adapter, "messages": messages(_unpack(row).case), "sampling_params": sampling}


def review_answer(row: dict[str, Any]) -> dict[str, Any]:
    """The stored row of an answer, as JSON; for a failed request, it names the failure."""
    note = _unpack(row)
    if error := row.get("__inference_error__"):
        name = re.match(r"\w+(Error|Exception)\b", str(error))  # the type only: the message may hold note text
        reply = Reply(None, f"the engine failed: {name[0] if name else 'the error has no name'}")
    else:
        answer = parse_answer(row.get("generated_text") or "")
        reply = Reply(answer.assessment, answer.unscored and f"unreadable: {answer.unscored}")
    reply = reply._replace(seconds=max(0.0, float(row.get("time_taken_llm") or 0.0)))  # -1 on failure
    return {"place": note.place, "row": json.dumps(model_row(note, reply)), "text": row.get("generated_text") or ""}


def _check_adapter(answered: Callable[[Any], Any], adapter: str) -> None:
    import ray

    notes = [Note(place, case.case.id, case.case) for place, case in enumerate(validated_cases())]
    dataset = ray.data.from_items([pack(note) for note in notes]).map(add_question, fn_kwargs={"adapter": adapter})
    texts = {row["place"]: row["text"] for row in answered(dataset).map(review_answer).take_all()}
    check = AdapterCheck.of_answers([parse_answer(texts.get(note.place, "")).assessment for note in notes])
    if not check.good:
        raise AccessError(
            f"the model passes {check.passed} of the {check.n} validated cases, an adapter of this project all of "
            "them. Check that it is one, and that it was made for the class of this base"
        )


def screen(
    run: ScreeningRun, answered: Callable[[Any], Any], *, base: str = MEDGEMMA, adapter: str = "", retry: bool = False
) -> ScreeningSummary:
    """Fill `out/model/` with an answer to every note; `answered` adds `generated_text` to a Ray dataset.

    Raises:
        SchemaError: the file cannot be read.
        RunError: `out` belongs to another input, model or settings; or Ray did not return some notes.
        AccessError: the model does not pass all validated cases.
    """
    import pyarrow
    import ray

    about = about_model("irae", base, adapter, COMPACT.version, fingerprint(), MAX_TOKENS) | {"two_passes": False}
    stage = Stage(run, "model", about, retry=retry)
    with stage:
        # Ray's object store spills to disk, so this program's memory does not grow with the file.
        blocks = [ray.put(pyarrow.Table.from_pylist([*map(pack, notes)])) for notes in stage.unfinished() if notes]
        if blocks:
            _check_adapter(answered, adapter)
            dataset = ray.data.from_arrow_refs(blocks).map(add_question, fn_kwargs={"adapter": adapter})
            for row in answered(dataset).map(review_answer).iter_rows():
                stage.add(json.loads(row["row"]))
    notes, shards = stage.missing()
    if notes:
        raise RunError(f"Ray did not return {notes} notes in {shards} shards. Run the same command again to retry them")
    return stage.summary()


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line. Returns 0 if every row has an answer, 1 on an error, 3 if rows are dead letters."""
    parser = argparse.ArgumentParser(prog="irae_lib.screening.cluster.ray_job", description=__doc__.splitlines()[0])
    parser.add_argument("notes", type=Path, help="JSON lines, CSV or Parquet with id and text (or sections)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--base", default=MEDGEMMA)
    parser.add_argument("--adapter", required=True, help="a folder that all nodes see, or owner/name on the Hub")
    parser.add_argument("--engines", type=int, default=1, help="vLLM engines, one per GPU")
    parser.add_argument("--retry", action="store_true", help="ask again about notes that have no answer")
    parser.add_argument("--site", default="")
    parser.add_argument("--date", default="")
    options = parser.parse_args(arguments)
    run = ScreeningRun(options.notes, options.out, site=options.site, date=options.date)
    try:
        stages = [apply_rules(run)]
        print(stages[0].sentence, flush=True)
        from ray.data.llm import build_processor, vLLMEngineProcessorConfig

        processor = build_processor(vLLMEngineProcessorConfig(**engine(options.base, options.engines)))
        stages.append(screen(run, processor, base=options.base, adapter=options.adapter, retry=options.retry))
        print(stages[1].sentence, flush=True)
    except IraeError as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0 if all(stage.clean for stage in stages) else 3


if __name__ == "__main__":
    sys.exit(main())
