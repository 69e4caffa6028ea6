"""Arrows point down: the clinical side needs no model library, and the package starts at once."""

import subprocess
import sys

LIGHT = [
    "irae_lib",
    "irae_lib.safety",
    "irae_lib.clinical.rules",
    "irae_lib.schemas",
    "irae_lib.cases",
    "irae_lib.evaluation",
    "irae_lib.synthesis",
    "irae_lib.prompts",
    "irae_lib.runtime",
    "irae_lib.report",
    "irae_lib.page",
    "irae_lib.retention",
    "irae_lib.hub",
    "irae_lib.keeping",
    "irae_lib.run",
    "irae_lib.batch.__main__",
    "irae_lib.batch.monitor",
    "irae_lib.deploy.cluster.ray_job",
]
HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "matplotlib", "huggingface_hub", "papermill")


def test_light_modules_import_nothing_heavy():
    code = f"import sys, {', '.join(LIGHT)}\nprint([m for m in {HEAVY} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_import_takes_under_a_second_of_cpu():
    # CPU seconds of the process, best of three: wall time on a shared machine says nothing.
    code = "import time\nimport irae_lib\nprint(time.process_time())"
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(times) < 1.0
