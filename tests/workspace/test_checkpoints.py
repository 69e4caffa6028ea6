"""Checkpoints as files: whole or passed over, of this run or refused, two kept, copied or the original stays."""

import json

import pytest

from irae_lib.errors import RunError
from irae_lib.workspace import checkpoints, sealed

MINE = {"data_sha256": "a", "prompt": "compact-1"}


def write(root, step, belongs=MINE):
    folder = sealed.aside(root) / f"checkpoint-{step}"
    (folder / "deep").mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(b"w" * 1000 + bytes([step]))
    (folder / "deep" / "state.json").write_text("{}")
    sealed.seal(folder, belongs)
    return checkpoints.move_in(folder, root)


def test_the_furthest_whole_one_is_found_and_two_are_kept(tmp_path):
    for step in (5, 50, 100):
        write(tmp_path, step)
    assert checkpoints.find(tmp_path, MINE) == (tmp_path / "checkpoint-100", 100, ())
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-100", "checkpoint-50"]


def test_nothing_there_is_a_fresh_start(tmp_path):
    assert checkpoints.find(tmp_path / "nowhere", MINE) == (None, 0, ())


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda f: (f / "weights.safetensors").write_bytes(b"w" * 500), "weights.safetensors is cut or changed"),
        (lambda f: (f / "weights.safetensors").write_bytes(b"v" * 1000 + b"\x09"), "is cut or changed"),
        (lambda f: (f / "deep" / "state.json").unlink(), "deep/state.json is missing"),
        (lambda f: (f / "sealed.json").unlink(), "it was not finished"),
        (lambda f: (f / "sealed.json").write_text("{"), "its seal cannot be read"),
    ],
)
def test_a_damaged_one_is_passed_over_with_a_message(tmp_path, damage, why):
    write(tmp_path, 8)
    damage(write(tmp_path, 9))
    found = checkpoints.find(tmp_path, MINE)
    assert found.step == 8 and len(found.passed_over) == 1
    assert found.passed_over[0].startswith("checkpoint-9 is passed over") and why in found.passed_over[0]


def test_one_of_another_run_is_refused_and_says_what_differs(tmp_path):
    write(tmp_path, 3, MINE | {"data_sha256": "b"})
    with pytest.raises(RunError, match=r"belongs to another run: data_sha256 differ"):
        checkpoints.find(tmp_path, MINE)
    write(tmp_path, 4, MINE | {"rank": 8})
    with pytest.raises(RunError, match="rank"):
        checkpoints.find(tmp_path, MINE)


def test_what_an_interrupted_writer_left_is_no_checkpoint(tmp_path):
    half = sealed.aside(tmp_path) / "checkpoint-7"
    half.mkdir()
    (half / "weights.safetensors").write_bytes(b"half")
    assert checkpoints.find(tmp_path, MINE).folder is None
    assert not list(sealed.aside(tmp_path).iterdir()), "the next writer starts in an empty folder"


def test_the_same_step_again_replaces_the_old_one(tmp_path):
    write(tmp_path, 5, {"x": 1})
    write(tmp_path, 5)
    assert checkpoints.find(tmp_path, MINE).step == 5 and len(list(tmp_path.glob(".checkpoint*"))) == 0


def test_copies_are_whole_wherever_the_original_goes(tmp_path):
    here, drive = tmp_path / "here", tmp_path / "drive"
    place = checkpoints.Folder(drive)
    place.keep(write(here, 5))
    place.keep(write(here, 6))
    (here / "checkpoint-6" / "weights.safetensors").write_bytes(b"torn")
    found = place.find(MINE)
    assert found == (drive / "checkpoint-6", 6, ())
    assert json.loads((found.folder / sealed.SEAL).read_text())["belongs"] == MINE


def test_a_copy_that_fails_is_one_clear_error(tmp_path):
    blocked = tmp_path / "drive"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(RunError, match=r"checkpoint-5 could not be copied to drive"):
        checkpoints.Folder(blocked).keep(write(tmp_path / "here", 5))
    assert checkpoints.find(tmp_path / "here", MINE).step == 5
