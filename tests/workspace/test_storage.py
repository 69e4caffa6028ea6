"""Storage: complete or skipped, in a folder or a private repository, loaded again on a bare machine."""

import json
import shutil

import pytest
from loopback_hub import TOKEN, LoopbackHub, talk

from irae_lib.errors import AccessError, RunError
from irae_lib.workspace import checkpoints, storage
from irae_lib.workspace.profiles import choose_profile


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two machines: a function that gives each an empty folder of runs."""

    def machine(name):
        folder = tmp_path / name / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        monkeypatch.setenv("IRAE_RUNS", str(folder))
        return folder

    return machine


def make_run(root, name="20261125-100000", seed=7):
    run = root / name
    (run / "data").mkdir(parents=True)
    (run / "data" / "data.json").write_text(json.dumps({"seed": seed}))
    (run / "data" / "train.jsonl").write_text("row\n")
    for adapter in ("full", "eleven", "full-float16"):
        (run / "adapters" / adapter).mkdir(parents=True)
        (run / "adapters" / adapter / "irae_adapter.json").write_text("{}")
    (run / "loss.json").write_text("{}")
    return run


# --- a folder -------------------------------------------------------------------------------------------


def test_another_machine_finds_what_was_kept(runs, tmp_path):
    drive = storage.place_at(str(tmp_path / "drive"))
    run = make_run(runs("first"))
    assert "read back: data of 20261125-100000 in drive/" in drive.keep(run, "data")
    drive.keep(run, "adapters")
    second = runs("second")
    found = storage.fetch_run(
        "", needs="adapters/full/irae_adapter.json", made_by="02_fine_tune", place=drive, profile=choose_profile()
    )
    assert found == second / run.name
    assert json.loads((found / "data" / "data.json").read_text()) == {"seed": 7}
    assert not (found / "adapters" / "full-float16").exists(), "what is a copy of another file is not kept"
    assert not list(run.rglob(".writing/*"))
    assert not list((tmp_path / "drive").rglob(".*/*"))


def test_the_run_that_was_kept_last_is_brought_or_the_one_asked_for(runs, tmp_path, monkeypatch):
    drive = storage.place_at(str(tmp_path / "drive"))
    root = runs("first")
    for number, name in enumerate(("b", "a")):
        run = make_run(root, name, seed=number)
        drive.keep(run, "data")
        manifest = tmp_path / "drive" / name / "data" / checkpoints.MANIFEST  # two within one second
        manifest.write_text(manifest.read_text().replace('"kept": "', f'"kept": "{number}'))
    runs("second")
    assert drive.bring("data/data.json")[0].name == "a"
    assert drive.bring("data/data.json", str(tmp_path / "here" / "b"))[0] == tmp_path / "here" / "b"
    assert drive.bring("report.json") == (None, [])


@pytest.mark.parametrize("damage", ["cut", "missing", "unreadable"])
def test_a_damaged_copy_is_skipped_and_an_older_one_taken(runs, tmp_path, damage):
    drive = storage.place_at(str(tmp_path / "drive"))
    root = runs("first")
    drive.keep(make_run(root, "old"), "data")
    drive.keep(make_run(root, "new"), "data")
    for name, stamp in (("old", "1"), ("new", "2")):
        manifest = tmp_path / "drive" / name / "data" / checkpoints.MANIFEST
        manifest.write_text(manifest.read_text().replace('"kept": "', f'"kept": "{stamp}'))
    victim = tmp_path / "drive" / "new" / "data"
    if damage == "unreadable":
        (victim / checkpoints.MANIFEST).write_text("{")
    elif damage == "missing":
        (victim / "data" / "train.jsonl").unlink()
    else:
        (victim / "data" / "train.jsonl").write_text("ro")
    runs("second")
    found, skipped = drive.bring("data/data.json")
    assert found.name == "old"
    assert damage == "unreadable" or "the stored run new is skipped: data/train.jsonl" in skipped[0]


def test_keeping_again_replaces_and_never_leaves_half(runs, tmp_path, monkeypatch):
    drive = storage.place_at(str(tmp_path / "drive"))
    run = make_run(runs("first"))
    drive.keep(run, "data")
    (run / "data" / "train.jsonl").write_text("other\n")
    real = shutil.copytree

    def full_disk(source, target, **how):
        if "drive" in str(target):
            raise OSError(28, "No space left on device")
        return real(source, target, **how)

    monkeypatch.setattr(shutil, "copytree", full_disk)
    with pytest.raises(RunError, match="data could not be copied to 20261125-100000: No space left"):
        drive.keep(run, "data")
    kept = tmp_path / "drive" / run.name / "data"
    assert not checkpoints.incomplete(kept)
    assert (kept / "data" / "train.jsonl").read_text() == "row\n"
    monkeypatch.undo()
    drive.keep(run, "data")
    assert (kept / "data" / "train.jsonl").read_text() == "other\n"


def test_what_is_here_already_is_not_overwritten(runs, tmp_path):
    drive = storage.place_at(str(tmp_path / "drive"))
    run = make_run(runs("first"))
    drive.keep(run, "data")
    second = runs("second") / run.name
    second.mkdir()
    (second / "data").mkdir()
    (second / "data" / "train.jsonl").write_text("mine\n")
    drive.bring("data/data.json")
    assert (second / "data" / "train.jsonl").read_text() == "mine\n"
    assert (second / "data" / "data.json").is_file()


def test_nowhere_keeps_nothing_and_says_how_to(runs):
    nowhere = storage.place_at("")
    run = make_run(runs("first"))
    assert nowhere.folder("reviews") == run.parent / "reviews"
    assert nowhere.keep(run, "data") == "kept in the run folder only"
    assert nowhere.checkpoints(run, "full") == ()
    with pytest.raises(RunError, match="run 03_validate first.*Each Colab page is a machine of its own: give keep_in"):
        storage.fetch_run("", needs="report.json", made_by="03_validate", place=nowhere, profile=choose_profile())


def test_a_place_that_has_it_not_says_so(runs, tmp_path):
    runs("first")
    drive = storage.place_at(str(tmp_path / "drive"))
    with pytest.raises(RunError, match="It is not stored in drive/ either"):
        storage.fetch_run("", needs="report.json", made_by="03_validate", place=drive, profile=choose_profile())


def test_drive_is_for_colabs_page(runs):
    with pytest.raises(RunError, match="Drive is not mounted here.*Colab's own page only"):
        storage.place_at("drive")


@pytest.mark.slow
def test_data_and_on_the_rehearsal_an_adapter_are_made_where_there_is_no_run(runs, capsys):
    root, profile = runs("bare"), choose_profile("smoke")
    nowhere = storage.place_at("")
    run = storage.fetch_run(
        "", needs="adapters/full/irae_adapter.json", made_by="02_fine_tune", place=nowhere, profile=profile
    )
    assert run.parent == root
    assert (run / "data" / "train.jsonl").is_file()
    assert "the shipped rehearsal adapter stands in" in capsys.readouterr().out
    shutil.rmtree(run / "adapters")  # a run of somebody's own is there now: nothing stands in for its adapter
    with pytest.raises(RunError, match="run 02_fine_tune first"):
        storage.fetch_run(
            "", needs="adapters/full/irae_adapter.json", made_by="02_fine_tune", place=nowhere, profile=profile
        )


# --- the Hub --------------------------------------------------------------------------------------------

PARTS = """
import json, os, shutil, sys
from pathlib import Path
from irae_lib.workspace import storage
from irae_lib.errors import IraeError
first, second = Path(sys.argv[1]), Path(sys.argv[2])
os.environ["IRAE_RUNS"] = str(first)
said = {}
try:
    place = storage.place_at("hub:tester/run")
    said["before"] = place.bring("data/data.json")
    for part in ("data", "adapters", "data"):
        said[part] = place.keep(first / "mine", part)
    os.environ["IRAE_RUNS"] = str(second)
    found, skipped = storage.place_at("hub:tester/run").bring("adapters/full/irae_adapter.json")
    said |= {"found": found and found.name, "skipped": skipped}
    said["files"] = sorted(p.relative_to(found).as_posix() for p in found.rglob("*") if p.is_file()) if found else []
except IraeError as error:
    said["error"] = [type(error).__name__, str(error)]
print(json.dumps(said))
"""


def test_parts_of_a_run_go_to_the_hub_and_come_back(runs, tmp_path):
    make_run(runs("first"), "mine")
    with LoopbackHub(TOKEN) as server:
        said = talk(server, tmp_path, PARTS, str(tmp_path / "first/runs"), str(tmp_path / "second/runs"))
        assert server.repos["tester/run"]["private"]
    assert said["before"] == [None, []], said
    assert said["data"] == "kept: data of mine in tester/run", said
    assert said["found"] == "mine"
    assert said["skipped"] == []
    assert said["files"] == [
        "adapters/eleven/irae_adapter.json",
        "adapters/full/irae_adapter.json",
        "data/data.json",
        "data/train.jsonl",
        "loss.json",
    ]


def test_a_part_changed_on_the_way_is_skipped(runs, tmp_path):
    make_run(runs("first"), "mine")
    with LoopbackHub(TOKEN, corrupt="mine/adapters/adapters/full/irae_adapter.json") as server:
        said = talk(server, tmp_path, PARTS, str(tmp_path / "first/runs"), str(tmp_path / "second/runs"))
    assert said["found"] is None
    assert "adapters/full/irae_adapter.json is cut or changed" in said["skipped"][0]


def test_the_hub_gets_no_cases_of_ones_own_and_needs_a_token(runs, tmp_path, monkeypatch):
    for name in ("HF_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(AccessError, match="needs a token"):
        storage.place_at("hub:tester/run")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    repo, run = storage.place_at("hub:tester/run"), make_run(runs("first"))
    with pytest.raises(RunError, match="3 cases of your own are in these data"):
        repo.keep(run, "data", own_notes=3)
    with pytest.raises(RunError, match="3 cases of your own are in these checkpoints"):
        repo.checkpoints(run, "full", own_notes=3)
    (folder,) = storage.place_at(str(tmp_path / "drive")).checkpoints(run, "full", own_notes=3)
    assert folder.root == tmp_path / "drive" / run.name / "checkpoints" / "full"


# --- checkpoints on the Hub -----------------------------------------------------------------------------

KEEP = """
import json, sys
from pathlib import Path
from irae_lib.workspace import checkpoints
from irae_lib.workspace import storage
from irae_lib.errors import IraeError
here, scratch, belongs = Path(sys.argv[1]), Path(sys.argv[2]), {"seed": 7}
hub = storage.Repo("tester/run", token=sys.argv[3], scratch=scratch)
(repo,) = hub.checkpoints(Path("mine"), "full")
said = {}
try:
    said["before"] = repo.find(belongs).step
    for step in (5, 6):
        folder = here / checkpoints.WRITING / f"checkpoint-{step}"
        (folder / "deep").mkdir(parents=True)
        (folder / "weights.safetensors").write_bytes(b"w" * 1000 + bytes([step]))
        (folder / "deep" / "state.json").write_text("{}")
        repo.keep(checkpoints.save_checkpoint(folder, here, belongs))
    found = repo.find(belongs)
    said |= {"step": found.step, "skipped": found.skipped}
    repo.find({"seed": 8})
except IraeError as error:
    said["error"] = [type(error).__name__, str(error)]
print(json.dumps(said))
"""


def test_the_hub_keeps_the_newest_checkpoint_and_another_run_is_refused(tmp_path):
    with LoopbackHub(TOKEN) as server:
        said = talk(server, tmp_path, KEEP, str(tmp_path / "here"), str(tmp_path / "scratch"), TOKEN)
        repo = server.repos["tester/run"]
    assert repo["private"]
    assert all(name.startswith("mine/checkpoints/full/checkpoint-6/") for name in repo["commits"][-1]["files"])
    assert (said["before"], said["step"], said["skipped"]) == (0, 6, [])
    assert said["error"][0] == "RunError"
    assert "seed differ" in said["error"][1]


def test_a_checkpoint_changed_on_the_way_is_skipped(tmp_path):
    with LoopbackHub(TOKEN, corrupt="mine/checkpoints/full/checkpoint-6/weights.safetensors") as server:
        said = talk(server, tmp_path, KEEP, str(tmp_path / "here"), str(tmp_path / "scratch"), TOKEN)
    assert said["step"] == 0
    assert "weights.safetensors is cut or changed" in said["skipped"][0]


def test_checkpoints_do_not_go_to_a_public_repository(tmp_path):
    with LoopbackHub(TOKEN) as server:
        server.add("tester/run", private=False)
        said = talk(server, tmp_path, KEEP, str(tmp_path / "here"), str(tmp_path / "scratch"), TOKEN)
        assert len(server.repos["tester/run"]["commits"]) == 1
    assert said["error"][0] == "AccessError"
    assert "public; nothing was uploaded" in said["error"][1]


def test_a_commit_cut_off_leaves_the_checkpoint_before(tmp_path):
    with LoopbackHub(TOKEN, cut=("POST", "/commit/")) as server:
        said = talk(server, tmp_path, KEEP, str(tmp_path / "here"), str(tmp_path / "scratch"), TOKEN)
        assert len(server.repos["tester/run"]["commits"]) == 1
    assert said["error"][0] == "AccessError"
    assert "checkpoint-5 was not copied to tester/run" in said["error"][1]
