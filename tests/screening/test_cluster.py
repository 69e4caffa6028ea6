"""Screening on several machines: Ray, Slurm and the model servers' configuration."""

import json
import os
import subprocess
import sys
from functools import partial

import pytest
import yaml
from stub_server import tuned

from irae_lib.cases import validated_cases
from irae_lib.errors import AccessError, RunError
from irae_lib.files import ROOT, write_lines
from irae_lib.screening.cluster import ray_job
from irae_lib.screening.stage import ScreeningRun

CLUSTER = ROOT / "irae_lib" / "screening" / "cluster"
CPU = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"}

# --- many GPUs ------------------------------------------------------------------------------------------

STAND_IN = """#!{python}
import os, sys, time
sys.path[:0] = [{root!r}, {tests!r}]
from stub_server import StubServer, tuned
assert sys.argv[1:5] == ["serve", "google/medgemma-4b-it", "--config", "irae_lib/screening/cluster/vllm.yaml"], sys.argv
assert sys.argv[5:7] == ["--lora-modules", "irae=adapters/full"] and len(os.environ["VLLM_API_KEY"]) == 64
with StubServer(port=int(sys.argv[sys.argv.index("--port") + 1]), answers=tuned() if {trained} else {{}}):
    time.sleep(120)
"""


@pytest.fixture
def slurm(tmp_path):
    """Run the Slurm file as one job of an array, `vllm` being a stand-in on the path."""

    def job(task, of, notes, out, *, trained=True, **more):
        (tmp_path / "bin").mkdir(exist_ok=True)
        vllm = tmp_path / "bin" / "vllm"
        where = {
            "root": str(ROOT),
            "tests": str(ROOT / "tests" / "support"),
            "python": sys.executable,
            "trained": trained,
        }
        vllm.write_text(STAND_IN.format(**where))
        vllm.chmod(0o755)
        path = f"{tmp_path / 'bin'}:{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
        told = {"NOTES": notes, "OUT": out, "ADAPTER": "adapters/full", "SLURM_ARRAY_TASK_ID": task}
        told |= {"SLURM_ARRAY_TASK_COUNT": of, "PATH": path} | more
        command = ["bash", CLUSTER / "screen.slurm"]
        environment = os.environ | CPU | {name: str(value) for name, value in told.items()}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)

    return job


@pytest.mark.slow
def test_jobs_of_an_array_screen_one_file_together(slurm, tmp_path):
    notes = tmp_path / "notes.jsonl"
    write_lines(
        notes, ({"id": f"n{i}", "text": f"Nivolumab, cycle 3. ALT 640 U/L (ref 7-56). {i}"} for i in range(500))
    )
    for task in (1, 2):
        done = slurm(task, 2, notes, tmp_path / "out")
        assert done.returncode == 0, done.stderr
        assert "11 of 11 pass" in done.stdout
        assert f"model: {(300, 200)[task - 1]} rows" in done.stdout
    again = slurm(2, 1, notes, tmp_path / "out", PARTS="2", RETRY="1")
    assert again.returncode == 0, again.stderr
    assert "model: 200 rows, 200 done before" in again.stdout, again.stderr
    beyond = slurm(3, 3, notes, tmp_path / "out", PARTS="2")
    assert beyond.returncode == 1
    assert "job 3 of 2 parts" in beyond.stderr
    manifest = json.loads((tmp_path / "out" / "model" / "manifest.json").read_text())
    assert (manifest["base"], manifest["adapter"]) == ("google/medgemma-4b-it", "adapters/full")
    shards = sorted((tmp_path / "out" / "model").glob("[0-9]*.jsonl"))
    assert [json.loads(line)["place"] for path in shards for line in path.open()] == list(range(500))


def test_a_job_ends_before_a_note_is_sent_where_the_adapter_is_not_served(slurm, tmp_path):
    write_lines(tmp_path / "notes.jsonl", [{"text": "Nivolumab."}])
    done = slurm(1, 1, tmp_path / "notes.jsonl", tmp_path / "out", trained=False)
    assert done.returncode == 3
    assert "foreign names" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def vllm():
    """A Python that has vLLM: IRAE_VLLM_PYTHON, or this one."""
    python = os.environ.get("IRAE_VLLM_PYTHON") or sys.executable
    probe = "import vllm.entrypoints.cli.serve"
    environment = os.environ | {"VLLM_TARGET_DEVICE": "cpu"}
    if subprocess.run([python, "-c", probe], env=environment, capture_output=True).returncode:
        pytest.skip("no vLLM here: set IRAE_VLLM_PYTHON to a Python that has it")

    def run(program, *arguments):
        command = [python, "-c", program, *map(str, arguments)]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    return run


PARSER = """
import json, sys
from vllm.entrypoints.cli.serve import ServeSubcommand
from vllm.utils.argparse_utils import FlexibleArgumentParser
root = FlexibleArgumentParser(prog="vllm")
ServeSubcommand().subparser_init(root.add_subparsers(dest="subparser"))
found = root.parse_args(sys.argv[1:])
names = ("model_tag", "host", "port", "dtype", "max_model_len", "enable_lora", "max_lora_rank", "limit_mm_per_prompt")
print(json.dumps({name: getattr(found, name) for name in names} | {
    "lora": [[one.name, one.path] for one in found.lora_modules],
    "backend": found.structured_outputs_config.backend,
    "compact": found.structured_outputs_config.disable_any_whitespace}))
"""
SERVE = ["serve", "google/medgemma-4b-it", "--config", CLUSTER / "vllm.yaml", "--lora-modules", "irae=adapters/full"]


def test_vllm_reads_our_command_line_as_it_is_meant(vllm):
    done = vllm(PARSER, *SERVE, "--port", 8123)
    assert done.returncode == 0, done.stderr[-1500:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {
        "model_tag": "google/medgemma-4b-it",
        "host": "127.0.0.1",
        "port": 8123,
        "dtype": "bfloat16",
        "max_model_len": 24576,
        "enable_lora": True,
        "max_lora_rank": 16,
        "limit_mm_per_prompt": {"image": 0},
        "lora": [["irae", "adapters/full"]],
        "backend": "guidance",
        "compact": True,
    }
    refused = vllm(PARSER, *SERVE, "--guided-decoding-backend", "guidance")
    assert refused.returncode == 2, "the parser does refuse"
    assert "unrecognized arguments" in refused.stderr, "the parser does refuse"


def test_vllm_reads_our_adapter_and_finds_every_weight_a_place(vllm):
    program = """
import sys
from safetensors import safe_open
from vllm.config.lora import LoRAConfig
from vllm.lora.peft_helper import PEFTHelper
from vllm.lora.utils import parse_fine_tuned_lora_name
from vllm.model_executor.models.utils import WeightsMapper
helper = PEFTHelper.from_local_dir(sys.argv[1], 24576)
helper.validate_legal(LoRAConfig(max_lora_rank=16))
# That of vLLM's Gemma3ForConditionalGeneration; its module wants torchvision.
mapper = WeightsMapper(orig_to_new_prefix={"model.language_model.": "language_model.model."})
names = safe_open(sys.argv[1] + "/adapter_model.safetensors", "pt").keys()
places = {parse_fine_tuned_lora_name(name, mapper)[0] for name in names}
print(len(places), all(place.startswith("language_model.model.layers.") for place in places), helper.r)
"""
    done = vllm(program, ROOT / "data" / "rehearsal_adapter")
    assert done.returncode == 0, done.stderr[-1500:]
    assert done.stdout.split()[-3:] == ["28", "True", "16"]


def test_ray_starts_vllm_as_the_server_is_started():
    told = yaml.safe_load((CLUSTER / "vllm.yaml").read_text(encoding="utf-8"))
    served = {key.replace("-", "_"): value for key, value in told.items() if key not in ("host", "port")}
    assert ray_job.engine("base", 2)["engine_kwargs"] == served


def test_engine_arguments_of_the_ray_job_are_vllms(vllm):
    program = "import dataclasses; from vllm.engine.arg_utils import AsyncEngineArgs as A;"
    program += "print(*[f.name for f in dataclasses.fields(A)])"
    done = vllm(program)
    assert done.returncode == 0, done.stderr[-1500:]
    assert ray_job.engine("base", 2)["engine_kwargs"].keys() <= set(done.stdout.split())


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray", reason="pip install -r tests/requirements-extra.txt")
    pytest.importorskip("ray.data")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=200 * 2**20)
    yield ray
    ray.shutdown()


def test_the_ray_job_writes_the_shards_that_one_machine_would(cluster, tmp_path):
    texts = [f"Nivolumab, cycle 3. ALT 640 U/L (ref 7-56). {i}" for i in range(11)]
    rows = [{"id": f"n{i}", "text": text} for i, text in enumerate(texts)] + [{"id": "none", "text": ""}] * 3
    notes = write_lines(tmp_path / "notes.jsonl", rows)
    good = validated_cases()[0].expected.to_json()
    known = tuned()

    def answered(dataset, wrong=()):  # what Ray Data LLM adds to each row, and what it does with one that failed
        def one(row):
            eleven = [answer for text, answer in known.items() if text in row["messages"][-1]["content"]]
            if eleven:
                return row | {"generated_text": eleven[0], "time_taken_llm": 0.25, "__inference_error__": ""}
            assert row["messages"][-1]["role"] == "user"
            assert row["model"] == "adapters/full"
            assert row["sampling_params"]["structured_outputs"]["json"]["required"]
            place = row["note"]["place"]
            text = "{" if place in wrong else good
            failed = "RuntimeError: engine died on Nivolumab" if place == 5 and wrong else ""
            return row | {
                "generated_text": "" if failed else text,
                "time_taken_llm": -1.0 if failed else 0.25,
                "__inference_error__": failed,
            }

        return dataset.map(one)

    out, failing = tmp_path / "out", partial(answered, wrong=(3,))
    run = ScreeningRun(notes, out, shard=4)
    done = ray_job.screen(run, failing, adapter="adapters/full")
    assert (done.rows, done.bad, done.failed, done.skipped) == (14, 3, 2, 0)
    found = [json.loads(line) for path in sorted((out / "model").glob("[0-9]*.jsonl")) for line in path.open()]
    assert [row["place"] for row in found] == list(range(14))
    assert found[3]["problem"].startswith("unreadable")
    assert found[5]["problem"] == "the engine failed: RuntimeError"
    assert found[3]["final"]["overall_severity"] == "Grade 3 - Severe", "the rules stand"
    assert found[0]["model"]["affected_systems"] == ["Gastrointestinal"]
    assert found[0]["seconds"] == 0.25
    assert found[5]["seconds"] == 0
    again = ray_job.screen(run, answered, adapter="adapters/full", retry=True)
    assert (again.rows, again.failed, again.skipped) == (14, 0, 12)
    (out / "model" / "0000001.jsonl").unlink()
    again = ray_job.screen(run, answered, adapter="adapters/full")
    assert (again.rows, again.skipped) == (14, 10)
    (out / "model" / "0000001.jsonl").unlink()

    def _three_of(rows):
        return answered(rows) if rows.count() == 11 else answered(rows).limit(3)

    with pytest.raises(RunError, match="did not return 1 notes in 1 shards"):
        ray_job.screen(run, _three_of, adapter="adapters/full")
    with pytest.raises(AccessError, match="passes 0 of the 11"):
        ray_job.screen(run._replace(out=tmp_path / "base"), lambda rows: rows, adapter="adapters/full")
    with pytest.raises(RunError, match="adapter differ"):
        ray_job.screen(run, answered, adapter="another")


def test_ray_takes_our_engine(cluster):
    llm = pytest.importorskip("ray.data.llm")
    made = llm.vLLMEngineProcessorConfig(**ray_job.engine("google/medgemma-4b-it", 8))
    assert made.concurrency == 8
    assert made.should_continue_on_error
