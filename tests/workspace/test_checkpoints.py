"""Checkpoints as files: complete or skipped, of this run or refused, two kept, copied or the original stays."""

import json

import pytest

from irae_lib.errors import RunError
from irae_lib.files import replace_folder, require_same_run
from irae_lib.workspace import checkpoints

RUN = {"data_sha256": "a", "prompt": "compact-1"}


def write(root, step, belongs=RUN):
    folder = root / checkpoints.WRITING / f"checkpoint-{step}"
    (folder / "deep").mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(b"w" * 1000 + bytes([step]))
    (folder / "deep" / "state.json").write_text("{}")
    return checkpoints.save_checkpoint(folder, root, belongs)


def test_the_furthest_whole_one_is_found_and_two_are_kept(tmp_path):
    for step in (5, 50, 100):
        write(tmp_path, step)
    assert checkpoints.find(tmp_path, RUN) == (tmp_path / "checkpoint-100", 100, ())
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-100", "checkpoint-50"]


def test_nothing_there_is_a_fresh_start(tmp_path):
    assert checkpoints.find(tmp_path / "nowhere", RUN) == (None, 0, ())


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda f: (f / "weights.safetensors").write_bytes(b"w" * 500), "weights.safetensors is cut or changed"),
        (lambda f: (f / "weights.safetensors").write_bytes(b"v" * 1000 + b"\x09"), "is cut or changed"),
        (lambda f: (f / "deep" / "state.json").unlink(), "deep/state.json is missing"),
        (lambda f: (f / "sealed.json").unlink(), "it was not finished"),
        (lambda f: (f / "sealed.json").write_text("{"), "its manifest cannot be read"),
    ],
)
def test_a_damaged_one_is_skipped_with_the_reason(tmp_path, damage, why):
    write(tmp_path, 8)
    damage(write(tmp_path, 9))
    newest = checkpoints.find(tmp_path, RUN)
    assert newest.step == 8
    (line,) = newest.skipped
    assert line.startswith("checkpoint-9 is skipped: ")
    assert why in line


def test_one_of_another_run_is_refused_and_says_what_differs(tmp_path):
    write(tmp_path, 3, RUN | {"data_sha256": "b"})
    with pytest.raises(RunError, match=r"belongs to another run: data_sha256 differ"):
        checkpoints.find(tmp_path, RUN)
    write(tmp_path, 4, RUN | {"rank": 8})
    with pytest.raises(RunError, match="rank"):
        checkpoints.find(tmp_path, RUN)


def test_an_interrupted_writer_leaves_nothing_that_is_taken_for_a_checkpoint(tmp_path):
    half = tmp_path / "drive" / checkpoints.WRITING / "checkpoint-7"
    half.mkdir(parents=True)
    (half / "weights.safetensors").write_bytes(b"half")
    drive = checkpoints.FolderCheckpoints(tmp_path / "drive")
    assert drive.find(RUN).folder is None
    drive.keep(write(tmp_path / "here", 8))
    assert [path.name for path in (tmp_path / "drive").iterdir()] == ["checkpoint-8"], "the next writer clears up"


def test_the_same_step_again_replaces_the_old_one(tmp_path):
    write(tmp_path, 5, {"x": 1})
    write(tmp_path, 5)
    assert checkpoints.find(tmp_path, RUN).step == 5
    assert len(list(tmp_path.glob(".checkpoint*"))) == 0


def test_copies_are_complete_whatever_happens_to_the_original(tmp_path):
    here, drive = tmp_path / "here", tmp_path / "drive"
    place = checkpoints.FolderCheckpoints(drive)
    place.keep(write(here, 5))
    place.keep(write(here, 6))
    (here / "checkpoint-6" / "weights.safetensors").write_bytes(b"torn")
    newest = place.find(RUN)
    assert newest == (drive / "checkpoint-6", 6, ())
    assert json.loads((newest.folder / checkpoints.MANIFEST).read_text())["belongs"] == RUN


def test_a_copy_that_fails_is_one_clear_error(tmp_path):
    blocked = tmp_path / "drive"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(RunError, match=r"checkpoint-5 could not be copied to drive"):
        checkpoints.FolderCheckpoints(blocked).keep(write(tmp_path / "here", 5))
    assert checkpoints.find(tmp_path / "here", RUN).step == 5


def test_a_folder_is_replaced_when_the_block_ends_and_stays_when_it_fails(tmp_path):
    target = tmp_path / "deep" / "folder"
    for text in ("first", "second"):
        with replace_folder(target) as aside:
            (aside / f"{text}.txt").write_text(text)
    with pytest.raises(OSError, match="disk full"), replace_folder(target) as aside:
        (aside / "third.txt").write_text("third")
        raise OSError("disk full")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.txt")] == ["deep/folder/second.txt"]
    assert list(target.parent.iterdir()) == [target], "nothing is left beside it"


def test_results_of_another_run_are_refused_with_every_difference():
    require_same_run({"a": 1}, {"a": 1}, "answers.jsonl belongs to", "Remove it")
    with pytest.raises(RunError, match=r"^answers.jsonl belongs to another run: a, b, c differ. Remove it$"):
        require_same_run({"a": 1, "c": 3}, {"a": 2, "b": 2}, "answers.jsonl belongs to", "Remove it")
