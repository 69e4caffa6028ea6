"""Environment of all tests and of the kernels they start: offline, quiet, no home directory. Long files go first."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Before torch, transformers or a kernel exists; kernels inherit it.
os.environ.update(
    PYTHONHASHSEED="0",
    TQDM_DISABLE="1",
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    TOKENIZERS_PARALLELISM="false",
    PYDEVD_DISABLE_FILE_VALIDATION="1",
    MPLBACKEND="agg",
)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
# A token of the person who runs the tests must not reach them; nor must a profile or a run folder.
for name in ("HF_TOKEN", "IRAE_PROFILE", "IRAE_RUNS"):
    os.environ.pop(name, None)
if "PYTEST_XDIST_WORKER" in os.environ:  # a worker a core
    os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "support"), str(ROOT / "tests" / "tools")]

# Files that take longest, minutes each: with `-n 2` every file runs in one worker, and a long one must not start last.
LONGEST = (
    "notebooks/test_saved",
    "notebooks/test_headless",
    "safety/test_floors",
    "training/",
    "publishing/test_hub",
    "model/",
    "screening/",
    "workspace/",
)


def pytest_collection_modifyitems(items):
    """Files in order of their length, tests of a file in their own order."""

    def place(item):
        return next((n for n, name in enumerate(LONGEST) if f"tests/{name}" in item.path.as_posix()), len(LONGEST))

    items.sort(key=place)
