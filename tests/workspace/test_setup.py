"""The setup cell's helper: installs missing packages and nothing else, says so in a line, runs twice without effect.

pip is the real one, in a bare environment with `packaging`, over an index of four tiny packages made here.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import packaging
import pytest

from irae_lib.files import ROOT
from irae_lib.workspace import setup

SETUP = ROOT / "irae_lib" / "workspace" / "setup.py"
WHEELS = {
    ("torch", "1.0"): [],
    ("torch", "2.0"): [],
    ("trl", "1.0"): ["torch>=1.0"],
    ("trl", "2.0"): ["torch>=2.0"],
    ("datasets", "4.0"): [],
    ("datasets", "5.0"): ["pyarrow>=21"],
    ("pyarrow", "18.0"): [],
    ("pyarrow", "21.0"): [],
    ("bystander", "1.0"): [],
    ("bystander", "2.0"): [],
}
# The helper as the setup cell runs it, in a process that has loaded some modules before.
RUN = """
import runpy, sys
for name in sys.argv[3:]:
    __import__(name)
try:
    print(runpy.run_path(sys.argv[1])["make_ready"](sys.argv[2]))
except RuntimeError as error:
    print("RuntimeError:", error)
"""


def make_wheel(folder: Path, name: str, version: str, needs: list[str]) -> None:
    info, lines = f"{name}-{version}.dist-info", []
    files = {
        f"{name}/__init__.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {one}\n" for one in needs),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            lines.append(f"{path},sha256={digest},{len(text)}\n")
        wheel.writestr(f"{info}/RECORD", "".join([*lines, f"{info}/RECORD,,\n"]))


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    for (name, version), needs in WHEELS.items():
        make_wheel(folder, name, version, needs)
    return folder


class Machine:
    """A bare environment with some packages, and a checkout that is nothing but requirements and a word on tokens."""

    def __init__(self, folder: Path, empty: Path, wheels: Path, *installed: str):
        shutil.copytree(empty, folder / "env", symlinks=True)
        self.folder, self.python = folder, folder / "env" / "bin" / "python"
        self.environment = os.environ | {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
            "PIP_CONFIG_FILE": os.devnull,
        }
        for name in ("PYTHONPATH", "PIP_CONSTRAINT"):  # of the suite, not of the tiny index
            self.environment.pop(name, None)
        self.pip("install", "-q", *installed)
        package = folder / "checkout" / "irae_lib" / "workspace"
        package.mkdir(parents=True)
        for part in (package.parent, package):
            (part / "__init__.py").write_text("")
        (package / "hub_access.py").write_text(
            "from collections import namedtuple\n"
            "def find_token():\n    return namedtuple('Token', 'value where')(None, 'nowhere')\n"
        )

    def pip(self, *arguments: str) -> str:
        command = [self.python, "-m", "pip", "--disable-pip-version-check", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True).stdout

    def ready(self, *requirements: str, loaded: tuple[str, ...] = ()) -> str:
        (self.folder / "checkout" / "requirements.txt").write_text("\n".join(requirements) + "\n")
        command = [self.python, "-c", RUN, SETUP, self.folder / "checkout", *loaded]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def has(self) -> dict[str, str]:
        frozen = self.pip("freeze").split()
        return dict(line.split("==") for line in frozen if "==" in line)


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """An environment with pip and packaging, made once: its python finds them wherever it is copied to."""
    folder = tmp_path_factory.mktemp("empty") / "env"
    venv.create(folder, with_pip=True, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    shutil.copytree(Path(packaging.__file__).parent, site / "packaging")
    return folder


@pytest.fixture
def machine(tmp_path, empty, wheels):
    return lambda *installed: Machine(tmp_path, empty, wheels, *installed)


COLAB = ("torch==1.0", "datasets==4.0", "pyarrow==18.0", "bystander==1.0")


def test_what_is_missing_is_installed_and_nothing_else_moves(machine):
    colab = machine(*COLAB)
    wanted = ("torch>=1.0,<3", "trl>=1.0  # why", "bystander", "datasets>=5.0", "pytest>=8")
    assert colab.ready(*wanted).startswith("installed datasets 5.0, trl 1.0 | no token")
    assert colab.has() == {"torch": "1.0", "trl": "1.0", "datasets": "5.0", "pyarrow": "21.0", "bystander": "1.0"}
    assert colab.ready(*wanted).startswith("ready, nothing to install | no token"), "a second run finds nothing to do"


def test_torch_is_never_touched_even_where_that_means_failing(machine):
    colab = machine(*COLAB)
    said = colab.ready("trl>=2.0")
    assert said.startswith("RuntimeError: pip could not install trl")
    assert "requirements.txt" in said
    assert colab.has()["torch"] == "1.0"


def test_a_package_that_changed_while_it_was_loaded_asks_for_a_restart(machine):
    colab = machine(*COLAB)
    said = colab.ready("datasets>=5.0", loaded=("pyarrow", "bystander"))
    assert said == (
        "RuntimeError: pyarrow changed while this kernel had it loaded: restart the kernel (menu Kernel) and run the "
        "notebook again"
    )
    assert colab.ready("datasets>=5.0", loaded=("pyarrow",)).startswith("ready, nothing to install")


def test_without_network_the_error_says_what_and_what_to_do(machine):
    said = machine("bystander==1.0").ready("absent-package>=1.0")
    assert said.startswith("RuntimeError: pip could not install absent-package: ERROR: No matching distribution")
    assert "Check the network" in said


@pytest.mark.parametrize(
    ("line", "fits"),
    [("torch>=2.6,<2.14", True), ("torch>=2.6,<2.11", False), ("torch>=2.11", True), ("torch>=2.11.1", False)],
)
@pytest.mark.parametrize("version", ["2.11.0+cu128", "2.11.dev20261101", "2.11"])
def test_bounds_are_compared_with_the_release(monkeypatch, line, fits, version):
    monkeypatch.setattr(setup.metadata, "version", lambda name: version)
    assert setup.met(line) is fits


def test_torchao_is_removed_on_colab_and_only_spoken_of_elsewhere(monkeypatch):
    calls = []
    monkeypatch.setattr(setup.metadata, "version", lambda name: "0.10.0")
    monkeypatch.setattr(setup.subprocess, "run", lambda command, **how: calls.append(command))
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    assert "keeps PEFT from" in setup.clear_the_way()
    assert not calls
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    assert setup.clear_the_way().startswith("removed torchao 0.10.0")
    assert calls[0][-1] == "torchao"


def test_a_token_from_the_vault_reaches_child_processes(monkeypatch):
    from irae_lib.workspace import hub_access

    monkeypatch.setattr(hub_access, "find_token", lambda: hub_access.HubToken("hf_secret", "Colab vault"))
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.delenv("HF_TOKEN")
    assert setup.token() == "token: Colab vault"
    assert os.environ["HF_TOKEN"] == "hf_secret"


def test_the_helper_needs_packaging_and_the_standard_library_only(empty):
    code = f"import runpy, sys\nrunpy.run_path({str(SETUP)!r})\nprint('irae_lib' in sys.modules)"
    done = subprocess.run([empty / "bin" / "python", "-I", "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_run_by_its_path_it_shows_the_projects_errors_in_one_sentence(tmp_path):
    code = f"""
import builtins, runpy
handlers = []
class Shell:
    def set_custom_exc(self, kinds, handler):
        handlers.append(kinds)
builtins.get_ipython = Shell
runpy.run_path({str(SETUP)!r})["make_ready"]({str(ROOT)!r})
print(handlers[0][0].__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == "IraeError", done.stderr


def test_on_colabs_page_the_kernel_ends_itself_and_says_what_to_do_then(monkeypatch, capsys):
    killed = []
    monkeypatch.setitem(setup.sys.modules, "google.colab", setup)
    monkeypatch.setattr(setup.os, "kill", lambda pid, signal: killed.append((pid, signal)))
    monkeypatch.setattr(setup.time, "sleep", lambda seconds: None)
    setup.restart(["pyarrow"])
    assert killed == [(os.getpid(), 9)]
    assert "pyarrow changed while this kernel had it loaded" in (said := capsys.readouterr().out)
    assert "choose Run all again" in said
