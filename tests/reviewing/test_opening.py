"""Files that 05 opens: with labels, without, and the worklist of a screening run; and verdicts on their way back."""

import csv
import json

import pytest

from irae_lib.cases import read_cases, validated_cases, write_cases
from irae_lib.errors import SchemaError
from irae_lib.reviewing.opening import has_labels, open_cases
from irae_lib.reviewing.panel import ReviewPanel
from irae_lib.screening.__main__ import main

NOTES = {
    "well": "Nivolumab, cycle 4. Feels well, no complaints. ALT 20 U/L (ref 7-56).",
    "liver": "Nivolumab, cycle 3. ALT 640 U/L (ref 7-56). No jaundice.",
    "heart": "Pembrolizumab, cycle 2. Myocarditis with complete heart block.",
    "german": "Patient unter Nivolumab, seit gestern wässriger Durchfall, achtmal täglich, kein Blut im Stuhl.",
}


@pytest.fixture
def notes(tmp_path):
    """A CSV of four notes without labels, and a row that is not a note."""
    path = tmp_path / "notes.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "site", "text"])
        writer.writerows([name, "north", text] for name, text in NOTES.items())
        writer.writerow(["empty", "north", ""])
    return path


@pytest.fixture
def worklist(notes, tmp_path):
    assert main([str(notes), "--out", str(tmp_path / "screen"), "--workers", "1"]) == 3  # one row is not a note
    return tmp_path / "screen" / "worklist.csv"


def ids(opened):
    return [item.case.id for item in opened.cases]


def test_the_default_is_the_eleven_with_their_labels():
    opened = open_cases()
    assert ids(opened) == list(opened.labels) == [case.case.id for case in validated_cases()]
    assert opened.remarks == []


def test_labeled_cases_keep_labels_and_kinds(tmp_path):
    path = write_cases(tmp_path / "own.jsonl", validated_cases()[:2])
    opened = open_cases(path)
    assert len(opened.labels) == 2
    assert {item.kind for item in opened.cases} == {"irae"}


def test_notes_without_labels_are_opened_and_rows_that_are_not_notes_counted(notes):
    opened = open_cases(notes)
    assert ids(opened) == list(NOTES)
    assert opened.labels == {}
    assert opened.remarks[0] == "no labels in this file"
    assert opened.remarks[1].startswith("1 of 5 rows are not notes and are left out, first: row 5")


def test_json_lines_without_labels_are_named_by_their_place_and_no_id_hides_another(tmp_path):
    path = tmp_path / "notes.jsonl"
    rows = [{"text": "Nivolumab. Well."}, {"id": "a", "text": "First."}, {"id": "a", "text": "Second."}]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert ids(open_cases(path)) == ["notes-1", "a", "a (note 2 of this id)"]


def test_a_worklist_opens_its_notes_worst_first_with_the_reason(notes, worklist):
    for path in (worklist, worklist.with_suffix(".jsonl")):
        opened = open_cases(notes, path)
        assert ids(opened) == ["heart", "liver", "german"]
        assert opened.remarks == ["the 3 notes of " + path.name + ", worst first"]
        assert opened.cases[1].why.startswith("2 of 3 on the worklist: urgent, Grade 3 - Severe, Hepatic. ALT")
        assert opened.cases[2].why.startswith("3 of 3 on the worklist: not assessed: ")
        assert opened.labels == {}


def test_a_worklist_needs_the_file_that_was_screened(notes, worklist, tmp_path):
    with pytest.raises(SchemaError, match="give the file that was screened as cases_file"):
        open_cases("", worklist)
    other = tmp_path / "other.csv"
    other.write_text("id,text\nx,Nivolumab. Well.\n")
    with pytest.raises(SchemaError, match=r"worklist\.csv belongs to another file: its note 'heart' is not in row 3"):
        open_cases(other, worklist)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.csv", None, "gone.csv not found"),
        ("empty.csv", "id,text\n", "no row holds a note"),
        ("notes.txt", "Nivolumab.", "unknown file type"),
        ("blank.jsonl", '{"text": " "}', "no row holds a note; expected at least one. .*row 1"),
        ("half.csv", "text,irae_detected\nNivolumab.,yes\n", "column affected_systems is missing"),
    ],
)
def test_a_file_that_cannot_be_reviewed_is_one_sentence(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(SchemaError, match=message) as error:
        open_cases(path)
    assert "Nivolumab" not in str(error.value)


def test_labels_are_recognised_by_header_or_first_line(tmp_path, notes):
    path = write_cases(tmp_path / "own.jsonl", validated_cases()[:1])
    assert has_labels(path)
    assert not has_labels(notes)
    (tmp_path / "odd.jsonl").write_text("[1]\n")
    assert not has_labels(tmp_path / "odd.jsonl")
    for mark in ";\t":
        (tmp_path / "excel.csv").write_text(f'text{mark}"irae_detected"{mark}urgency\n', encoding="utf-16")
        assert has_labels(tmp_path / "excel.csv")


def test_verdicts_on_notes_without_labels_are_own_cases_for_01_and_03(notes, worklist, tmp_path):
    panel = ReviewPanel(open_cases(notes, worklist).cases, {"rules": None}, folder=tmp_path, reviewer="anna")
    panel.type("c0 a")
    panel.type("c1 a")
    panel.type("i sg g3 u2 c1 a")
    cases = read_cases(tmp_path / "anna.jsonl")
    assert [case.case.id for case in cases] == ["heart", "liver", "german"]
    assert {case.kind for case in cases} == {"irae"}
    assert cases[1].expected.evidence == ("ALT 640 U/L (ref 7-56)",)
    assert open_cases(tmp_path / "anna.jsonl").labels.keys() == {"heart", "liver", "german"}


def test_a_note_that_screening_did_not_assess_has_no_field_filled_in(tmp_path):
    path = tmp_path / "n.jsonl"
    path.write_text(json.dumps({"id": "a", "text": "Both wrists ache, rash on the arms, ALT 90 U/L."}) + "\n")
    main([str(path), "--out", str(tmp_path / "out"), "--workers", "1"])
    (item,) = open_cases(path, tmp_path / "out" / "worklist.csv").cases
    assert not item.assessed
    panel = ReviewPanel([item], {"rules": None}, folder=tmp_path, reviewer="a")
    assert panel.frame.exposed.value, "assumed here, so that the rules read on"
    assert len(panel.form.missing) == 4, "irAE, grade, urgency, causality"
    assert not panel.accept()
