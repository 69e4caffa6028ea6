"""Parameters of the command line: checked before the first notebook starts, paths as the shell means them."""

import json
import os

import pytest
from test_cases import own_row

from irae_lib import parameters
from irae_lib.errors import AccessError, AdapterError, IraeError, LeakError, RunError, SchemaError
from irae_lib.files import DATA, ROOT, write_lines
from irae_lib.run import MAIN_JOB, _declared


@pytest.fixture(scope="module")
def declared():
    return _declared()


def values(declared, left_out=(), **given) -> dict:
    typed = parameters.typed(given, declared, left_out)
    return {wish: value for mine in typed.values() for wish, value in mine.items()}


def test_values_have_the_type_of_the_notebooks_default(declared):
    got = values(declared, epochs="2", learning_rate="1e-3", retention="false", base_revision="007", probes="-1")
    assert got == {"epochs": 2, "learning_rate": 0.001, "retention": False, "base_revision": "007", "probes": -1}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epoch", "2", "no notebook of this run has a parameter 'epoch'; did you mean epochs?"),
        ("train-cases", "2", "did you mean train_cases?"),
        ("Learning_Rate", "1", "did you mean learning_rate?"),
        ("zzzz", "1", "there are adapter_dir, alpha, base_model"),
        ("train_cases", "-1", "parameter train_cases must be 0 or more, found -1"),
        ("test_cases", "-5", "must be 0 or more"),
        ("epochs", "-1", "must be 0 or more"),
        ("epochs", "1.5", "parameter epochs must be int, found '1.5'"),
        ("max_minutes", "-0.1", "must be 0 or more"),
        ("learning_rate", "nan", "must be 0 or more"),
        ("probes", "-2", "must be -1 or more"),
        ("retention", "maybe", "must be bool"),
        ("own_cases_for", "trian", "must be one of external, train; found 'trian'"),
    ],
)
def test_a_wrong_parameter_is_refused_in_one_sentence(declared, name, value, message):
    with pytest.raises(RunError) as error:
        values(declared, **{name: value})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_parameter_of_a_notebook_that_is_left_out_is_named(declared):
    with pytest.raises(RunError, match="'epochs'; it belongs to 02_fine_tune, which --only leaves out"):
        values(declared, left_out=("01_build_data", "02_fine_tune"), epochs="2")


def test_relative_paths_are_those_of_the_shell(declared, tmp_path, monkeypatch):
    (tmp_path / "kept {a}").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in (*parameters.READERS, "output_dir", "adapter_dir"):
        assert values(declared, **{name: "mine.jsonl"})[name] == str(tmp_path / "mine.jsonl")
        assert values(declared, **{name: "../mine {x}"})[name] == str(tmp_path.parent / "mine {x}")
        assert values(declared, **{name: ""})[name] == ""
    assert values(declared, keep_in="kept {a}")["keep_in"] == str(tmp_path / "kept {a}")
    for place in ("drive", "hub:me/run"):
        assert values(declared, keep_in=place)["keep_in"] == place
    assert values(declared, hub_model_id="me/model")["hub_model_id"] == "me/model"


def test_a_base_may_be_a_folder_here_and_one_of_the_checkout_keeps_its_portable_name(declared, tmp_path, monkeypatch):
    (tmp_path / "base").mkdir()
    monkeypatch.chdir(tmp_path)
    assert values(declared, base_model="base")["base_model"] == str(tmp_path / "base")
    relative = os.path.relpath(DATA / "rehearsal_base", tmp_path)
    assert values(declared, base_model=relative)["base_model"] == "data/rehearsal_base"
    monkeypatch.chdir(ROOT)
    assert values(declared, base_model="data/rehearsal_base")["base_model"] == "data/rehearsal_base"
    assert values(declared, base_model="google/medgemma-4b-it")["base_model"] == "google/medgemma-4b-it"


@pytest.mark.parametrize("name", parameters.READERS)
def test_every_file_is_read_before_anything_runs(name, tmp_path):
    with pytest.raises(SchemaError, match=f"parameter {name}: absent.jsonl not found"):
        parameters.check({name: str(tmp_path / "absent.jsonl")})
    with pytest.raises(IraeError, match=f"parameter {name}: .*cannot be read: Is a directory"):
        parameters.check({name: str(tmp_path)})
    if name != "terms_file":
        path = tmp_path / "broken.jsonl"
        path.write_text('{"id": "1"}\n')
        with pytest.raises(SchemaError, match=f"parameter {name}: broken.jsonl line 1"):
            parameters.check({name: str(path)})


def test_every_file_parameter_of_the_notebooks_is_known_here(declared):
    named = {name for has in declared.values() for name in has if name.endswith(("_file", "own_cases"))}
    folders = {name for has in declared.values() for name in has if name.endswith(("_dir", "keep_in"))}
    assert named == parameters.READERS.keys()
    assert folders - {"run_dir"} == {*parameters._FOLDERS}
    assert declared.keys() == {*MAIN_JOB}


def test_the_same_notes_are_not_trained_and_tested_on(tmp_path):
    train = write_lines(tmp_path / "train.jsonl", [own_row(1), own_row(2)])
    test = write_lines(tmp_path / "test.jsonl", [own_row(2) | {"id": "another", "text": "NOTE 2  of my clinic"}])
    both = {"own_cases": str(train), "test_file": str(test)}
    parameters.check(both | {"own_cases_for": "external"})
    parameters.check(both)
    with pytest.raises(LeakError, match="first 'another' .in training 'own-2'"):
        parameters.check(both | {"own_cases_for": "train"})


def test_a_training_file_and_a_test_file_are_compared(tmp_path):
    from irae_lib.cases import read_cases
    from irae_lib.training.rows import to_messages

    test = write_lines(tmp_path / "test.jsonl", [own_row(1)])
    training = write_lines(tmp_path / "training.jsonl", map(to_messages, read_cases(test)))
    with pytest.raises(LeakError, match="1 of 1 test notes are also training notes"):
        parameters.check({"training_file": str(training), "test_file": str(test)})


def test_repositories_have_an_owner_and_an_adapter_is_there(tmp_path):
    for name in ("hub_model_id", "space_id"):
        with pytest.raises(AccessError, match="'model' is not the name of a repository; expected owner/name"):
            parameters.check({name: "model"})
    with pytest.raises(AccessError, match="expected owner/name"):
        parameters.check({"keep_in": "hub:runs"})
    with pytest.raises(AdapterError, match="holds no irae_adapter.json"):
        parameters.check({"adapter_dir": str(tmp_path)})
    parameters.check({"adapter_dir": str(tmp_path), "output_dir": str(tmp_path)})
    assert json.loads((DATA / "rehearsal_adapter" / "irae_adapter.json").read_text())
    parameters.check({"adapter_dir": str(DATA / "rehearsal_adapter")})
