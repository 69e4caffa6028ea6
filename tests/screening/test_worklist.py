"""The worklist of a screening run: worst first, readable by a spreadsheet and by notebook 05."""

import csv
import json

import pytest
from stub_server import StubServer

from irae_lib.errors import SchemaError
from irae_lib.screening import worklist_page
from irae_lib.screening.__main__ import main
from irae_lib.screening.worklist import read_worklist, write_worklist

WELL = "Nivolumab, cycle 3. Feels well."
GRADE_3 = "Nivolumab, cycle 3. ALT 640 U/L (ref 7-56)."
GRADE_2 = "Nivolumab, cycle 3. ALT 200 U/L (ref 7-56)."
MYOCARDITIS = "Nivolumab, cycle 1. Biopsy-proven myocarditis with complete heart block."
GERMAN = "Patient unter Nivolumab, seit gestern wässriger Durchfall, achtmal täglich, kein Blut im Stuhl."
NOTES = [WELL, GRADE_2, GERMAN, GRADE_3, MYOCARDITIS]


def screened(folder, texts=NOTES, *options, ids=None):
    path, out = folder / "n.jsonl", folder / "out"
    rows = [{"id": (ids or {}).get(i, f"n{i}"), "ward": "7", "text": text} for i, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return out, main([str(path), "--out", str(out), "--workers", "1", "--site", "ward", *options])


def test_a_worklist_has_the_worst_first_with_reason_and_quote(tmp_path, capsys):
    out, status = screened(tmp_path)
    assert status == 0
    said = capsys.readouterr().out
    assert "3 alerts (1 emergency, 1 urgent, 1 soon)" in said
    assert "worklist.csv, worklist.jsonl, worklist.html" in said
    tasks = read_worklist(out / "worklist.jsonl")
    assert [task.id for task in tasks] == ["n4", "n3", "n2", "n1"], "not assessed comes before what can wait a day"
    assert [task.urgency for task in tasks] == ["emergency", "urgent", "not assessed", "soon"]
    assert [task.assessed for task in tasks] == [True, True, False, True]
    assert tasks[1].quote == "ALT 640 U/L (ref 7-56)"
    assert "> 5: Grade 3" in tasks[1].reason
    assert (tasks[1].grade, tasks[1].organ_systems, tasks[1].site, tasks[1].place) == (
        "Grade 3 - Severe",
        "Hepatic",
        "7",
        3,
    )
    assert "not English" in tasks[2].not_understood


def test_csv_and_json_lines_hold_the_same_tasks_and_a_quote_is_no_formula(tmp_path):
    out, _ = screened(tmp_path, [*NOTES, GRADE_3], "--exposed", "yes", ids={1: "=cmd()", 5: "-5, a"})
    table, lines, _ = write_worklist(out)
    assert read_worklist(table) == read_worklist(lines)
    with table.open(encoding="utf-8-sig", newline="") as file:
        ids = {row["id"] for row in csv.DictReader(file)}
    assert {"'=cmd()", "'-5, a"} <= ids


def test_the_model_row_of_a_note_counts_and_a_note_without_one_keeps_the_rules(tmp_path):
    with StubServer() as server:
        out, status = screened(tmp_path, [WELL, f"{GRADE_3} [[400]]"], "--server", server.url, "--tries", "1")
    assert status == 3
    tasks = {task.id: task for task in read_worklist(out / "worklist.csv")}
    assert tasks["n0"].reason == "model: Stub.", "the model calls an irAE in a note that the rules find quiet"
    assert tasks["n1"].quote == "ALT 640 U/L (ref 7-56)"
    (out / "model" / "0000000.jsonl").unlink()
    write_worklist(out)
    assert [task.id for task in read_worklist(out / "worklist.csv")] == ["n1"]


def test_repeated_ids_are_counted_and_keep_their_rows(tmp_path, capsys):
    out, _ = screened(tmp_path, [GRADE_3, WELL, GRADE_3], ids={0: "same", 1: "same", 2: "same"})
    assert "2 rows repeat an earlier id" in capsys.readouterr().out
    assert [(task.id, task.place) for task in read_worklist(out / "worklist.csv")] == [("same", 0), ("same", 2)]


def test_parts_of_a_run_get_their_worklist_when_gathered(tmp_path):
    for part in ("1/2", "2/2"):
        out, _ = screened(tmp_path, NOTES, "--shard", "2", "--part", part)
        assert not (out / "worklist.csv").exists()
    assert main([str(tmp_path / "n.jsonl"), "--out", str(out), "--gather"]) == 0
    assert len(read_worklist(out / "worklist.csv")) == 4


def test_the_page_has_a_card_for_each_note_and_no_markup_of_a_note(tmp_path, monkeypatch):
    out, _ = screened(tmp_path, ids={3: "<b>3</b>"})
    page = (out / "worklist.html").read_text(encoding="utf-8")
    titles = ["Emergency: act now", "Urgent: act today", "Not assessed: a person must read", "Soon: act within"]
    places = [page.index(f"<strong>{title}") for title in titles]
    assert places == sorted(places)
    assert page.count("<li>") == 4
    assert "&lt;b&gt;3&lt;/b&gt;" in page
    assert "<b>3</b>" not in page
    assert "http" not in page, "it loads nothing"
    monkeypatch.setattr(worklist_page, "MOST", 2)
    page = write_worklist(out)[2].read_text(encoding="utf-8")
    assert page.count("<li>") == 2
    assert "4 notes for a person to read, worst first; the first 2 are" in page


@pytest.mark.parametrize(("name", "text"), [("w.csv", "id,text\na,b\n"), ("w.jsonl", '{"id": "a", "text": "b"}\n')])
def test_a_file_that_is_not_a_worklist_is_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(SchemaError, match=f"{name} row .: not a row of a worklist"):
        read_worklist(tmp_path / name)


def test_help_tells_defaults_and_exit_statuses(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    for words in ("requests at a time (default: 16)", "3 rows are in the dead letters or missing", "0 every row has"):
        assert words in said
    assert "default: True" not in said
    assert "default: None" not in said


def test_a_server_that_is_gone_leaves_the_worklist_of_the_rules(tmp_path):
    out, status = screened(tmp_path, NOTES, "--server", "http://127.0.0.1:9/v1")
    assert status == 1
    assert len(read_worklist(out / "worklist.csv")) == 4
