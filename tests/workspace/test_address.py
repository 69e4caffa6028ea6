"""The repository's address: one command writes it everywhere, and back again byte for byte."""

import json
import shutil

import pytest
from labels import REPORT

from irae_lib.errors import RunError
from irae_lib.files import ROOT
from irae_lib.publishing import model_card
from irae_lib.workspace import address

TRAINING = "irae_lib/training/README.md"


@pytest.fixture
def checkout(tmp_path):
    for name in ("notebooks", "README.md", TRAINING, "data/repository.txt"):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile)(ROOT / name, target)
    return tmp_path


def contents(root):
    paths = (*root.glob("notebooks/*.ipynb"), root / "README.md", root / TRAINING)
    return {str(path.relative_to(root)): path.read_text() for path in paths}


def test_it_is_written_to_badges_setup_cells_and_commands_and_back(checkout):
    before, present = contents(checkout), address.repository(checkout)
    changed = address.set_repository("some-body/irae.triage_2", checkout)
    assert len(changed) == len(before) + 1
    assert address.repository(checkout) == "some-body/irae.triage_2"
    for name, text in contents(checkout).items():
        assert present not in text, name
        notebook = {"README.md": "notebooks/00_rehearsal_base.ipynb", TRAINING: ""}.get(name, name)
        assert f"/github/some-body/irae.triage_2/blob/main/{notebook}" in text or name == TRAINING
    for path in checkout.glob("notebooks/*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        assert any('repository = "some-body/irae.triage_2"' in "".join(cell["source"]) for cell in cells)
    assert "https://github.com/some-body/irae.triage_2 irae" in (checkout / TRAINING).read_text()
    assert (checkout / "README.md").read_text().count("[![Colab]") == len(before) - 2, "one badge a notebook"
    assert address.set_repository("some-body/irae.triage_2", checkout) == []
    address.set_repository(present, checkout)
    assert contents(checkout) == before


def test_an_address_as_pasted_from_a_browser_is_taken(checkout):
    address.set_repository("https://github.com/me/copy.git", checkout)
    assert address.repository(checkout) == "me/copy"


def test_a_longer_name_that_begins_the_same_is_left_alone(checkout):
    address.set_repository("me/irae", checkout)
    readme = checkout / TRAINING
    readme.write_text(
        readme.read_text() + "\nSee https://github.com/me/irae-data, github.com/me/irae.old, you/me/irae.\n"
    )
    address.set_repository("me/other", checkout)
    last = readme.read_text().splitlines()[-1]
    assert last == "See https://github.com/me/irae-data, github.com/me/irae.old, you/me/irae."


@pytest.mark.parametrize("wrong", ["irae", "https://example.org/a/b", "a/b/c", "a b/c", "a/", "-a/b", "a/b\n"])
def test_what_is_no_address_is_refused(checkout, wrong):
    before = contents(checkout)
    with pytest.raises(RunError, match="expected owner/name"):
        address.set_repository(wrong, checkout)
    assert contents(checkout) == before


def test_the_card_points_to_it(monkeypatch):
    monkeypatch.setattr(model_card, "repository", lambda: "some-body/irae")
    record = json.loads((ROOT / "data/rehearsal_adapter/irae_adapter.json").read_text())
    assert "(https://github.com/some-body/irae)" in model_card.model_card(record, REPORT, "tester/irae")
