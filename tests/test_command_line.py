"""`python -m irae_lib`: one note in, its review out, and "not assessed" where the rules did not understand it."""

import io
import json
import subprocess
import sys

import pytest

from irae_lib import Case, review
from irae_lib import __main__ as command
from irae_lib.files import ROOT
from irae_lib.reporting.note_text import case_text

GERMAN = "Patient unter Nivolumab, seit gestern wässriger Durchfall, achtmal täglich, kein Blut im Stuhl."


def run(monkeypatch, capsys, text, *arguments):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    status = command.main(list(arguments))
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_note_from_standard_input_is_reviewed(monkeypatch, capsys):
    status, out, _ = run(monkeypatch, capsys, "Nivolumab. ALT 640 U/L (ref 7-56).")
    assert status == 0
    assert out.startswith("URGENT: ACT TODAY")
    assert "grade:     Grade 3 - Severe" in out
    assert "causality: not judged by the rules" in out
    assert "F06" in out
    assert '"ALT 640 U/L (ref 7-56)"' in out


@pytest.mark.parametrize(
    ("said", "grade"), [(None, "Grade 4"), ("yes", "Grade 4"), ("note", "Unknown"), ("no", "Unknown")]
)
def test_exposure_is_assumed_unless_said(monkeypatch, capsys, said, grade):
    status, out, _ = run(monkeypatch, capsys, "ALT 980 U/L.", *(["--exposed", said] if said else []))
    assert status == 0
    assert grade in out
    assert "emergency" in out


def test_a_note_that_denies_exposure_is_believed(monkeypatch, capsys):
    assert "Unknown" in run(monkeypatch, capsys, "Never had immunotherapy. ALT 980 U/L.")[1]


def test_not_assessed_is_printed_and_is_the_exit_status(monkeypatch, capsys):
    status, out, _ = run(monkeypatch, capsys, GERMAN)
    assert status == 3
    assert out.startswith("NOT ASSESSED: A PERSON MUST READ THIS NOTE")
    assert out.count("not assessed") == 5
    assert "routine" not in out
    assert "not English" in out
    status, out, _ = run(monkeypatch, capsys, "Nivolumab. Diffuse rash, itching. Troponin 2.8")
    assert status == 3
    assert "irAE:      yes (not assessed further)" in out


def test_a_terminal_asks_and_a_file_is_read(tmp_path, monkeypatch, capsys):
    path = tmp_path / "note.txt"
    path.write_text("ALT 980 U/L.", encoding="utf-8")
    monkeypatch.setattr("sys.stdin", type("Terminal", (io.StringIO,), {"isatty": lambda self: True})())
    for answer, grade in (("", "Grade 4"), ("n", "Unknown"), ("?", "Unknown")):
        monkeypatch.setattr("builtins.input", lambda question, answer=answer: answer)
        assert command.main([str(path)]) == 0
        assert grade in capsys.readouterr().out


def test_what_is_not_a_note_is_refused(tmp_path, monkeypatch, capsys):
    status, _, told = run(monkeypatch, capsys, "  ")
    assert status == 1
    assert "standard input is not a note" in told
    status, _, told = run(monkeypatch, capsys, "", str(tmp_path / "absent.txt"))
    assert status == 1
    assert "absent.txt" in told


NOTE = "Nivolumab. ALT 640 U/L (ref 7-56). Denies jaundice. Mother had hepatitis."


def test_the_note_is_printed_with_its_findings_marked():
    text = case_text(NOTE, review(Case(text=NOTE)))
    assert text.endswith("[Nivolumab]. [ALT 640 U/L (ref 7-56)]. Denies {jaundice}. Mother had <hepatitis>.")
    assert "\x1b" not in text
    colored = case_text(NOTE, review(Case(text=NOTE)), color=True)
    assert "\x1b[97;45m URGENT: ACT TODAY \x1b[0m" in colored
    assert "Denies \x1b[9;2mjaundice\x1b[0m" in colored


def test_a_note_cannot_act_on_the_terminal():
    text = "Nivolumab.\x1b[2J\x07 ALT 640 U/L\x9b5n (ref 7-56).\r\nWell."
    printed = case_text(text, review(Case(text=text)))
    assert not set("\x1b\x07\x9b\r") & set(printed)
    assert "[2J" in printed


def test_lines_fit_a_terminal():
    text = "Nivolumab + ipilimumab. Watery stools 8 a day over baseline. ALT 640 U/L (ref 7-56). " * 3
    lines = case_text(text, review(Case(text=text))).split("\n\nNote (")[0].splitlines()
    assert max(map(len, lines)) <= 100


def test_a_file_of_windows_is_read_and_said_and_a_picture_is_refused(tmp_path, capsys):
    (tmp_path / "n.txt").write_bytes("Nivolumab. ALT 14 \u00b5kat/L (ref < 0,9). Temp 38,9 \u00b0C.".encode("cp1252"))
    assert command.main([str(tmp_path / "n.txt"), "--exposed", "yes"]) == 0
    said = capsys.readouterr()
    assert "38,9 \u00b0C" in said.out
    assert "n.txt is not UTF-8: read as windows-1252" in said.err
    (tmp_path / "n.png").write_bytes(bytes(range(256)))
    assert command.main([str(tmp_path / "n.png")]) == 1
    assert "cannot be read (not text)" in capsys.readouterr().err
    (tmp_path / "n.pdf").write_bytes(b"%PDF-1.7" + bytes(range(256)))
    assert command.main([str(tmp_path / "n.pdf")]) == 1
    assert capsys.readouterr().err == "n.pdf is a PDF, not text; export it as plain text, or CSV in UTF-8\n"


def test_a_reader_that_closes_early_and_ctrl_c_are_no_traceback(tmp_path, monkeypatch, capsys):
    (tmp_path / "n.txt").write_text(NOTE * 2_000)
    shell = f"{sys.executable} -m irae_lib {tmp_path / 'n.txt'} < /dev/null | head -1"
    done = subprocess.run(shell, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("URGENT: ACT TODAY\n", "")

    def stop():
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin", type("Stopped", (), {"isatty": lambda self: False, "read": lambda self: stop()})())
    assert command.main([]) == 130
    assert "stopped" in capsys.readouterr().err


def test_it_needs_pydantic_alone():
    code = (
        "import json, sys, io; sys.stdin = io.StringIO('Nivolumab. ALT 640 U/L (ref 7-56).')\n"
        "from irae_lib.__main__ import main; main([])\n"
        "files = [(n.partition('.')[0], getattr(m, '__file__', None) or '') for n, m in list(sys.modules.items())]\n"
        "print(json.dumps(sorted({name for name, file in files if 'site-packages' in file and name[0] != '_'})))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    foreign = {"pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}
    assert set(json.loads(done.stdout.splitlines()[-1])) <= foreign
