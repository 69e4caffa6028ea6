"""Screening and exposure: a note that was not assessed is counted and listed for a person, never as quiet."""

import json

import pytest

from irae_lib import Assessment, Case
from irae_lib.errors import RunError, SchemaError
from irae_lib.safety.reviews import NOT_ASSESSED
from irae_lib.schemas import FIELDS, Urgency
from irae_lib.screening.__main__ import main
from irae_lib.screening.monitor import groups
from irae_lib.screening.notes import Note, read_notes
from irae_lib.screening.rows import model_row, rules_row
from irae_lib.screening.screen import apply_rules
from irae_lib.screening.server import Reply
from irae_lib.screening.stage import ScreeningRun
from irae_lib.screening.worklist import read_worklist

GERMAN = "Patient unter Nivolumab, seit gestern wässriger Durchfall, achtmal täglich, kein Blut im Stuhl."
GRAVE = "Nivolumab, cycle 3. ALT 640 U/L (ref 7-56)."
WELL = "Nivolumab, cycle 3. Feels well."
SILENT = "Rash on both arms, ALT 90 U/L."
ROUTINE = Assessment(
    irae_detected=False,
    affected_systems=(),
    overall_severity="Unknown",
    urgency="routine",
    causality={"likelihood": "Unlikely"},
)


def write(path, texts, **columns):
    rows = [{"id": f"n{i}", "text": text} | {k: v[i] for k, v in columns.items()} for i, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_note_not_assessed_is_counted_and_listed_for_a_person(tmp_path, capsys):
    path, out = write(tmp_path / "n.jsonl", [GRAVE, GERMAN, WELL, SILENT]), tmp_path / "out"
    assert main([str(path), "--out", str(out), "--workers", "1"]) == 0
    assert "1 alerts" in (said := capsys.readouterr().out)
    assert "2 not assessed: a person must read them" in said
    (everyone,) = groups(out, "rules")
    assert (everyone.alerts.hits, everyone.not_assessed.hits, everyone.worklist.hits, everyone.worklist.n) == (
        1,
        2,
        3,
        4,
    )
    tasks = {task.id: task for task in read_worklist(out / "worklist.jsonl")}
    assert list(tasks) == ["n0", "n1", "n3"]
    assert tasks["n0"].assessed
    assert not tasks["n0"].not_understood
    assert "not English" in tasks["n1"].not_understood
    assert "exposure" in tasks["n3"].not_understood


def test_a_row_says_not_assessed_in_every_field_and_quotes_what_was_not_graded():
    row = rules_row(Note(0, "a", Case(text=GERMAN)))
    assert [row["final"][name] for name in FIELDS] == [NOT_ASSESSED] * 5
    assert row["final"]["alert"] is False
    assert "at_least" not in row
    row = rules_row(Note(0, "a", Case(text="Nivolumab. Rash on the trunk, itching. Troponin 2.8")))
    assert row["not_assessed"] == ["a test was seen and not graded", "Troponin 2.8"]
    assert row["at_least"]["irae_detected"] is True, "what was called all the same"


def test_a_model_does_not_make_a_note_assessed():
    calm = model_row(Note(0, "a", Case(text=GERMAN)), Reply(ROUTINE, ""))
    assert calm["final"]["urgency"] == NOT_ASSESSED
    assert "disagrees" not in calm
    assert calm["model"]["urgency"] == "routine"
    alarmed = ROUTINE.model_copy(update={"urgency": Urgency.EMERGENCY})
    row = model_row(Note(0, "a", Case(text=GERMAN)), Reply(alarmed, ""))
    assert row["final"]["alert"]
    assert row["at_least"]["urgency"] == "emergency"
    assert row["not_assessed"]


@pytest.mark.parametrize(("cell", "known"), [("yes", True), ("Y", True), ("0", False), ("", None), ("unknown", None)])
def test_exposure_comes_from_the_note_from_all_or_from_a_column(tmp_path, cell, known):
    path = write(tmp_path / "n.jsonl", [SILENT], ici=[cell])
    assert [note.exposed for note in read_notes(path)] == [None]
    assert [note.exposed for note in read_notes(path, exposed="yes")] == [True]
    assert [note.exposed for note in read_notes(path, exposed="ici")] == [known]


def test_a_cell_that_says_neither_is_a_bad_row_and_a_misspelt_column_is_refused(tmp_path):
    path = write(tmp_path / "n.jsonl", [SILENT, WELL], ici=["perhaps", True])
    bad, good = read_notes(path, exposed="ici")
    assert bad.case is None
    assert "neither yes nor no" in bad.problem
    assert "perhaps" not in bad.problem
    assert good.exposed is True
    with pytest.raises(SchemaError, match="no column 'icis'"):
        read_notes(path, exposed="icis")


def test_exposure_known_for_all_is_part_of_the_run(tmp_path):
    path, out = write(tmp_path / "n.jsonl", [SILENT]), tmp_path / "out"
    assert apply_rules(ScreeningRun(path, out, exposed="yes"), workers=1).not_assessed == 0
    with pytest.raises(RunError, match="exposed differ"):
        apply_rules(ScreeningRun(path, out), workers=1)
