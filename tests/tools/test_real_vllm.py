"""The parts of real_vllm.py that need no server: requirements, flags, causes, tables."""

import os
from types import SimpleNamespace

import pytest
from compare_decoding import Comparison, Replay, Schema, Step, cause, first_difference
from real_vllm import compared_rows, labels, lasting, quotes_row, replay_row, run_row, table, text_of
from vllm_cpu import differences, fitting_dtype, server_environment, split, vllm_metadata, wanted

from irae_lib.cases import validated_cases
from irae_lib.files import DATA
from irae_lib.model.loaded import LoadedModel
from irae_lib.schemas import Assessment
from irae_lib.screening.constraint import FULL
from irae_lib.workspace.profiles import choose_profile

ANSWER = Assessment(
    evidence=("ALT 640 U/L",),
    reasoning="CTCAE Grade 3.",
    irae_detected=True,
    affected_systems=("Hepatic",),
    overall_severity="Grade 3 - Severe",
    urgency="urgent",
    causality={"likelihood": "Possible"},
    actions=("Hold",),
)


def test_requirements_leave_out_pictures_extras_and_other_machines():
    requires = ["torch==2.13.0", "torchvision", "numba==0.65.0; sys_platform == 'win32'", "av; extra == 'audio'"]
    requires += ["fastapi[standard]<0.137.0,>=0.133.0"]
    kept = wanted(requires)
    assert [line.split("<")[0].split("=")[0] for line in kept] == ["torch", "fastapi[standard]"]
    assert split(kept) == ("torch==2.13.0", kept[1:])


def test_the_stand_in_distribution_says_cpu_in_its_version():
    folder, text = vllm_metadata("0.32.0")
    assert folder == "vllm-0.32.0+cpu.dist-info"
    assert text.splitlines()[1:] == ["Name: vllm", "Version: 0.32.0+cpu"]


def test_the_server_gets_neither_our_python_nor_our_threads():
    outer = {"PATH": "/bin", "PYTHONPATH": "/x", "OMP_NUM_THREADS": "1", "VIRTUAL_ENV": "/y"}
    inner = server_environment(outer)
    assert inner["PATH"] == "/bin"
    assert inner["VLLM_CPU_KVCACHE_SPACE"] == "2"
    assert not inner.keys() & {"PYTHONPATH", "VIRTUAL_ENV"}
    assert inner["OMP_NUM_THREADS"] == str(os.cpu_count())


def test_the_dtype_is_one_that_the_cpu_multiplies_fast():
    assert fitting_dtype("fpu avx2 avx512f avx512bw") == "bfloat16"
    assert fitting_dtype("fpu avx2") == fitting_dtype("") == "float32"
    assert "float32 instead" in differences("float32")["dtype"]


@pytest.mark.parametrize(
    ("served", "local", "steps", "expected"),
    [
        ("abc", "abc", [Step(0, "a", "x", 9.0)], "same"),
        ("abc", "abd", [], "grammar"),
        ("abc", "abd", [Step(3, "z", "y", 9.0)], "grammar"),  # only after the answers parted
        ("abc", "abd", [Step(2, "c", "d", 0.1)], "near tie"),
        ("abc", "abd", [Step(2, "c", "d", 3.0)], "unexplained"),
        ("abc", "abd", [Step(0, "a", "ab", 3.0)], "spelling"),  # the same text, as a longer token
        ("abc", "abd", [Step(0, "a", "ab", 3.0), Step(2, "c", "d", 0.1)], "near tie"),
    ],
)
def test_the_cause_is_what_comes_before_the_answers_part(served, local, steps, expected):
    assert cause(served, local, steps).split(":")[0] == expected


def test_differences_are_counted_in_bytes():
    assert first_difference("é1", "é2") == 2
    assert first_difference("a", "ab") == 1


def test_rows_compare_without_what_depends_on_the_moment():
    row = {"place": 1, "seconds": 2.0, "tries": 1, "confidence": {}, "certainty": 0.5, "asked": "full"}
    assert lasting(row) == {"place": 1, "asked": "full"}


def test_a_row_gives_back_its_answer():
    row = {"asked": "full", "model": ANSWER.model_dump(mode="json")}
    assert text_of(row) == ANSWER.to_json()
    assert text_of(row | {"asked": "short"}) == labels(ANSWER)
    assert labels(ANSWER).startswith('{"irae_detected":true,"affected_systems":["Hepatic"],')


def test_the_table_counts_causes_and_margins():
    class Case:
        expected = ANSWER

    text = ANSWER.to_json()
    same = Comparison(0, text, text, "same", [])
    other = Comparison(0, text, text, "near tie", [Step(2, "c", "d", 0.125), Step(9, "x", "y", 7.0)])
    rows = [replay_row("full", [("{", c.steps) for c in (same, other)]), *compared_rows("full", [Case], [same, other])]
    lines = table(rows).splitlines()
    assert "1 of 2; 1 part by 0.12 nats (median), at most 0.12" in lines[2]
    assert "| 1 of 2; 1 near tie |" in lines[3]
    assert "5 of 5, 5 of 5" in lines[4]


def test_an_answer_spelled_in_other_tokens_is_no_other_answer():
    steps = [Step(0, "Pro", "Prof", 6.0), Step(3, "found", "x", 7.0)]
    assert replay_row("full", [("Profound", steps)])[1] == "0 of 1; 1 spell the same text in other tokens"


def test_quotes_are_counted_that_the_note_has_word_for_word():
    cases = [SimpleNamespace(case=SimpleNamespace(text=text)) for text in ("ALT 640 U/L today", "alt 640 u/l")]
    assert quotes_row(cases, {0: ANSWER.to_json(), 1: ANSWER.to_json()})[1] == "1 of 2"


def test_a_run_is_complete_if_each_note_is_there_once_with_an_answer_or_a_reason():
    step = {"seconds": 9, "result": {"exit": 3, "kills": [{"shards": 1, "restart_seconds": 80}], "resumed": 1}}
    rows = [{"place": 0, "model": {}}, {"place": 1, "problem": "no answer in 600 s"}]
    (_, text), complete = run_row("killed", 2, rows, step)
    assert text.startswith("1 of 2 answered, dead letters: 1 no answer in 600 s; 9 s; killed after 1 shards")
    assert text.endswith("client started again")
    assert complete
    assert not run_row("killed", 2, rows[:1], step)[1]
    assert not run_row("killed", 2, [rows[0], {"place": 1}], step)[1]


@pytest.fixture(scope="module")
def replay():
    """Replays by the rehearsal model."""
    return Replay(LoadedModel(choose_profile("rehearsal"), {"irae": DATA / "rehearsal_adapter"}), "irae")


def test_a_replay_finds_the_token_that_the_local_model_would_not_have_chosen(replay):
    case, schema = validated_cases()[0].case, Schema(replay.words, FULL)
    own = replay.loaded.answer([case], "irae")[0]
    assert all(step.margin < 1 for step in replay.steps(case, own.text, schema))
    other = own.text.replace(f'"urgency":"{own.assessment.urgency}"', '"urgency":"routine"')
    step = max(replay.steps(case, other, schema), key=lambda step: step.margin)
    assert other.encode()[step.start - len('"urgency":"') : step.start].endswith(b'"urgency":"')
    assert step.margin > 1


def test_the_schema_allows_no_white_space(replay):
    tokens = replay.tokenizer(ANSWER.to_json(), add_special_tokens=False)["input_ids"]
    assert len(Schema(replay.words, FULL).masks(tokens)) == len(tokens)
    spaced = replay.tokenizer(ANSWER.to_json().replace(":", ": "), add_special_tokens=False)["input_ids"]
    with pytest.raises(ValueError, match="not allowed by the schema"):
        Schema(replay.words, FULL).masks(spaced)
