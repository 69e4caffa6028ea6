"""Arrows point down: the clinical side needs no model library, and the package starts at once."""

import subprocess
import sys

LIGHT = [
    "irae_lib",
    "irae_lib.safety",
    "irae_lib.safety.rules",
    "irae_lib.schemas",
    "irae_lib.cases",
    "irae_lib.evaluation.scoring",
    "irae_lib.synthesis",
    "irae_lib.prompts",
    "irae_lib.workspace.profiles",
    "irae_lib.reporting.tables",
    "irae_lib.reporting.report_page",
    "irae_lib.evaluation.general_knowledge",
    "irae_lib.publishing.hub",
    "irae_lib.workspace.storage",
    "irae_lib.run",
    "irae_lib.parameters",
    "irae_lib.screening.__main__",
    "irae_lib.screening.monitor",
    "irae_lib.screening.cluster.ray_job",
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
