"""The Space: what goes up is complete and clean, and it is created private with a token that can only read."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from loopback_hub import TOKEN, LoopbackHub, hub_environment, talk

from irae_lib.files import DATA, ROOT
from irae_lib.publishing.space import stage_space

START = """
from irae_lib.publishing import demo_page
engine = demo_page.Engine()
message, view, trail = demo_page.assess(engine, demo_page.EXAMPLES[1], True)
print(message or "assessed", "F06" in view or "Grade 3" in view, engine.versions["adapter"])
"""
PUSH = """
import json, sys
from irae_lib.publishing.space import push_space
from irae_lib.publishing.hub import Pushed
from irae_lib.errors import IraeError
adapter = Pushed(repo_id="tester/irae", commit="a" * 40, url="", files={})
record = {"base_model": "google/medgemma-4b-it", "base_revision": "b" * 40}
said = {}
for name, reader in (("none", ""), ("same", sys.argv[2]), ("first", "reader"), ("again", "reader")):
    try:
        said[name] = push_space(sys.argv[1], "tester/demo", adapter, record, token=sys.argv[2], reader=reader)
    except IraeError as error:
        said[name] = f"{type(error).__name__}: {error}"
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    return stage_space(tmp_path_factory.mktemp("space") / "space")


@pytest.mark.slow
def test_the_staged_page_starts_alone_and_assesses(staged, tmp_path):
    folder = shutil.copytree(staged, tmp_path / "space")
    for name in ("rehearsal_base", "rehearsal_adapter"):  # what the Hub gives a real one
        shutil.copytree(DATA / name, folder / "data" / name)
    done = subprocess.run([sys.executable, "-c", START], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["assessed", "True", "rehearsal_adapter"]


def test_nothing_goes_up_but_library_tables_and_the_page(staged):
    assert {path.name for path in staged.iterdir()} == {
        "irae_lib",
        "data",
        "app.py",
        "README.md",
        "requirements.txt",
    }
    assert {path.name for path in (staged / "data").iterdir()} == {"clinical", "prompts", "page"}
    assert not (staged / "irae_lib" / "screening" / "cluster").exists()
    assert "sdk: gradio" in (staged / "README.md").read_text()


def test_it_is_private_pinned_and_holds_a_reading_token_only(staged, tmp_path):
    with LoopbackHub(TOKEN) as server:
        said = talk(server, tmp_path, PUSH, str(staged), TOKEN)
        repo = server.repos["spaces/tester/demo"]
    assert said["none"] == said["same"]
    assert said["same"].startswith("AccessError: the Space needs a read-only token")
    assert said["first"] == said["again"] == repo["commits"][-1]["id"]
    assert len(repo["commits"]) == 2
    assert repo["private"]
    assert repo["secrets"] == {"HF_TOKEN": "reader"}
    assert repo["variables"] == {
        "IRAE_BASE_MODEL": "google/medgemma-4b-it",
        "IRAE_BASE_REVISION": "b" * 40,
        "IRAE_ADAPTER": "tester/irae",
        "IRAE_ADAPTER_REVISION": "a" * 40,
    }


def test_a_public_space_of_the_same_name_receives_nothing(staged, tmp_path):
    with LoopbackHub(TOKEN) as server:
        server.add("spaces/tester/demo", private=False)
        said = talk(server, tmp_path, PUSH, str(staged), TOKEN)
        repo = server.repos["spaces/tester/demo"]
    assert "is public; nothing was uploaded" in said["first"]
    assert len(repo["commits"]) == 1
    assert "secrets" not in repo


def test_the_job_command_of_the_readme_is_accepted_by_the_client_without_being_sent(tmp_path):
    command = re.search(r"```bash\nhf (jobs run .*?)```", (ROOT / "irae_lib/training/README.md").read_text(), re.S)[1]
    arguments = shlex.split(command.replace("\\\n", ""))
    hf = Path(sys.executable).with_name("hf")
    with LoopbackHub(TOKEN) as server:  # where there is no dry run, nothing must reach the real Hub
        run = {"env": hub_environment(server, tmp_path), "capture_output": True, "text": True}
        if "--dry-run" not in subprocess.run([hf, "jobs", "run", "--help"], **run).stdout:
            pytest.skip("this version of the client has no dry run")
        done = subprocess.run([hf, *arguments[:2], "--dry-run", *arguments[2:]], **run)
    assert done.returncode == 0, done.stderr
    assert "Job not submitted" in done.stdout, done.stderr
    assert TOKEN not in done.stdout
    assert "l4x1" in done.stdout
    assert not [line for line in server.log if line.startswith("POST")], server.log
