"""One loaded model: its arms, its cached answers, and the code that a cached answer depends on."""

import sys
from pathlib import Path

import pytest

import irae_lib
from irae_lib.files import DATA
from irae_lib.model import loaded
from irae_lib.model.loaded import ANSWERING, LoadedModel
from irae_lib.safety import review
from irae_lib.screening.rows import RULES_CODE
from irae_lib.synthesis.make_cases import make_cases
from irae_lib.workspace.profiles import choose_profile

NOTES = [case.case for case in make_cases(4, pool="test", seed=5, prefix="loaded", detail="short")]
PACKAGE = Path(irae_lib.__file__).parent


@pytest.fixture(scope="module")
def model():
    return LoadedModel(choose_profile("rehearsal"), {"full": DATA / "rehearsal_adapter"})


def sources(modules):
    """The files that `files.source_hash` reads of these modules."""
    paths = [Path(module.__file__) for module in modules]
    return {file for path in paths for file in (path.parent.rglob("*.py") if path.name == "__init__.py" else [path])}


def files_that_run(call):
    """Source files of the package whose code runs during a call."""
    seen = set()
    sys.setprofile(lambda frame, event, argument: seen.add(frame.f_code.co_filename))
    try:
        call()
    finally:
        sys.setprofile(None)
    return {Path(name) for name in seen if Path(name).is_relative_to(PACKAGE)}


def test_the_modules_named_are_the_ones_that_decide_an_answer(model):
    # What stores, hashes and hands on an answer does not decide it.
    neutral = {
        PACKAGE / name
        for name in (
            "files.py",
            "model/loaded.py",
            "model/answer_cache.py",
            "model/batching.py",
            "workspace/hub_access.py",
        )
    }
    assert files_that_run(lambda: model.answer(NOTES, "full")) <= sources(ANSWERING) | neutral


def test_the_modules_named_are_the_ones_that_decide_a_review():
    data_on_first_use = {PACKAGE / "files.py"}
    assert files_that_run(lambda: [review(note) for note in NOTES]) <= sources(RULES_CODE) | data_on_first_use


def test_a_changed_parser_makes_cached_answers_stale(model, tmp_path, monkeypatch):
    path = tmp_path / "answers.jsonl"
    first = model.answer(NOTES, "full", cache=path)
    lines = path.read_text()
    assert model.answer(NOTES, "full", cache=path) == first
    assert path.read_text() == lines, "nothing was generated again"
    copy = tmp_path / "answers.py"
    copy.write_text(Path(loaded.answers.__file__).read_text() + "# changed")
    monkeypatch.setattr(loaded.answers, "__file__", str(copy))
    assert model.answer(NOTES, "full", cache=path) == first
    assert path.read_text().splitlines()[0] != lines.splitlines()[0], "another version of the code starts a new file"


def test_a_changed_wording_of_a_prompt_makes_cached_answers_stale(model, tmp_path, monkeypatch):
    before = model._identity("full")
    (tmp_path / "compact.txt").write_text("Other words.")
    monkeypatch.setattr(loaded.prompts, "FOLDER", tmp_path)
    assert model._identity("full") != before


def test_the_base_arm_answers_without_the_adapter(model):
    assert model.answer(NOTES) != model.answer(NOTES, "full")
    assert model.answer(NOTES, "full") == model.answer(NOTES, "full")
