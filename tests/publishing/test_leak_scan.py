"""Everything planted is found, nothing harmless is, and the repository and its runs hold no token."""

import io
import json
import pickle
import subprocess
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from irae_lib.files import ROOT
from irae_lib.publishing.leak_scan import TOKEN, find_leaks, secrets
from irae_lib.workspace.runs import runs_root

ALLOWED = ("README.md", "report.json", "adapter_model.safetensors")
NOTE = "Mrs. Example came on Tuesday with nine watery stools a day after her third nivolumab."
# Put together here, so that no file of the repository holds anything that looks like one.
TOKENS = {
    "hugging face": "hf_" + "aB3" * 11,
    "github": "ghp_" + "aB3" * 12,
    "github fine-grained": "github_pat_" + "a1_" * 10,
    "openai": "sk-" + "proj-" + "aB3" * 10,
    "aws": "AKIA" + "ABCD1234" * 2,
    "google": "AIza" + "aB3_" * 9,
    "slack": "xoxb-" + "123456789012",
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
}
PATHS = [
    "/ho" + "me/ann/run",
    "/ro" + "ot/x",
    "/Us" + "ers/ann/x",
    "/con" + "tent/drive",
    "C:\\Us" + "ers\\ann",
    "/tm" + "p/run",
]


@pytest.fixture()
def folder(tmp_path):
    (tmp_path / "README.md").write_text("A card. See https://huggingface.co/home/x and hf_token in the docs, n/home/x.")
    (tmp_path / "report.json").write_text('{"results": {"n": 300}}')
    save_file({"lora": torch.zeros(2)}, tmp_path / "adapter_model.safetensors")
    return tmp_path


def test_nothing_harmless_is_found(folder):
    assert find_leaks(folder, allowed=ALLOWED, notes=[NOTE]) == []


@pytest.mark.parametrize("name", TOKENS)
def test_tokens_are_found_and_not_repeated(folder, name):
    (folder / "README.md").write_text(f"load with {TOKENS[name]} please")
    assert find_leaks(folder, allowed=ALLOWED) == ["README.md holds a token"]


@pytest.mark.parametrize("path", PATHS)
def test_paths_are_found_in_text_and_in_json(folder, path):
    (folder / "report.json").write_text(json.dumps({"base": path}))
    assert find_leaks(folder, allowed=ALLOWED) == ["report.json holds a path of this machine"]


def test_secrets_in_the_header_of_the_weights_are_found(folder):
    save_file({"lora": torch.zeros(2)}, folder / "adapter_model.safetensors", metadata={"made": TOKENS["hugging face"]})
    assert find_leaks(folder, allowed=ALLOWED) == ["adapter_model.safetensors holds a token"]


def test_foreign_files_links_and_pickles_under_any_name_are_found(folder):
    (folder / "optimizer.pt").write_bytes(b"x")
    (folder / "deep").mkdir()
    (folder / "deep" / "notes.txt").write_text("x")
    (folder / "link").symlink_to(folder / "README.md")
    (folder / "README.md").write_bytes(pickle.dumps({"a": 1}))
    packed = io.BytesIO()
    zipfile.ZipFile(packed, "w").writestr("data.pkl", b"x")
    (folder / "report.json").write_bytes(packed.getvalue())
    assert set(find_leaks(folder, allowed=ALLOWED)) == {
        "optimizer.pt does not belong to a publication",
        "optimizer.pt is a pickle; publish safetensors only",
        "deep/notes.txt does not belong to a publication",
        "link is a link",
        "README.md is a pickle; publish safetensors only",
        "report.json is a pickle; publish safetensors only",
    }


def test_eight_words_of_a_note_are_found_whatever_their_case_and_breaks(folder):
    (folder / "README.md").write_text("Example: came on Tuesday,\nwith NINE watery stools a day.")
    assert find_leaks(folder, allowed=ALLOWED, notes=[NOTE]) == ["README.md holds text of a note of your own"]
    (folder / "README.md").write_text("came on Tuesday with nine watery stools")
    assert find_leaks(folder, allowed=ALLOWED, notes=[NOTE]) == []


def test_repository_and_runs_hold_no_token():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    files += [path for path in runs_root().rglob("*") if path.suffix in {".ipynb", ".json", ".md", ".jsonl", ".html"}]
    assert len(files) > 100
    assert [
        path.name for path in files if path.is_file() and TOKEN.search(path.read_bytes().decode("utf-8", "replace"))
    ] == []


def test_executed_notebooks_of_the_repository_hold_no_path_of_a_machine():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        outputs = [cell.get("outputs", []) for cell in json.loads(path.read_text())["cells"]]
        assert secrets(json.dumps(outputs)) == [], path.name
