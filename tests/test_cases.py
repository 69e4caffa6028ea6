"""Case files: the eleven as given, records for training, and refusals that name file, line and field."""

import json
import re
from pathlib import Path

import pytest

from irae_lib.cases import KINDS, LabelledCase, read_cases, validated_cases, write_cases
from irae_lib.errors import SchemaError
from irae_lib.evaluation.scoring import triage_of
from irae_lib.files import DATA, file_sha256, write_lines, write_text
from irae_lib.schemas import Case
from irae_lib.training.rows import (
    TRAINING_FILE,
    notes_of,
    notes_trained_on,
    read_training_file,
    to_messages,
    to_prompt_completion,
)

# The table of the project's facts, word for word: id, severity, urgency, system, likelihood.
LABELS = """
GI-001 | Grade 2 - Moderate | soon | Gastrointestinal | Possible
GI-002 | Grade 3 - Severe | urgent | Gastrointestinal | Highly likely
HEP-001 | Grade 2 - Moderate | soon | Hepatic | Possible
HEP-002 | Grade 3 - Severe | urgent | Hepatic | Highly likely
LUNG-001 | Grade 2 - Moderate | soon | Pulmonary | Highly likely
LUNG-002 | Grade 3 - Severe | emergency | Pulmonary | Highly likely
ENDO-001 | Grade 2 - Moderate | soon | Endocrine | Highly likely
ENDO-002 | Grade 3 - Severe | urgent | Endocrine | Highly likely
CARD-001 | Grade 4 - Life-threatening | emergency | Cardiac | Highly likely
NEURO-001 | Grade 2 - Moderate | urgent | Neurologic | Highly likely
NEURO-002 | Grade 3 - Severe | emergency | Neurologic | Highly likely
""".strip().splitlines()


def test_the_eleven_have_exactly_the_labels_given():
    found = [
        " | ".join(
            [
                c.case.id,
                c.expected.overall_severity,
                c.expected.urgency,
                *c.expected.affected_systems,
                c.expected.causality.likelihood,
            ]
        )
        for c in validated_cases()
    ]
    assert found == LABELS
    assert all(c.expected.irae_detected for c in validated_cases())


@pytest.mark.parametrize("case", validated_cases(), ids=lambda case: case.case.id)
def test_evidence_occurs_in_the_note_and_no_dose_is_advised(case):
    assert len(case.expected.evidence) >= 2
    assert all(quote in case.case.text for quote in case.expected.evidence)
    assert case.expected.reasoning
    assert case.expected.actions
    advice = " ".join([case.expected.reasoning, *case.expected.actions])
    assert not re.search(r"\d\s*(?:mg|g|mcg)\b(?!/)", advice), "a dose"


@pytest.mark.parametrize("case", validated_cases(), ids=lambda case: case.case.id)
def test_a_validated_note_does_not_contain_its_answer(case):
    assert not re.search(r"grade \d|irAE|\burgent|emergency|immune-related", case.case.text, re.I)


def test_cases_survive_a_round_trip_with_sections_intact(tmp_path):
    path = write_cases(tmp_path / "cases.jsonl", validated_cases())
    assert read_cases(path) == validated_cases()
    assert "text" not in json.loads(path.read_text().splitlines()[0])


def _training_rows() -> list[dict]:
    return [to_prompt_completion(case) for case in validated_cases()]


def test_both_training_forms_read_the_same(tmp_path):
    a = read_training_file(write_lines(tmp_path / "a.jsonl", _training_rows()))
    b = read_training_file(write_lines(tmp_path / "b.jsonl", map(to_messages, validated_cases())))
    assert a == b
    assert len(a) == 11


def _broken_on_line_7(tmp_path: Path, change) -> Path:
    lines = [json.dumps(row) for row in _training_rows()]
    lines[6] = change(json.loads(lines[6]))
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _answer(change):
    def edit(row):
        answer = json.loads(row["completion"][0]["content"])
        change(answer)
        row["completion"][0]["content"] = json.dumps(answer)
        return json.dumps(row)

    return edit


BROKEN = [
    ("bad JSON", lambda row: json.dumps(row)[:-5], ["not JSON", "column"]),
    ("not an object", lambda row: "[1, 2]", ["expected a JSON object"]),
    ("missing completion", lambda row: json.dumps({"id": "x", "prompt": row["prompt"]}), ["completion is missing"]),
    ("missing field", _answer(lambda a: a.pop("overall_severity")), ["overall_severity", "required"]),
    (
        "unknown urgency",
        _answer(lambda a: a.update(urgency="stat")),
        ["urgency", "'routine', 'soon', 'urgent' or 'emergency'"],
    ),
    ("unknown key", _answer(lambda a: a.update(comment="x")), ["comment"]),
    (
        "answer not JSON",
        lambda row: json.dumps(row | {"completion": [{"role": "assistant", "content": "yes"}]}),
        ["completion is not JSON"],
    ),
    (
        "roles swapped",
        lambda row: json.dumps(row | {"completion": row["prompt"]}),
        ["must end with the role assistant"],
    ),
    ("turns as text", lambda row: json.dumps(row | {"prompt": "note"}), ["list of turns"]),
]


@pytest.mark.parametrize("change, expected", [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_broken_training_line_is_refused_with_file_line_and_field(tmp_path, change, expected):
    with pytest.raises(SchemaError) as error:
        read_training_file(_broken_on_line_7(tmp_path, change))
    for part in ["train.jsonl line 7", *expected]:
        assert part in str(error.value)


NOTE, ANSWER = (to_messages(validated_cases()[0])["messages"][i]["content"] for i in (0, 1))
PART = [{"type": "text", "text": NOTE}]


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([("user", PART), ("assistant", ANSWER)], "prompt, turn 1: content is a list, expected text; join"),
        ([("user", NOTE), ("assistant", None)], "completion, turn 1: content is a NoneType, expected text; write"),
        ([("system", "Hello."), ("user", NOTE), ("assistant", ANSWER)], "prompt, turn 1: the role is neither"),
        (
            [("user", NOTE), ("model", ANSWER)],
            "completion, turn 1: the role is neither user nor assistant; write assis",
        ),
        (
            [("user", "Read."), ("user", NOTE), ("assistant", ANSWER)],
            "line 1, turn 2: the role is user, expected assis",
        ),
        (
            [("assistant", "Yes?"), ("user", NOTE), ("assistant", ANSWER)],
            "turn 1: the role is assistant, expected user",
        ),
        ([("user", NOTE + "<end_of_turn>"), ("assistant", ANSWER)], "prompt, turn 1: content holds a control token"),
        (
            [("user", NOTE), ("assistant", ANSWER + "<end_of_turn>")],
            "completion, turn 1: content holds a control token",
        ),
    ],
)
def test_turns_that_the_chat_template_would_refuse_are_named_with_their_line(tmp_path, turns, expected):
    row = {"messages": [{"role": role, "content": content} for role, content in turns]}
    with pytest.raises(SchemaError) as error:
        read_training_file(write_lines(tmp_path / "mine.jsonl", [row]))
    assert str(error.value).startswith("mine.jsonl line 1")
    assert expected in str(error.value)
    assert NOTE[:40] not in str(error.value)


def test_a_conversation_of_several_questions_is_taken(tmp_path):
    turns = [("user", "Ready?"), ("assistant", "Yes."), ("user", NOTE), ("assistant", ANSWER)]
    row = {"id": "a", "messages": [{"role": role, "content": content} for role, content in turns]}
    rows = read_training_file(write_lines(tmp_path / "mine.jsonl", [row]))
    assert notes_of(rows) == {"a": validated_cases()[0].case.text}


def test_the_notes_that_an_adapter_was_trained_on_are_found_by_the_files_checksum(tmp_path):
    own = write_lines(tmp_path / "own.jsonl", map(to_messages, validated_cases()[:2]))
    run = tmp_path / "run"
    write_lines(run / "data" / "train.jsonl", map(to_messages, validated_cases()[:3]))
    texts = {case.case.id: case.case.text for case in validated_cases()}
    for path, n in ((own, 2), (run / "data" / "train.jsonl", 3)):
        write_text(run / TRAINING_FILE, str(path))
        assert notes_trained_on(run, {"data_sha256": file_sha256(path)}) == dict(list(texts.items())[:n])
    assert notes_trained_on(run, {"data_sha256": "0"}) is None
    write_text(run / TRAINING_FILE, str(tmp_path / "moved.jsonl"))
    assert notes_trained_on(run, {"data_sha256": file_sha256(own)}) is None


@pytest.mark.parametrize("content, part", [(None, "not found"), ("", "is empty"), ("\n\n", "is empty")])
def test_missing_or_empty_file_is_refused(tmp_path, content, part):
    path = tmp_path / "cases.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SchemaError, match=part):
        read_cases(path)


def test_file_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "latin.jsonl").write_bytes('{"text": "Müller"}'.encode("latin-1"))
    with pytest.raises(SchemaError, match="not UTF-8"):
        read_cases(tmp_path / "latin.jsonl")


def test_an_id_used_twice_is_refused_with_both_lines(tmp_path):
    path = write_cases(tmp_path / "cases.jsonl", [*validated_cases(), validated_cases()[2]])
    with pytest.raises(SchemaError, match="line 12: id 'HEP-001' is already on line 3"):
        read_cases(path)


def test_unicode_line_separators_inside_a_note_do_not_split_the_row(tmp_path):
    first = validated_cases()[0]
    case = LabelledCase(
        case=first.case.model_copy(update={"notes": "a\u2028b\x85c", "text": ""}),
        expected=first.expected.model_copy(update={"evidence": ()}),
    )
    case = case.model_copy(update={"case": type(first.case)(**case.case.model_dump(exclude={"text"}))})
    assert read_cases(write_cases(tmp_path / "cases.jsonl", [case]))[0].case.text == case.case.text


def test_a_write_that_fails_half_way_leaves_the_old_file(tmp_path):
    path = write_lines(tmp_path / "train.jsonl", [{"a": 1}])

    def rows():
        yield {"a": 2}
        raise OSError("disk full")

    with pytest.raises(OSError):
        write_lines(path, rows())
    assert path.read_text() == '{"a": 1}\n'
    assert list(tmp_path.iterdir()) == [path]


# --- the user's own cases as CSV ------------------------------------------------------------------------

HEADER = "id,text,irae_detected,affected_systems,overall_severity,urgency,likelihood,evidence,actions"
ROW = 'own-1,"Nivolumab, cycle 3. ALT 640 U/L.",yes,Hepatic,Grade 3 - Severe,urgent,Possible,ALT 640 U/L,Hold ICI|Call'


def csv_file(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "own.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8-sig")
    return path


def test_own_cases_are_read_from_csv(tmp_path):
    well = ',"Nivolumab. Well; no, really.",no,,Unknown,routine,Unlikely,,'
    both = 'third,"Troponin up, ptosis on pembrolizumab",TRUE,Cardiac; Neurologic,Grade 3 - Severe,emergency,Possible,,'
    one, two, three = read_cases(csv_file(tmp_path, ROW, well, both))
    assert one.expected.evidence == ("ALT 640 U/L",)
    assert one.expected.actions == ("Hold ICI", "Call")
    assert two.case.id == "own-3", "a row without an id is named by its place"
    assert not two.expected.irae_detected
    assert two.expected.affected_systems == ()
    assert [system.value for system in three.expected.affected_systems] == ["Neurologic", "Cardiac"]


def test_csv_and_json_lines_say_the_same(tmp_path):
    cases = read_cases(csv_file(tmp_path, ROW))
    assert read_cases(write_cases(tmp_path / "own.jsonl", cases)) == cases


def test_csv_takes_sections_instead_of_a_text(tmp_path):
    header = "id,age,cancer_type,medications,labs,irae_detected,affected_systems,overall_severity,urgency,likelihood"
    row = 's,63,NSCLC,"nivolumab, cycle 3",ALT 640 U/L,yes,Hepatic,Grade 3 - Severe,urgent,Possible'
    (case,) = read_cases(csv_file(tmp_path, row, header=header))
    assert case.case.text.splitlines() == [
        "Context: 63-year-old, NSCLC.",
        "Medications: nivolumab, cycle 3",
        "Labs: ALT 640 U/L",
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ROW.replace("urgent", "today"), r"own\.csv row 3: urgency: must be one of 'routine', 'soon'"),
        (ROW.replace("yes", "maybe"), r"own\.csv row 3: irae_detected must be true or false"),
        (ROW.replace("Hepatic", "Liver"), r"own\.csv row 3: affected_systems\.0: must be one of"),
        (
            ROW.replace("U/L,H", "u/l,H"),
            r"own\.csv row 3: expected\.evidence, quote 1 does not occur verbatim in the note",
        ),
        (ROW.replace('"', ""), r"own\.csv row 3: the number of cells differs from the header"),
        (ROW.replace("Possible", ""), r"own\.csv row 3: causality\.likelihood: must be one of"),
        (ROW.replace("own-1", "first"), r"own\.csv row 3: id 'first' is already on row 2"),
    ],
)
def test_a_bad_csv_row_is_named_with_its_field_and_no_note_text(tmp_path, row, message):
    with pytest.raises(SchemaError, match=message) as error:
        read_cases(csv_file(tmp_path, ROW.replace("own-1", "first"), row))
    assert "640" not in str(error.value)


CONTRADICTIONS = [  # cells of ROW to replace, and the reason for the refusal
    ({"Hepatic": ""}, "an irAE needs at least one organ system"),
    ({"yes": "no"}, "without an irAE there is no organ system and no grade"),
    ({"yes": "no", "Hepatic": ""}, "without an irAE there is no organ system and no grade"),
    ({"yes": "no", "Hepatic": "", "Grade 3 - Severe": "Unknown"}, "causality is Unlikely or Uncertain"),
    (
        {"yes": "no", "Hepatic": "", "Grade 3 - Severe": "Unknown", "Possible": "Highly likely"},
        "causality is Unlikely or Uncertain",
    ),
]


@pytest.mark.parametrize(("cells", "message"), CONTRADICTIONS)
def test_a_label_that_contradicts_itself_is_refused_in_csv_and_json_lines(tmp_path, cells, message):
    row = ROW
    for before, after in cells.items():
        row = row.replace(f",{before},", f",{after},")
    with pytest.raises(SchemaError, match=rf"own\.csv row 2: .*{message}") as error:
        read_cases(csv_file(tmp_path, row))
    assert "640" not in str(error.value)
    (case,) = read_cases(csv_file(tmp_path, ROW))
    label = case.expected.model_dump(mode="json")
    label |= {"irae_detected": "yes" not in cells}
    label |= {"affected_systems": []} if "Hepatic" in cells else {}
    label |= {"overall_severity": "Unknown"} if "Grade 3 - Severe" in cells else {}
    label |= {"causality": {"likelihood": cells.get("Possible", "Possible")}}
    (tmp_path / "own.jsonl").write_text(json.dumps({"text": case.case.text, "expected": label}))
    with pytest.raises(SchemaError, match=rf"own\.jsonl line 1: .*{message}"):
        read_cases(tmp_path / "own.jsonl")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER.replace("urgency", "urgncy"), "row 1: column 'urgncy' is not known; columns are id, age"),
        (HEADER.replace(",urgency", ""), "row 1: column urgency is missing"),
    ],
)
def test_a_bad_csv_header_is_named(tmp_path, header, message):
    with pytest.raises(SchemaError, match=message):
        read_cases(csv_file(tmp_path, ROW, header=header))


# --- the kind of one's own cases ------------------------------------------------------------------------


def own_row(number, irae=False, urgency="routine", **extra):
    systems, grade = (["Hepatic"], "Grade 2 - Moderate") if irae else ([], "Unknown")
    label = {"irae_detected": irae, "affected_systems": systems, "overall_severity": grade, "urgency": urgency}
    label["causality"] = {"likelihood": "Possible" if irae else "Unlikely"}
    return {"id": f"own-{number}", "text": f"Note {number} of my clinic.", "expected": label} | extra


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (own_row(1), "well"),
        (own_row(1, urgency="urgent"), "mimic"),
        (own_row(1, irae=True, urgency="soon"), "irae"),
        (own_row(1, kind="never"), "never"),
        (own_row(1, kind=""), "well"),
        (own_row(1, kind=None), "well"),
        (own_row(1, kind="irae"), "well"),
        (own_row(1, irae=True, kind="undocumented"), "undocumented"),
    ],
)
def test_kind_follows_from_the_labels_where_the_row_does_not_say(tmp_path, row, kind):
    (case,) = read_cases(write_lines(tmp_path / "own.jsonl", [row]))
    assert case.kind == kind


def test_own_negatives_are_counted_in_the_specificities(tmp_path):
    rows = [own_row(1), own_row(2, urgency="soon"), own_row(3, kind="never"), own_row(4, irae=True)]
    cases = read_cases(write_lines(tmp_path / "own.jsonl", rows))
    triage = triage_of(cases, [case.expected for case in cases])
    for rate in (triage.specificity_well, triage.specificity_mimics, triage.specificity_unexposed):
        assert (rate.hits, rate.n) == (1, 1)


def test_an_unknown_kind_is_refused_and_every_kind_is_documented(tmp_path):
    with pytest.raises(SchemaError, match="own.jsonl line 1: kind must be one of irae, .*follows from the labels"):
        read_cases(write_lines(tmp_path / "own.jsonl", [own_row(1, kind="mimick")]))
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    for kind in KINDS:
        assert f"`{kind}`" in readme.split("`kind` says why")[1]


@pytest.mark.parametrize("text", ["", "  \n "])
def test_an_empty_text_says_so(tmp_path, text):
    rows = [own_row(1), own_row(2, text=text)]
    with pytest.raises(SchemaError, match="own.jsonl line 2: case: the note is empty; expected text, or one of"):
        read_cases(write_lines(tmp_path / "own.jsonl", rows))


@pytest.mark.parametrize(
    "about", [{}, {"age": 77}, {"age": 77, "cancer_type": "melanoma"}, {"cancer_type": "melanoma"}]
)
@pytest.mark.parametrize("note", [{"text": "Nivolumab. Well."}, {"medications": "nivolumab", "labs": ("ALT 30 U/L",)}])
def test_a_written_case_is_the_same_case_again(tmp_path, about, note):
    first = validated_cases()[0]
    expected = first.expected.model_copy(update={"evidence": ()})
    case = LabelledCase(case=Case(id="a", **about, **note), expected=expected)
    assert read_cases(write_cases(tmp_path / "c.jsonl", [case])) == [case]
