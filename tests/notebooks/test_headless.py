"""papermill runs the notebooks with other parameters from a clean kernel, and the files they write are checked.

The main job runs as `smoke`: a few cases and one epoch. Seconds per notebook are printed by the runner.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from notebook_files import MAIN_JOB, NOTEBOOKS, code_cells, load, printed
from stub_server import StubServer, tuned

from irae_lib import Assessment, Case, review
from irae_lib.cases import read_cases, validated_cases
from irae_lib.files import ROOT, file_sha256, write_lines
from irae_lib.reviewing.opening import open_cases
from irae_lib.reviewing.panel import ReviewPanel
from irae_lib.reviewing.verdicts import save_verdict, verdict, verdict_file
from irae_lib.schemas import FIELDS, Urgency
from irae_lib.screening.__main__ import main as screen
from irae_lib.training.rows import notes_trained_on, read_training_file
from irae_lib.workspace.address import repository
from irae_lib.workspace.profiles import REHEARSAL_BASE

pytestmark = pytest.mark.slow


def execute(path: Path, out: Path, parameters: dict) -> str:
    """One notebook in a kernel of its own, with other parameters; returns everything that it printed."""
    papermill.execute_notebook(
        str(path),
        str(out),
        cwd=str(path.parent),
        kernel_name="python3",
        progress_bar=False,
        parameters=parameters,
    )
    return printed(out)


# The main job in a minute or two: few cases, two epochs, a few changed notes.
SMALL = ("-p", "seed", "11", "-p", "train_cases", "16", "-p", "epochs", "2", "-p", "probes", "3")


def run_job(runs: Path, *arguments: str) -> subprocess.CompletedProcess:
    """The main job as a user starts it, in its own process; output is kept for the message."""
    return subprocess.run(
        [sys.executable, "-m", "irae_lib.run", "--profile", "smoke", *arguments],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=900,
        env=os.environ | {"IRAE_RUNS": str(runs)},
    )


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    runs = tmp_path_factory.mktemp("smoke")
    done = run_job(runs, *SMALL)
    assert done.returncode == 0, done.stderr[-3000:]
    (folder,) = runs.iterdir()
    return folder, done.stdout


def test_job_prints_seconds_per_notebook_and_the_closing_table(job):
    _, out = job
    for name in MAIN_JOB:
        assert re.search(rf"^{name} +\d+$", out, re.M), name
    assert "base + safety" in out
    assert "tuned (full) + safety" in out
    assert "rehearsal" in out


def test_01_writes_data_that_reads_back(job):
    data = job[0] / "data"
    described = json.loads((data / "data.json").read_text())
    assert described["seed"] == 11
    assert described["own_cases"] == 0
    assert all(leaks["shared_frames"] == 0 for leaks in described["checks"]["leaks"].values())
    assert {name: file_sha256(data / name) for name in described["sha256"]} == described["sha256"]
    assert len(read_training_file(data / "train.jsonl")) == 16 + 11
    eleven = [json.loads(line) for line in (data / "training_data.jsonl").read_text().splitlines()]
    assert len(eleven) == 11
    assert all(row["messages"][-1]["role"] == "assistant" for row in eleven)
    assert len(read_cases(data / "test_cases.jsonl")) == len(read_training_file(data / "test.jsonl"))
    assert len({case.pair for case in read_cases(data / "contrast_cases.jsonl")}) == 6
    assert {path.name for path in (data / "dataset").iterdir()} >= {"README.md", "test.jsonl", "validated.jsonl"}
    assert {path.name for path in (data / "autotrain").iterdir()} == {"train.jsonl", "train.csv", "autotrain.yaml"}


def test_02_writes_both_adapters_with_their_records(job):
    for name, examples, updates in (("eleven", 11, 9), ("full", 27, 8)):
        record = json.loads((job[0] / "adapters" / name / "irae_adapter.json").read_text())
        assert (record["examples"], record["updates"], record["seed"]) == (examples, updates, 11)
        assert (record["rank"], record["alpha"], record["dropout"]) == (16, 32, 0.05)
        assert record["base_model"] == REHEARSAL_BASE
        assert record["prompt"] == "compact-1"
        data = {"eleven": "eleven.jsonl", "full": "train.jsonl"}[name]
        assert record["data_sha256"] == file_sha256(job[0] / "data" / data)
        assert {"torch", "transformers", "peft", "trl"} <= record["versions"].keys()


def test_03_writes_a_report_that_follows_from_the_answers(job):
    report = json.loads((job[0] / "report.json").read_text())
    answers = [json.loads(line) for line in (job[0] / "answers.jsonl").read_text().splitlines()]
    cases = {case.case.id: case for case in read_cases(job[0] / "data" / "test_cases.jsonl")}
    assert report["rehearsal"] is True
    for arm in ("base", "eleven", "full"):
        mine = [a for a in answers if a["split"] == "test" and a["arm"] == arm]
        for stage in ("raw", "safety"):
            right = sum(a[stage][field] for a in mine for field in FIELDS)
            assert report["results"]["test"][arm][stage]["field_accuracy"] == pytest.approx(
                right / 5 / len(mine), abs=1e-4
            )
            assert report["results"]["test"][arm][stage]["n"] == len(mine) == len(cases)
        for a in mine:  # what the floor did is what review does
            proposed = a["answer"]["assessment"] and Assessment.model_validate(a["answer"]["assessment"])
            assert Assessment.model_validate(a["final"]) == review(Case(text=cases[a["id"]].case.text), proposed).final
    figures = ["loss", "grid", "accuracy", "contrast", "calibration", "flow", "confusion", "steps"]
    assert {path.stem for path in (job[0] / "figures").iterdir()} == set(figures)
    page = (job[0] / "report.html").read_text()
    assert page.count("<figure>") == 7
    assert f"{report['results']['test']['full']['raw']['field_accuracy']:.3f}" in page


def test_04_publishes_into_a_folder_that_peft_loads(job):
    from peft import PeftModel

    from irae_lib.model.base import load_base
    from irae_lib.workspace.profiles import choose_profile

    publication = json.loads((job[0] / "publication.json").read_text())
    folder = job[0] / "published"
    assert publication["commit"] is None
    assert publication["logit_difference"] == 0.0
    assert publication["files"].keys() >= {
        "adapter_model.safetensors",
        "adapter_config.json",
        "README.md",
        "NOTICE",
        "report.json",
    }
    assert file_sha256(folder / "adapter_model.safetensors") == file_sha256(
        job[0] / "adapters/full/adapter_model.safetensors"
    )
    PeftModel.from_pretrained(load_base(choose_profile("rehearsal")), folder)


@pytest.mark.full
def test_same_parameters_give_the_same_report(job, tmp_path):
    again = run_job(tmp_path, *SMALL)
    assert again.returncode == 0, again.stderr[-3000:]
    (folder,) = tmp_path.iterdir()
    assert json.loads((folder / "report.json").read_text()) == json.loads((job[0] / "report.json").read_text())


def test_one_notebook_alone_goes_on_with_the_newest_run(job):
    before = (job[0] / "report.json").read_text()
    done = run_job(job[0].parent, "--only", "03", "-p", "probes", "3")
    assert done.returncode == 0, done.stderr[-3000:]
    assert (job[0] / "report.json").read_text() == before


def test_broken_training_file_is_refused_with_its_line_before_anything_runs(job, tmp_path):
    lines = (job[0] / "data" / "train.jsonl").read_text().splitlines()
    (tmp_path / "mine.jsonl").write_text(
        "\n".join([*lines[:6], lines[6].replace('\\"urgency\\":\\"', '\\"urgency\\":\\"x'), *lines[7:]])
    )
    runs = tmp_path / "runs"
    done = run_job(runs, "--only", "02", "-p", "training_file", str(tmp_path / "mine.jsonl"))
    assert done.returncode == 1
    for part in (
        "parameter training_file: mine.jsonl line 7",
        "urgency",
        "'routine', 'soon', 'urgent' or 'emergency'",
    ):
        assert part in done.stderr, done.stderr[-2000:]
    assert not runs.exists()


def test_02_alone_trains_on_a_file_of_ones_own_in_a_fresh_clone(job, tmp_path):
    (tmp_path / "mine.jsonl").write_bytes((job[0] / "data" / "train.jsonl").read_bytes())
    runs = tmp_path / "runs"
    relative = os.path.relpath(tmp_path / "mine.jsonl", ROOT)
    done = run_job(runs, "--only", "02", "-p", "training_file", relative, "-p", "epochs", "1")
    assert done.returncode == 0, done.stderr[-3000:]
    (folder,) = runs.iterdir()
    record = json.loads((folder / "adapters" / "full" / "irae_adapter.json").read_text())
    assert (record["own_cases"], record["examples"]) == (27, 27)
    assert notes_trained_on(folder, record).keys() == {case.case.id for case in validated_cases()} | {
        row["id"] for row in read_training_file(tmp_path / "mine.jsonl")
    }


def test_01_refuses_to_train_on_notes_that_are_tested_on(job, tmp_path):
    # The same seed and sizes make the same test notes; ids and spaces of the copies differ.
    cases = read_cases(job[0] / "data" / "test_cases.jsonl")
    copies = [{"id": f"own-{i}", "text": f"Note.  {c.case.text}\n"} for i, c in enumerate(cases)]
    rows = [copy | {"expected": case.expected.model_dump(mode="json")} for copy, case in zip(copies, cases)]
    own = write_lines(tmp_path / "own.jsonl", rows)
    done = run_job(tmp_path / "runs", *SMALL, "-p", "own_cases", str(own), "-p", "own_cases_for", "train")
    assert done.returncode == 1
    assert "01_build_data failed in cell" in done.stderr
    assert f"LeakError: {len(cases)} of " in done.stderr
    assert "test notes are also training notes" in done.stderr


def test_03_refuses_training_notes_as_a_test_and_own_notes_are_validated_and_not_published(job, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(job[0], run, ignore=shutil.ignore_patterns("checkpoints", "published"))
    rows = [
        {"id": f"x-{i}", "text": one.case.text, "expected": one.expected.model_dump(mode="json")}
        for i, one in enumerate(validated_cases())
    ]
    seen, own = (tmp_path / name for name in ("seen.jsonl", "own.jsonl"))
    write_lines(seen, rows)
    last = ("--only", "03", "--only", "04", "--run-dir", str(run), "-p", "probes", "1", "-p", "retention", "0")
    done = run_job(tmp_path / "runs", *last, "-p", "test_file", str(seen))
    assert done.returncode == 1
    assert "LeakError: 11 of 11 test notes are also training notes" in done.stderr
    well = {"text": "Seen before cycle 4 of pembrolizumab. Feels well, walks the dog. Laboratory tests normal."}
    label = {"irae_detected": False, "affected_systems": [], "overall_severity": "Unknown", "urgency": "routine"}
    write_lines(own, [well | {"expected": label | {"causality": {"likelihood": "Unlikely"}}}])
    done = run_job(tmp_path / "runs", *last, "-p", "test_file", str(own))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "validated on your own file; nothing is published" in done.stdout
    assert "your own test file; rehearsal" in done.stdout
    assert f"report: {run}/report.html" in done.stdout
    report = json.loads((run / "report.json").read_text())
    assert report["own_test"] is True
    assert report["results"]["test"]["full"]["safety"]["triage"]["specificity_well"]["n"] == 1
    assert not (run / "published").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--only", "5"], "no notebook of the main job starts with '05'"),
        (
            ["-p", "learning_rat", "1"],
            "no notebook of this run has a parameter 'learning_rat'; did you mean learning_rate?",
        ),
        (["-p", "train_cases", "-1"], "parameter train_cases must be 0 or more, found -1"),
        (["-p", "test_file", "absent.csv"], "parameter test_file: absent.csv not found"),
        (["-p", "epochs", "many"], "parameter epochs must be int"),
        (["--only", "03"], "run 01_build_data first"),
    ],
)
def test_wrong_command_line_is_refused_before_anything_runs(tmp_path, arguments, message):
    done = run_job(tmp_path / "runs", *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert not list(tmp_path.glob("runs/*/*"))


def test_00_retrains_a_base_that_loads(tmp_path):
    folder = tmp_path / "base"
    path = ROOT / "notebooks" / "00_rehearsal_base.ipynb"
    execute(path, tmp_path / "out.ipynb", {"retrain": True, "updates": 16, "output_dir": str(folder)})
    record = json.loads((folder / "training.json").read_text())
    assert record["legs"][0]["updates"] == 16
    assert record["sha256"] == file_sha256(folder / "model.safetensors")


def test_05_counts_how_far_reviewers_agree(tmp_path, monkeypatch):
    monkeypatch.setenv("IRAE_RUNS", str(tmp_path))
    for name, others in (("anna", 0), ("ben", 4)):  # ben sees four of the eleven as urgent whatever they are
        for i, one in enumerate(validated_cases()):
            said = one.expected.model_copy(update={"urgency": Urgency.URGENT}) if i < others else one.expected
            save_verdict(verdict_file(tmp_path / "reviews", name), verdict(one.case, said, kind=one.kind))
    path, out = ROOT / "notebooks" / "05_review_cases.ipynb", tmp_path / "out.ipynb"
    text = execute(
        path, out, {"profile": "smoke", "reviewer": "ben", "cases_file": str(tmp_path / "reviews" / "anna.jsonl")}
    )
    changed = sum(one.expected.urgency is not Urgency.URGENT for one in validated_cases()[:4])
    assert re.search(rf"anna and ben .*\n(?:.*\n)*?urgency +11 +{11 - changed} +0\.\d\d", text), text[-3000:]
    assert re.search(r"GI-001 +urgency +soon +urgent", text), "every difference, side by side"
    assert "ben and the labels" in text
    assert "answers from: rules alone, base, guided prompt, base, tuned" in text


def unlabelled(folder: Path, notes: dict[str, str]) -> Path:
    """Notes by id as a CSV without labels."""
    path = folder / "notes.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "text"), *notes.items()])
    return path


def test_05_reviews_a_worklist_of_notes_without_labels(tmp_path, monkeypatch):
    monkeypatch.setenv("IRAE_RUNS", str(tmp_path))
    notes = unlabelled(tmp_path, {f"n-{case.case.id}": case.case.text for case in validated_cases()})
    assert screen([str(notes), "--out", str(tmp_path / "screen"), "--workers", "1"]) == 0
    files = {"cases_file": str(notes), "worklist_file": str(tmp_path / "screen" / "worklist.csv")}
    path, out = ROOT / "notebooks" / "05_review_cases.ipynb", tmp_path / "out.ipynb"
    text = execute(path, out, {"profile": "smoke", **files})
    assert "cases: the 11 notes of worklist.csv, worst first" in text
    assert "no labels to compare them with" in text


def test_05_says_in_one_sentence_that_the_note_is_empty(tmp_path):
    path, out = ROOT / "notebooks" / "05_review_cases.ipynb", tmp_path / "out.ipynb"
    notebook = load(path)
    first = next(i for i, cell in enumerate(notebook.cells) if cell.id == "first-review")
    notebook.cells = notebook.cells[: first + 1]
    notebook.cells[first - 1].source = 'note = """ """'
    nbformat.write(notebook, tmp_path / "in.ipynb")
    with pytest.raises(papermill.PapermillExecutionError, match="the note above is empty; put one between the quotes"):
        papermill.execute_notebook(
            tmp_path / "in.ipynb", out, cwd=path.parent, kernel_name="python3", progress_bar=False
        )
    (error,) = [one for cell in load(out).cells for one in cell.get("outputs", []) if one.output_type == "error"]
    assert len(error.traceback) == 1, "no traceback"


OWN = {
    "liver": "Renal cell cancer, fourth nivolumab on Tuesday. Bloods today: ALT 640 U/L (ref 7-56). Not yellow, eats well.",
    "bowel": "On pembrolizumab since spring. 8 watery stools a day over baseline since the weekend, no blood seen.",
    "well": "Seen before the sixth nivolumab. Feels well, walks the dog twice a day, no complaints. ALT 20 U/L (ref 7-56).",
}


def test_verdicts_on_notes_without_labels_go_back_to_01_and_03(job, tmp_path):
    cases = open_cases(unlabelled(tmp_path, OWN)).cases
    panel = ReviewPanel(cases, {"rules": None}, folder=tmp_path, reviewer="anna")
    for line in ("c1 a", "c1 a", "c2 a"):
        panel.type(line)
    assert [case.kind for case in read_cases(panel.path)] == ["irae", "irae", "well"]
    runs = tmp_path / "runs"
    shutil.copytree(job[0], runs / job[0].name)
    done = run_job(runs, "--only", "03", "-p", "test_file", str(panel.path), "-p", "probes", "0")
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads((runs / job[0].name / "report.json").read_text())["results"]["test"]["base"]["raw"]["n"] == 3
    done = run_job(tmp_path / "more", "--only", "01", *SMALL[:6], "-p", "own_cases", str(panel.path))
    assert done.returncode == 0, done.stderr[-3000:]


def test_06_asks_a_server_and_watches_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("IRAE_RUNS", str(tmp_path))
    path, out = ROOT / "notebooks" / "06_screen_at_scale.ipynb", tmp_path / "out.ipynb"
    with StubServer(answers=tuned()) as server:
        text = execute(path, out, {"server": server.url, "concurrency": 8, "out_dir": str(tmp_path / "screen")})
    assert "applies the schema" in text
    assert "402 rows, 0 without an answer" in text
    assert "11 of 11 pass" in text
    assert re.search(r"valid share *\nall +402 ", text)
    assert re.search(r"machines +notes a second.*\n1 +[\d.]+ ", text)
    assert len(list((tmp_path / "screen" / "model").glob("*.jsonl"))) == 3


def test_a_lone_notebook_clones_the_project_once_and_reads_a_case(tmp_path):
    # What a badge opens in Colab: one file, no checkout. GitHub is this checkout's own repository here.
    page, out = tmp_path / "page" / "05_review_cases.ipynb", tmp_path / "out.ipynb"
    page.parent.mkdir()
    notebook = load(ROOT / "notebooks" / page.name)
    first = next(i for i, cell in enumerate(notebook.cells) if cell.id == "first-review")
    notebook.cells = notebook.cells[: first + 1]  # up to the first answer; the rest does not depend on the place
    nbformat.write(notebook, page)
    page.write_text(page.read_text().replace(f'= \\"{repository()}\\"', '= \\"some-body/irae\\"'))
    github = tmp_path / "github"
    for command in (["init", "-q", str(github)], ["-C", str(github), "add", "."]):
        if "add" in command:
            for name in ("notebooks", "irae_lib", "data"):
                shutil.copytree(ROOT / name, github / name, ignore=shutil.ignore_patterns("__pycache__"))
            shutil.copy(ROOT / "requirements.txt", github)
        subprocess.run(["git", *command], check=True, capture_output=True)
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", str(github), *who, "commit", "-qm", "all"], check=True, capture_output=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{github}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/some-body/irae",
        "IRAE_RUNS": str(tmp_path / "runs"),
        "IRAE_PROFILE": "smoke",
    }
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "-k", "python3", "--cwd", str(page.parent)]
    for _ in range(2):  # the second time it is there
        done = subprocess.run([*command, page, out], env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        text = printed(out)
        assert "ready, nothing to install" in text
        assert "grade: Grade 3 - Severe | urgency: urgent" in text
    assert sorted(path.name for path in page.parent.iterdir()) == [page.name, "irae"]


def test_a_lone_notebook_without_an_address_says_what_to_do(tmp_path):
    (setup,) = [cell.source for cell in code_cells(NOTEBOOKS[0]) if "repository =" in cell.source]
    setup = setup.replace(f'"{repository()}"', '"OWNER/REPO"')
    done = subprocess.run(
        [sys.executable, "-c", setup.replace("    !rm", "    #rm")], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode
    assert "open this notebook from a clone of the project, or set repository above" in done.stderr
