"""`python -m irae_lib`: one note in, its review out, and "not assessed" where the rules did not understand it."""

import io

import pytest

from irae_lib import __main__ as command

GERMAN = "Patient unter Nivolumab, seit gestern wässriger Durchfall, achtmal täglich, kein Blut im Stuhl."


def run(monkeypatch, capsys, text, *arguments):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    status = command.main(list(arguments))
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_note_from_standard_input_is_reviewed(monkeypatch, capsys):
    status, out, _ = run(monkeypatch, capsys, "Nivolumab. ALT 640 U/L (ref 7-56).")
    assert status == 0
    assert "CTCAE grade:   Grade 3 - Severe" in out
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
    assert out.count("not assessed") == 5
    assert "routine" not in out
    assert "not English" in out
    status, out, _ = run(monkeypatch, capsys, "Nivolumab. Diffuse rash, itching. Troponin 2.8")
    assert status == 3
    assert "irAE:          yes (not assessed further)" in out


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
