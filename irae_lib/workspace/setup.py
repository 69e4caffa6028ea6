"""Prepare the machine for a notebook: install missing packages, put the library on the path, report the token.

The setup cell of every notebook runs this file by its path, before the project can be imported. It therefore uses only
the standard library and `packaging`, a dependency of ipykernel. It installs only missing packages and never replaces
preinstalled ones (above all torch: Colab's build is not on any package index).
"""

import errno
import importlib
import importlib.metadata as metadata
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

OLDEST_PYTHON = (3, 11)
# For tests and headless runs only; interactive notebooks do not need them.
NOT_HERE = {"jupyter", "nbval", "pytest", "hypothesis", "ruff"}
# Packages that may be upgraded along with another (datasets needs a newer pyarrow); all others stay unchanged.
MOVES_WITH = {"datasets": {"pyarrow"}}
# PEFT refuses to adapt unquantized layers if an older torchao is installed; this project does not use torchao.
IN_THE_WAY = "torchao>=0.16"


def make_ready(root):
    """Install missing packages and put `root` on the path; returns a one-line summary.

    If IRAE_NO_INSTALL is set, missing packages are listed but not installed, for machines managed by others.

    Raises:
        RuntimeError: Python is too old, pip could not install (no network?), or the kernel must be restarted by hand.
    """
    if sys.version_info < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        raise RuntimeError(
            f"this is Python {sys.version.split()[0]}; expected {oldest} or newer: choose another kernel"
        )
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    missing = unmet(Path(root) / "requirements.txt")
    done = []
    if missing and os.environ.get("IRAE_NO_INSTALL"):
        done.append(f"missing and left so (IRAE_NO_INSTALL): {', '.join(sorted(named(missing)))}")
        missing = []
    if missing:
        before = versions()
        install(missing, before)
        importlib.invalidate_caches()
        for line in unmet(Path(root) / "requirements.txt"):
            raise RuntimeError(f"pip reported success, but {line} is not met; run `pip install '{line}'` to see why")
        after = versions()
        new = sorted(name for name in after if after[name] != before.get(name))
        done.append("installed " + ", ".join(f"{name} {after[name]}" for name in new if name in named(missing)))
    if removed := clear_the_way():
        done.append(removed)
    say_errors_plainly()
    if missing and (stale := loaded_and_changed(before, after)):
        restart(stale)
    return " | ".join([*(done or ["ready, nothing to install"]), token()])


def say_errors_plainly():
    """Make the notebook show the project's own errors as one sentence, without a traceback."""
    try:
        shell = get_ipython()  # noqa: F821 - there in a kernel only
        from irae_lib.errors import IraeError  # absolute: a file run by its path has no package
    except (NameError, ImportError):  # a script, or pydantic is missing and the library cannot be used
        return

    def plainly(shell, kind, error, trace, tb_offset=None):
        problem = error if isinstance(error, IraeError) else disk_problem(error)
        if not problem:
            return shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
        lines = [f"{kind.__name__}: {problem}"]
        shell._showtraceback(kind, error, lines)  # still an error output: papermill and nbval look for one
        return lines

    shell.set_custom_exc((IraeError, OSError), plainly)


_DISK = {
    errno.ENOSPC: "the disk is full. Free some space, then run again with the same run_dir",
    errno.EDQUOT: "the quota of the disk is used up. Free some space, then run again with the same run_dir",
    errno.EROFS: "the disk is read-only. Give run_dir a folder on another disk",
    errno.EACCES: "there is no permission. Give run_dir another folder, or change the permissions",
    errno.EPERM: "there is no permission. Give run_dir another folder, or change the permissions",
}


def disk_problem(error):
    """One sentence for a disk that is full or cannot be written; "" for any other error."""
    if not isinstance(error, OSError) or error.errno not in _DISK:
        return ""
    name = os.path.basename(str(error.filename2 or error.filename or "")) or "a file"
    return f"{name} was not written: {_DISK[error.errno]}"


def absent(requirements):
    """Names of the packages in a requirements file that are not installed in any version."""
    lines = (line.partition("#")[0].strip() for line in Path(requirements).read_text(encoding="utf-8").splitlines())
    names = {name_of(line) for line in lines if line} - NOT_HERE - {"pytest-xdist"}
    installed = {canonicalize_name(d.metadata["Name"]) for d in metadata.distributions() if d.metadata["Name"]}
    return sorted(names - installed)


def unmet(requirements):
    """The lines of a requirements file that this environment does not meet, in pip's format."""
    lines = (line.partition("#")[0].strip() for line in Path(requirements).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and name_of(line) not in NOT_HERE and not met(line)]


def met(line):
    """Whether the installed version meets a requirement like `torch>=2.6,<2.14`."""
    requirement = Requirement(line)
    try:
        version = Version(metadata.version(requirement.name))
    except metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version.base_version)  # 2.11.0+cu128 and a nightly count as their release


def install(missing, before):
    """Install `missing` with pip, keeping every installed package; if that fails, keeping torch, numpy, pandas, the
    kernel and the widgets."""
    moving = named(missing).union(*(MOVES_WITH.get(name, set()) for name in named(missing)))
    never = {"torch", "torchvision", "torchaudio", "numpy", "pandas", "ipykernel", "ipython", "ipywidgets", "tornado"}
    never |= {"jupyter-client", "jupyter-server", "traitlets", "pyzmq"}
    everything = {name for name in before if name not in moving}
    for fixed in (everything, never & everything):
        done = pip(missing, {name: before[name] for name in sorted(fixed)})
        if done.returncode == 0:
            return
    reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
    raise RuntimeError(
        f"pip could not install {', '.join(sorted(named(missing)))}: {reason[0]}. Check the network; to try by hand: "
        "pip install -r requirements.txt"
    )


def pip(missing, fixed):
    """Run pip quietly with `fixed` (name -> version) as constraints."""
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in fixed.items()), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", str(constraints)]
        return subprocess.run([*command, *missing], capture_output=True, text=True)


def versions():
    """Installed distributions: canonical name -> version."""
    return {canonicalize_name(d.metadata["Name"]): d.version for d in metadata.distributions() if d.metadata["Name"]}


def loaded_and_changed(before, after):
    """Distributions that this kernel has loaded in a version other than the installed one."""
    changed = {name for name in before if after.get(name) != before[name]}
    loaded = {module.partition(".")[0] for module in sys.modules}
    owners = metadata.packages_distributions()
    return sorted(changed & {canonicalize_name(owner) for module in loaded for owner in owners.get(module, ())})


def restart(stale):
    """Restart the kernel on Colab, or ask the user to; nothing has been computed yet."""
    what = f"{', '.join(stale)} changed while this kernel had it loaded"
    if "google.colab" not in sys.modules:
        raise RuntimeError(f"{what}: restart the kernel (menu Kernel) and run the notebook again")
    print(f"{what}: the kernel restarts once. Wait a moment, then choose Run all again", flush=True)
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)


def clear_the_way():
    """Remove a package that breaks PEFT on Colab; elsewhere report it. Returns "" if there is nothing to do."""
    name = name_of(IN_THE_WAY)
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
    if met(IN_THE_WAY):
        return ""
    if "COLAB_RELEASE_TAG" not in os.environ:
        return f"note: {name} {version} keeps PEFT from adapting a model in full precision; remove it, or update it"
    subprocess.run([sys.executable, "-m", "pip", "uninstall", "-q", "-y", name], capture_output=True)
    return f"removed {name} {version}, which PEFT does not work beside"


def token():
    """Source of the Hugging Face token, which is also put into the environment for child processes."""
    from irae_lib.workspace import hub_access

    token = hub_access.find_token()
    if token.value is None:
        return "no token: the rehearsal needs none, MedGemma does (README, MedGemma)"
    os.environ.setdefault("HF_TOKEN", token.value)
    return f"token: {token.where}"


def named(requirements):
    """Canonical names of requirement lines."""
    return {name_of(line) for line in requirements}


def name_of(line):
    """The canonical name of a requirement line, as package indexes compare it."""
    return canonicalize_name(Requirement(line).name)
