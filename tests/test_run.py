"""`python -m irae_lib.run` on notebooks of one cell: stops, failures, and what it says at its end."""

import os
import shlex
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pytest

from irae_lib import run
from irae_lib.errors import NotPublished
from irae_lib.files import ROOT, save_json
from irae_lib.workspace import runs, setup, storage

PARAMETERS = 'profile = "auto"\nrun_dir = ""\nepochs = 0\ntest_file = ""\nhub_model_id = ""'


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout in a folder with braces, whose main job is four notebooks of one cell: `checkout(second="...")`."""
    root = tmp_path / "check {out}"
    (root / "notebooks").mkdir(parents=True)
    (root / "requirements.txt").write_text("pydantic\n")
    monkeypatch.setattr(run, "ROOT", root)
    monkeypatch.setenv("IRAE_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)

    def make(**cells: str):
        for name, number in zip(run.MAIN_JOB, ("first", "second", "third", "fourth"), strict=True):
            code = [nbformat.v4.new_code_cell(PARAMETERS), nbformat.v4.new_code_cell(cells.get(number, "1 + 1"))]
            code[0].metadata.tags = ["parameters"]
            kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
            nbformat.write(nbformat.v4.new_notebook(cells=code, metadata=kernel), root / "notebooks" / f"{name}.ipynb")

    return make


def smoke(*arguments: str) -> int:
    return run.main(["--profile", "smoke", *arguments])


def test_braces_in_paths_are_letters_and_the_end_names_the_report(checkout, tmp_path, monkeypatch, capsys):
    checkout(third="import pathlib; pathlib.Path(run_dir, 'seen.txt').write_text(run_dir)")
    (tmp_path / "out {x}").mkdir()
    (tmp_path / "out {x}" / "report.json").write_bytes((ROOT / "data/reports/rehearsal.json").read_bytes())
    assert smoke("--run-dir", "out {x}", "--only", "03") == 0
    assert (tmp_path / "out {x}" / "seen.txt").read_text() == str(tmp_path / "out {x}")
    assert capsys.readouterr().out.endswith("report: out {x}/report.json (the numbers: out {x}/report.json)\n")
    (tmp_path / "out {x}" / "report.html").write_text("page")
    assert "report: out {x}/report.html (the numbers" in run._closing(tmp_path / "out {x}", {})


def test_ctrl_c_says_how_to_continue(checkout, tmp_path, capsys):
    checkout(second="raise KeyboardInterrupt")
    assert smoke("-p", "epochs", "2", "--run-dir", "my run") == 130
    said = capsys.readouterr().err
    assert "stopped in 02_fine_tune; continue with --run-dir" in said
    words = shlex.split(said.strip().splitlines()[-1])
    assert words[:7] == ["python", "-m", "irae_lib.run", "--profile", "smoke", "--run-dir", "my run"]
    assert words[7:13] == ["--only", "02", "--only", "03", "--only", "04"]
    assert words[13:] == ["-p", "epochs", "2"]
    checkout()
    assert run.main(words[3:]) == 0, "the command that was printed runs"


def test_ctrl_c_before_anything_runs(checkout, monkeypatch, capsys):
    checkout()

    def interrupted(only):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_chosen", interrupted)
    assert smoke() == 130
    assert capsys.readouterr().err == "\nstopped\n"


def test_ones_own_notes_end_the_job_without_a_publication_and_without_a_failure(checkout, capsys):
    own = "class NotPublished(Exception): pass\nraise NotPublished('validated on your own file; nothing is published.')"
    assert NotPublished.__name__ in own
    checkout(fourth=own)
    assert smoke("--only", "04", "--run-dir", "a") == 0
    assert "validated on your own file; nothing is published." in capsys.readouterr().out
    assert smoke("--only", "04", "--run-dir", "b", "-p", "hub_model_id", "me/model") == 1, "publication was asked for"


def test_a_full_or_read_only_disk_is_one_sentence(checkout, monkeypatch, capsys):
    checkout(first="import errno; raise OSError(errno.ENOSPC, 'No space left on device', 'train.jsonl')")
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=0))
    assert smoke("--only", "01") == 1
    assert "The disk is full: free some space, then run again with the same --run-dir." in capsys.readouterr().err
    monkeypatch.setattr(run, "_execute_one", lambda job, name: os.stat("/dev/null/x"))
    with pytest.raises(NotADirectoryError):
        smoke("--only", "01")

    def read_only(job, name):
        raise OSError(30, "Read-only file system", "01_build_data.ipynb")

    monkeypatch.setattr(run, "_execute_one", read_only)
    assert smoke("--only", "01") == 1
    assert "01_build_data.ipynb was not written: the disk is read-only. Give run_dir" in capsys.readouterr().err


def test_a_run_folder_that_cannot_be_written_is_refused(checkout, monkeypatch, tmp_path, capsys):
    checkout()
    (tmp_path / "file").write_text("")
    assert smoke("--run-dir", "file") == 1
    assert "the run folder 'file' cannot be written: File exists" in capsys.readouterr().err

    def full(**where):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs.tempfile, "TemporaryFile", full)
    assert smoke() == 1
    assert "cannot be written: No space left on device. Free some space there" in capsys.readouterr().err


def test_missing_packages_are_named_with_the_command(checkout, capsys):
    checkout()
    (run.ROOT / "requirements.txt").write_text("pydantic>=2  # here\nabsent-package>=1.0\nruff\npytest>=1\n")
    assert smoke() == 1
    assert "packages are missing: absent-package. Install them: pip install -r" in capsys.readouterr().err


def test_02_alone_on_a_fresh_clone_makes_the_data_as_the_notebook_does(checkout, tmp_path, monkeypatch):
    checkout()

    def makes_data(run_dir, *, needs, made_by, place, profile):
        save_json(tmp_path / "runs" / "made" / needs, {"own_cases": 0})
        assert (run_dir, made_by, profile.name) == ("", "01_build_data", "smoke")
        return tmp_path / "runs" / "made"

    monkeypatch.setattr(storage, "fetch_run", makes_data)
    assert smoke("--only", "02", "-p", "epochs", "1") == 0
    assert (tmp_path / "runs" / "made" / "02_fine_tune.ipynb").is_file()


def test_profile_and_run_dir_may_be_given_as_parameters(checkout, tmp_path):
    checkout()
    assert run.main(["-p", "profile", "smoke", "-p", "run_dir", "here", "--only", "01"]) == 0
    assert (tmp_path / "here" / "01_build_data.ipynb").is_file()


# --- a Python that is too old, or bare ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        ("sys.version_info = (3, 9, 18, 'final', 0)", "irae_lib needs Python 3.11 or newer; this is 3.9"),
        ("sys.modules['pydantic'] = None", "the package pydantic is not installed: pip install -r requirements.txt"),
    ],
)
def test_an_old_or_bare_python_is_one_sentence_on_the_command_line(before, sentence):
    code = f"import sys\n{before}\nsys.argv[0] = '-m'\nimport irae_lib"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr.strip()) == (1, sentence)
    done = subprocess.run([sys.executable, "-c", code.replace("'-m'", "'x'")], capture_output=True, text=True, cwd=ROOT)
    assert "Error: " in done.stderr, "a program that imports the package gets an error it can handle"


def test_the_setup_cell_says_that_python_is_too_old(monkeypatch):
    monkeypatch.setattr(setup, "OLDEST_PYTHON", (4, 0))
    with pytest.raises(RuntimeError, match=r"^this is Python 3[.\d]+; expected 4.0 or newer: choose another kernel$"):
        setup.make_ready(ROOT)


def test_the_oldest_python_is_that_of_the_requirements():
    assert "Python {}.{} or newer".format(*setup.OLDEST_PYTHON) in (ROOT / "requirements.txt").read_text()
