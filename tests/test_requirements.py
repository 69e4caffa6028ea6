"""requirements.txt: what it asks for, and that on Colab it leaves alone what Colab's page and GPU depend on.

`tests/colab-freeze.txt` is the list of packages of Colab's GPU image (Python 3.13), a copy of
googlecolab/backend-info; replace it by a newer one as it is. The resolver is uv, which keeps an installed version
where it can, as pip does; pip itself made the same choice over the freeze of 2026-08-19.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from irae_lib.workspace import setup

ROOT = Path(__file__).parent.parent
REQUIREMENTS = ROOT / "requirements.txt"
CONSTRAINTS = ROOT / "tests" / "constraints-colab.txt"
EXTRA = ROOT / "tests" / "requirements-extra.txt"
FREEZE = ROOT / "tests" / "colab-freeze.txt"

CARD = {"jupyter", "papermill", "transformers", "peft", "trl", "datasets", "bitsandbytes", "torch"}
CARD |= {"ipywidgets", "nbval"}
UPPER_BOUNDS = {"torch", "ruff"}  # each says why in requirements.txt
NEVER_REPLACED = {"torch", "numpy", "pandas", "ipykernel", "ipywidgets"}
# What the constraints replace on Colab, and no more: trl needs a newer datasets, which needs a newer pyarrow.
# cudf, gcsfs, gradio, torchtune and sentence-transformers of the image accept both (resolved together, 2026-11).
REPLACED_WITH_CONSTRAINTS = {"datasets", "pyarrow"}
# Colab's torch is built for CUDA 12.8. That build is on no index, and the index's 2.11.0 asks for CUDA 13.
CUDA_PARTS = re.compile(r"nvidia-|cuda-|triton$")


def read_requirements(path: Path) -> dict[str, Requirement]:
    """Name -> requirement. A line that is no requirement (an option, a path) is an error of `packaging`."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return {canonicalize_name(req.name): req for req in map(Requirement, filter(None, lines))}


def read_pins(path: Path) -> dict[str, Version]:
    """Name -> the one version, without its local part (+cu128)."""
    pins = {}
    for name, requirement in read_requirements(path).items():
        (spec,) = requirement.specifier
        assert spec.operator == "==", f"{path.name}: {requirement} is not an exact version"
        pins[name] = Version(Version(spec.version).public)
    return pins


def test_requirements_name_the_ten_packages_of_the_card():
    assert not CARD - read_requirements(REQUIREMENTS).keys()


@pytest.mark.parametrize("path", [REQUIREMENTS, EXTRA], ids=lambda path: path.name)
def test_every_requirement_has_a_lower_bound_and_few_have_an_upper_one(path):
    for name, requirement in read_requirements(path).items():
        allowed = [[">="], ["<", ">="]] if name in UPPER_BOUNDS else [[">="]]
        assert sorted(spec.operator for spec in requirement.specifier) in allowed, requirement


@pytest.mark.parametrize("path", [REQUIREMENTS, EXTRA, CONSTRAINTS], ids=lambda path: path.name)
def test_requirement_files_hold_no_address_and_no_option(path):
    assert "://" not in path.read_text(encoding="utf-8")
    for requirement in read_requirements(path).values():  # "-U", "-f" and paths do not even parse
        assert requirement.url is None, requirement


def test_torch_keeps_to_versions_with_a_cpu_wheel_and_to_colabs():
    assert "torch>=2.6,<2.14" in REQUIREMENTS.read_text(encoding="utf-8").split()


def test_constraints_satisfy_the_requirements():
    requirements = read_requirements(REQUIREMENTS)
    for name, version in read_pins(CONSTRAINTS).items():
        if name in requirements:
            assert requirements[name].specifier.contains(version), f"{requirements[name]} excludes {version}"


def test_constraints_are_colabs_versions_but_for_what_must_be_replaced():
    colab, ours = read_pins(FREEZE), read_pins(CONSTRAINTS)
    assert "torch" not in ours, "torch stays what the machine has"
    assert {name for name in ours.keys() & colab.keys() if ours[name] != colab[name]} == REPLACED_WITH_CONSTRAINTS


def test_colabs_versions_satisfy_the_requirements_but_for_what_must_be_replaced():
    requirements, colab = read_requirements(REQUIREMENTS), read_pins(FREEZE)
    assert colab.keys() >= NEVER_REPLACED
    preinstalled = requirements.keys() & colab.keys()
    too_old = {name for name in preinstalled if not requirements[name].specifier.contains(colab[name])}
    assert too_old <= REPLACED_WITH_CONSTRAINTS


def pip_setting(name: str) -> str | None:
    """A setting of pip (`index-url`, `cert`): read at run time, so that no address stands in the repository."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    settings = dict(line.partition("=")[::2] for line in listed.splitlines())
    for scope in (":env:", "install", "global"):  # pip's own order
        if f"{scope}.{name}" in settings:
            return ast.literal_eval(settings[f"{scope}.{name}"])
    return None


def resolve_over_colab(folder: Path, *options: str) -> dict[str, Version]:
    """What `pip install -r requirements.txt` would leave on Colab, as far as the requirements reach.

    uv keeps the versions of an output file that exists, as pip keeps what is installed, and reads none of pip's
    settings. It gets pip's main index only: extra ones may hold wheels for this machine's Python alone.
    """
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if uv is None:
        pytest.skip("uv not found: pip install -r tests/requirements-extra.txt")
    resolved = folder / "resolved.txt"
    installed = [f"{name}=={version}" for name, version in read_pins(FREEZE).items()]
    resolved.write_text("\n".join(installed), encoding="utf-8")
    environment = {"UV_HTTP_RETRIES": "1", "UV_PYTHON_DOWNLOADS": "never", **os.environ}
    if certificate := pip_setting("cert"):
        environment.setdefault("SSL_CERT_FILE", certificate)
    if index := pip_setting("index-url"):
        options = (*options, "--default-index", index)
    colab = ["--python-version", "3.13", "--python-platform", "x86_64-manylinux_2_35"]
    command = [uv, "pip", "compile", REQUIREMENTS, "-o", resolved, *colab, "--no-annotate", "--quiet", *options]
    run = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=300)
    if run.returncode and "No solution found" not in run.stderr and "Failed to fetch" in run.stderr:
        pytest.skip("the package index does not answer")
    assert run.returncode == 0, run.stderr
    return read_pins(resolved)


@pytest.mark.network
@pytest.mark.parametrize("constrained", [True, False], ids=["constrained", "newest"])
def test_install_on_colab_keeps_torch_numpy_pandas_and_the_widgets(constrained, tmp_path, capsys):
    colab = read_pins(FREEZE)
    resolved = resolve_over_colab(tmp_path, *(["-c", str(CONSTRAINTS)] if constrained else []))
    after = {name: version for name, version in resolved.items() if not CUDA_PARTS.match(name)}
    both = after.keys() & colab.keys()
    replaced = {name: f"{colab[name]} -> {after[name]}" for name in both if after[name] != colab[name]}
    with capsys.disabled():
        print(f"\non Colab, {'with the constraints' if constrained else 'with the newest'}:")
        print("  replaced:", ", ".join(f"{name} {change}" for name, change in sorted(replaced.items())))
        print("  new:", ", ".join(f"{name} {after[name]}" for name in sorted(after.keys() - colab.keys())))
    assert not replaced.keys() & NEVER_REPLACED, replaced
    assert after.keys() >= NEVER_REPLACED
    if constrained:
        assert replaced.keys() <= REPLACED_WITH_CONSTRAINTS, replaced


@pytest.mark.network
def test_what_the_setup_cell_installs_on_colab_is_the_tested_set(tmp_path):
    colab, tested = read_pins(FREEZE), read_pins(CONSTRAINTS)
    missing = {
        name
        for name, requirement in read_requirements(REQUIREMENTS).items()
        if name not in setup.NOT_HERE and not (name in colab and requirement.specifier.contains(colab[name]))
    }
    moving = missing.union(*(setup.MOVES_WITH.get(name, set()) for name in missing))
    fixed = [f"{name}=={v}" for name, v in colab.items() if name not in moving and not CUDA_PARTS.match(name)]
    fixed = [
        line for line in fixed if not re.match(r"torch|sympy|cu\w+-cu12", line)
    ]  # the index has another build of torch
    (tmp_path / "fixed.txt").write_text("\n".join(fixed), encoding="utf-8")
    after = resolve_over_colab(tmp_path, "-c", str(tmp_path / "fixed.txt"))
    assert missing == {"papermill", "trl", "datasets", "bitsandbytes", "llguidance"}
    differs = {
        name: (after[name], tested[name])
        for name in (*moving, "transformers", "huggingface-hub", "peft")
        if name in tested and after[name] != tested[name]
    }
    assert not differs, differs
