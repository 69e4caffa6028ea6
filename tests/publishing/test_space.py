"""The Space: what goes up is complete and clean, and it is created private with a token that can only read."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from loopback_hub import TOKEN, LoopbackHub, hub_environment, talk
from packaging.requirements import Requirement

from irae_lib.errors import AdapterError
from irae_lib.files import DATA, ROOT
from irae_lib.publishing.space import stage_space

# A Space as ZeroGPU starts it: a card of compute capability 9, and only the packages that the Space's own requirements
# bring, with what they ask for. Every other module of this environment is hidden.
ONLY_ITS_OWN = """
import importlib.abc, importlib.metadata as metadata, importlib.util, re, sys
from pathlib import Path
from packaging.requirements import Requirement

def canonical(name):
    return re.sub("[-_.]+", "-", name).lower()

wanted = [Requirement(line) for line in Path("requirements.txt").read_text().split("\\n") if line.strip()]
own = set()
while wanted:
    requirement = wanted.pop()
    name, extras = canonical(requirement.name), requirement.extras or {""}
    if (name, *sorted(extras)) in own or requirement.marker and not requirement.marker.evaluate({"extra": ""}):
        continue
    own.add((name, *sorted(extras)))
    try:
        needs = [Requirement(line) for line in metadata.requires(requirement.name) or ()]
    except metadata.PackageNotFoundError:
        continue
    wanted += [one for one in needs if not one.marker or any(one.marker.evaluate({"extra": e}) for e in extras)]
names = {name for name, *_ in own}
hidden = {top for top, owners in metadata.packages_distributions().items() if names.isdisjoint(map(canonical, owners))}

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in [name for name in sys.modules if name.split(".")[0] in hidden]:
    del sys.modules[name]
sys.meta_path.insert(0, Hidden())
find, version = importlib.util.find_spec, metadata.version
importlib.util.find_spec = lambda name, *a: None if name.split(".")[0] in hidden else find(name, *a)

def own_version(name):
    if canonical(name) not in names:
        raise metadata.PackageNotFoundError(name)
    return version(name)

metadata.version = own_version
"""
GPU = """
from irae_lib.workspace import profiles
profiles._cuda = lambda: ((9, 0), "NVIDIA H200")
"""
START = """
import json
from irae_lib.publishing import demo_page
engine = demo_page.Engine()
example = next(one["text"] for one in demo_page.EXAMPLES if one["name"] == "Raised ALT")
first, second = demo_page.assess(engine, example, True)
kept = json.loads(second.audit)
print(json.dumps([kept["verdict"], kept["model"]["irae_detected"], engine.versions["adapter"], engine.stand_in]))
print(engine.loaded.profile.name, engine.loaded.profile.four_bit)
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


def started(folder, *code, **variables):
    """The lines that code prints, run in the folder of a Space."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("IRAE_", "PYTHONPATH"))} | variables
    command = [sys.executable, "-c", "".join(code)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


@pytest.mark.slow
def test_the_space_of_the_stand_in_starts_alone_also_on_a_gpu(tmp_path):
    folder = stage_space(tmp_path / "space", "data/rehearsal_base")
    shutil.copytree(DATA / "rehearsal_adapter", folder / "data" / "rehearsal_adapter")  # what the Hub gives a real one
    answer, profile = started(folder, ONLY_ITS_OWN, GPU, START)
    assert json.loads(answer) == ["urgent", "yes", "rehearsal_adapter", True]
    assert profile == "rehearsal False"


@pytest.mark.slow
def test_the_space_of_a_real_base_starts_on_a_gpu_with_its_own_requirements(staged, tmp_path):
    """MedGemma's place is taken by a small base under another name, so 4-bit layers are asked for, as on ZeroGPU."""
    folder = shutil.copytree(staged, tmp_path / "space")
    shutil.copytree(DATA / "rehearsal_base", folder / "base")
    adapter = shutil.copytree(DATA / "rehearsal_adapter", folder / "adapter")
    for name, key in (("irae_adapter.json", "base_model"), ("adapter_config.json", "base_model_name_or_path")):
        record = json.loads((adapter / name).read_text())
        (adapter / name).write_text(json.dumps(record | {key: "base"}))
    answer, profile = started(folder, ONLY_ITS_OWN, GPU, START, IRAE_BASE_MODEL="base", IRAE_ADAPTER="adapter")
    assert json.loads(answer)[0] == "urgent"
    assert json.loads(answer)[2:] == ["adapter", False]
    assert profile == "gpu True"


def test_a_base_that_is_on_this_machine_alone_is_refused(tmp_path):
    with pytest.raises(AdapterError, match="cache/gemma-3-270m is on this machine alone"):
        stage_space(tmp_path / "space", "cache/gemma-3-270m")
    assert not (tmp_path / "space").exists()


def test_the_space_asks_for_what_a_real_base_in_four_bits_needs(staged):
    project = {one.name: one for one in map(Requirement, _lines(ROOT / "requirements.txt"))}
    space = {one.name: one for one in map(Requirement, _lines(staged / "requirements.txt"))}
    assert {"torch", "transformers", "peft", "bitsandbytes", "llguidance", "pydantic"} <= space.keys()
    for name in space.keys() & project.keys() - {"torch"}:
        least = next(one.version for one in project[name].specifier if one.operator == ">=")
        assert str(space[name].specifier).count(f">={least}"), f"{name}: not the project's lower bound, {least}"


def _lines(path):
    return [line for line in (line.partition("#")[0].strip() for line in path.read_text().splitlines()) if line]


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
