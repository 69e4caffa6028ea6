"""Environment of all tests and of the kernels they start: offline, quiet, two threads, no home directory."""

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
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "support"), str(ROOT / "tests" / "tools")]
