"""Screen on a Ray cluster: the same notes, rules, rows and shards as `python -m irae_lib.screening`, vLLM on every GPU.

    python -m irae_lib.screening.cluster.ray_job notes.parquet --out screened --adapter adapters/full --engines 8

The rules go over all notes first, and the eleven validated cases find out whether it is our adapter that answers. Then
the notes of unfinished shards become a Ray dataset, Ray Data LLM runs the model, and this program writes a shard
whenever its notes are back; the same command goes on where it was ended. One pass: the whole question to every note.
For two passes, and for a server that answers elsewhere, use the Slurm file.

Run here on Ray with a stand-in for the model (`tests/screening/test_cluster.py`). Ray 2.60 asks for vLLM 0.29
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

from ...cases import validated_cases
from ...errors import AccessError, IraeError, RunError
from ...model.answers import parse_answer
from ...prompts import COMPACT, messages
from ...schemas import Case
from ...workspace.profiles import MEDGEMMA
from ..adapter_check import of_answers
from ..notes import Note
from ..rows import model_row, rules_row
from ..screen import (
    SHARD,
    Summary,
    about_input,
    about_model,
    apply_rules,
    summary,
    unfinished,
    with_answer,
    without_answer,
)
from ..server import FULL, Reply
from ..shards import Shards

MOST = 512  # tokens of an answer


def engine(base: str, engines: int) -> dict[str, Any]:
    """What Ray's `vLLMEngineProcessorConfig` is given; `engine_kwargs` are those of vLLM's AsyncEngineArgs."""
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
        "should_continue_on_error": True,  # one note must not end a night's work
    }


def packed(note: Note) -> dict[str, Any]:
    """A note as a row of a dataset."""
    return {"note": note._replace(case=None)._asdict() | {"case": note.case.model_dump_json()}}


def _unpacked(row: dict[str, Any]) -> Note:
    return Note(**row["note"] | {"case": Case.model_validate_json(row["note"]["case"])})


def question(row: dict[str, Any], adapter: str) -> dict[str, Any]:
    """A packed note with what Ray Data LLM reads; made on the workers, as it is many times the note."""
    sampling = {"temperature": 0.0, "max_tokens": MOST, "structured_outputs": {"json": FULL}}
    return row | {"model": adapter, "messages": messages(_unpacked(row).case), "sampling_params": sampling}


def finished(row: dict[str, Any]) -> dict[str, Any]:
    """The answer under the safety layer, as JSON. A row whose request failed comes here, too, and says so."""
    note = _unpacked(row)
    if error := row.get("__inference_error__"):
        named = re.match(r"\w+(Error|Exception)\b", str(error))  # and nothing behind it, which may be note text
        reply = Reply(None, f"the engine failed: {named[0] if named else 'no reason that can be told'}")
    else:
        answer = parse_answer(row.get("generated_text") or "")
        reply = Reply(answer.assessment, answer.unscored and f"unreadable: {answer.unscored}")
    reply = reply._replace(seconds=max(0.0, float(row.get("time_taken_llm") or 0.0)))  # -1 where it failed
    return {"place": note.place, "row": json.dumps(model_row(note, reply)), "text": row.get("generated_text") or ""}


def try_adapter(answered: Callable[[Any], Any], adapter: str) -> None:
    """Ask the eleven validated cases first.

    Raises:
        AccessError: they are not answered as the adapter does; vLLM takes one of foreign names without a word.
    """
    import ray

    notes = [Note(place, case.case.id, case.case) for place, case in enumerate(validated_cases())]
    rows = answered(ray.data.from_items(list(map(packed, notes))).map(question, fn_kwargs={"adapter": adapter}))
    texts = {one["place"]: one["text"] for one in rows.map(finished).take_all()}
    tried = of_answers([parse_answer(texts.get(note.place, "")) for note in notes])
    if not tried.good:
        raise AccessError(
            f"the model passes {tried.passed} of the {tried.n} validated cases, an adapter of this project all of "
            "them. Is it one, and made for the class of this base?"
        )


def screen(
    path: Path,
    out: Path,
    answered: Callable[[Any], Any],
    *,
    base: str = MEDGEMMA,
    adapter: str = "",
    retry: bool = False,
    shard: int = SHARD,
    site: str = "",
    date: str = "",
) -> Summary:
    """Fill `out/model/` with the answers to every note; `answered` adds `generated_text` to a Ray dataset.

    Raises:
        SchemaError: the file cannot be read. RunError: `out` belongs to other input, model or settings; or notes did
            not come back. AccessError: as `try_adapter`.
    """
    import pyarrow
    import ray

    shards, started = Shards(Path(out) / "model"), time.monotonic()
    what = about_model("irae", base, adapter, COMPACT.version, True, MOST) | {"two_passes": False}
    shards.belong_to(about_input(path, shard, site, date) | what)
    stay = shards.reopen(without_answer) if retry else 0
    skipped, blocks, sizes = shards.count() + stay, [], {}
    rows: dict[int, dict[int, Any]] = {}  # by shard and place: a task that Ray repeats must not double a note
    for number, found in unfinished(path, shards, shard, site, date):
        notes = list(found)
        rows[number], sizes[number] = with_answer(shards.before(number)), len(notes)
        rows[number] |= {note.place: rules_row(note) for note in notes if note.case is None}
        if asked := [packed(note) for note in notes if note.place not in rows[number]]:
            # Into Ray's store, which spills to disk: this program's memory does not grow with the file.
            blocks.append(ray.put(pyarrow.Table.from_pylist(asked)))
        else:
            shards.write(number, rows.pop(number).values())
    if blocks:
        try_adapter(answered, adapter)
        questions = ray.data.from_arrow_refs(blocks).map(question, fn_kwargs={"adapter": adapter})
        for one in tqdm(answered(questions).map(finished).iter_rows(), desc="model", unit="note"):
            number = one["place"] // shard
            if number not in rows:
                continue
            rows[number][one["place"]] = json.loads(one["row"])
            if len(rows[number]) == sizes[number]:
                shards.write(number, rows.pop(number).values())
    if rows:
        lost = sum(sizes[number] - len(rows[number]) for number in rows)
        raise RunError(f"Ray gave {lost} notes of {len(rows)} shards not back; the same command asks for them again")
    return summary("model", shards, skipped, time.monotonic() - started)


def main(arguments: list[str] | None = None) -> int:
    """The command line: 0: every row has its answer, 1: it could not run, 3: some rows are in the dead letters."""
    parser = argparse.ArgumentParser(prog="irae_lib.screening.cluster.ray_job", description=__doc__.splitlines()[0])
    parser.add_argument("notes", type=Path, help="JSON lines, CSV or Parquet with id and text (or sections)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--base", default=MEDGEMMA)
    parser.add_argument("--adapter", required=True, help="a folder that all nodes see, or owner/name on the Hub")
    parser.add_argument("--engines", type=int, default=1, help="vLLM engines, one a GPU")
    parser.add_argument("--retry", action="store_true", help="ask again about notes that have no answer")
    parser.add_argument("--site", default="")
    parser.add_argument("--date", default="")
    options = parser.parse_args(arguments)
    columns = {"site": options.site, "date": options.date}
    try:
        stages = [apply_rules(options.notes, options.out, **columns)]
        print(stages[0].sentence, flush=True)
        from ray.data.llm import build_processor, vLLMEngineProcessorConfig

        processor = build_processor(vLLMEngineProcessorConfig(**engine(options.base, options.engines)))
        how = {"base": options.base, "adapter": options.adapter, "retry": options.retry, **columns}
        stages.append(screen(options.notes, options.out, processor, **how))
        print(stages[1].sentence, flush=True)
    except IraeError as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0 if all(one.clean for one in stages) else 3


if __name__ == "__main__":
    sys.exit(main())
