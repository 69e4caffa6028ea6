"""Publishing: what is staged, what is refused, and the real client against a Hub on the loopback address.

The client reads its endpoint when it is imported, so each conversation with the Hub is a process of its own.
"""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from labels import REPORT
from loopback_hub import TOKEN, LoopbackHub, talk

from irae_lib.errors import AdapterError, NotPublished
from irae_lib.files import DATA, ROOT
from irae_lib.publishing import hub

ADAPTER = DATA / "rehearsal_adapter"


@pytest.fixture()
def staged(tmp_path):
    return hub.stage(ADAPTER, REPORT, tmp_path / "published", "tester/irae")


# --- staging and card -----------------------------------------------------------------------------------


def test_staged_folder_holds_exactly_what_may_leave(staged):
    assert {path.name for path in staged.iterdir()} == set(hub.PUBLISHED) - {hub.TERMS_COPY}
    config = json.loads((staged / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "data/rehearsal_base"
    text = "".join(path.read_text() for path in staged.iterdir() if path.suffix != ".safetensors")
    assert not re.search(r"(?<![\w./])/(?:root|home|work|tmp|Users)/", text)
    assert "hf_" not in text


def test_staging_again_replaces_and_leaves_nothing_aside(staged, tmp_path):
    (staged / "old.txt").write_text("x")
    hub.stage(ADAPTER, REPORT, staged, "tester/irae")
    assert not (staged / "old.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["published"]


def copy_of_adapter(folder: Path, **record) -> Path:
    folder.mkdir()
    for path in ADAPTER.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    changed = json.loads((folder / "irae_adapter.json").read_text()) | record
    (folder / "irae_adapter.json").write_text(json.dumps(changed))
    return folder


@pytest.mark.parametrize("base", ["/home/me/model", "C:\\models\\gemma"])
def test_a_path_of_this_machine_is_refused(tmp_path, base):
    with pytest.raises(AdapterError, match="path of this machine"):
        hub.stage(copy_of_adapter(tmp_path / "a", base_model=base), REPORT, tmp_path / "out", "t/x")
    assert not (tmp_path / "out").exists()


def test_an_adapter_trained_on_cases_of_ones_own_is_refused(tmp_path):
    with pytest.raises(NotPublished, match="trained on 12 cases of your own.*not published"):
        hub.stage(copy_of_adapter(tmp_path / "a", own_cases=12), REPORT, tmp_path / "out", "t/x")
    assert not (tmp_path / "out").exists()


def test_an_adapter_that_does_not_say_what_it_was_trained_on_is_refused(tmp_path):
    folder = copy_of_adapter(tmp_path / "a")
    record = json.loads((folder / "irae_adapter.json").read_text())
    del record["own_cases"]
    (folder / "irae_adapter.json").write_text(json.dumps(record))
    with pytest.raises(AdapterError, match="does not say"):
        hub.stage(folder, REPORT, tmp_path / "out", "t/x")


def test_a_pickle_or_a_missing_file_is_refused(tmp_path):
    folder = copy_of_adapter(tmp_path / "a")
    (folder / "optimizer.pt").write_bytes(b"x")
    with pytest.raises(AdapterError, match="optimizer.pt"):
        hub.stage(folder, REPORT, tmp_path / "out", "t/x")
    (folder / "optimizer.pt").unlink()
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(AdapterError, match="adapter_model.safetensors is not in"):
        hub.stage(folder, REPORT, tmp_path / "out", "t/x")


def test_notice_is_the_exact_sentence_and_a_copy_of_the_terms_goes_along(tmp_path):
    terms = tmp_path / "terms.txt"
    terms.write_text("Health AI Developer Foundations Terms of Use ...")
    staged = hub.stage(ADAPTER, REPORT, tmp_path / "out", "t/x", terms=terms)
    assert (staged / "NOTICE").read_text() == (
        "HAI-DEF is provided under and subject to the Health AI Developer Foundations Terms of Use found at "
        "https://developers.google.com/health-ai-developer-foundations/terms\n"
    )
    assert (staged / hub.TERMS_COPY).read_text() == terms.read_text()


def test_what_the_scan_finds_is_not_staged_and_the_old_staging_stays(staged, tmp_path):
    report = REPORT.model_copy(update={"base_model": "hf_" + "aB3" * 11})
    with pytest.raises(AdapterError, match=r"report.json holds a token") as error:
        hub.stage(ADAPTER, report, staged, "tester/irae")
    assert "aB3" not in str(error.value)
    assert (staged / "README.md").is_file()
    note = "one two three four five six seven eight nine"
    with pytest.raises(AdapterError, match="report.json holds text of a note"):
        hub.stage(ADAPTER, REPORT.model_copy(update={"profile": note}), staged, "tester/irae", notes=[note])
    assert [path.name for path in tmp_path.iterdir()] == ["published"]


@pytest.mark.slow
def test_code_of_the_card_runs_as_printed(staged):
    code = re.search(r"```python\n(.*?)```", (staged / "README.md").read_text(), re.S)[1]
    code = code.replace('"tester/irae"', repr(str(staged)))  # the repository is this folder until it is pushed
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-1500:]
    assert "irae_detected=" in done.stdout, done.stderr[-1500:]


# --- the real client ------------------------------------------------------------------------------------

CONVERSATION = """
import json, sys
from pathlib import Path
from irae_lib.publishing import hub
from irae_lib.errors import IraeError
folder, cache, token = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
try:
    first = hub.push(folder, "tester/irae", token=token, tag="v1")
    again = hub.push(folder, "tester/irae", token=token, tag="v1")
    back = hub.fetch(first, cache, token=token)
    print(json.dumps({"commits": [first.commit, again.commit], "back": str(back)}))
except IraeError as error:
    print(json.dumps({"error": type(error).__name__, "message": str(error)}))
"""


def converse(server: LoopbackHub, staged: Path, tmp_path: Path, token: str = TOKEN, code: str = CONVERSATION) -> dict:
    return talk(server, tmp_path, code, str(staged), str(tmp_path / "cache"), token)


def test_push_tag_download_gives_the_same_bytes_and_a_second_push_changes_nothing(staged, tmp_path):
    with LoopbackHub(TOKEN) as server:
        said = converse(server, staged, tmp_path)
        repo = server.repos["tester/irae"]
    assert repo["private"]
    assert len(repo["commits"]) == 2
    assert repo["tags"] == {"v1": repo["commits"][-1]["id"]}
    assert said["commits"] == [repo["commits"][-1]["id"]] * 2
    assert hub.file_hashes(Path(said["back"])) == hub.file_hashes(staged)


LOAD = """
import json, sys, torch
from peft import PeftModel
from irae_lib.publishing import hub
from irae_lib.cases import validated_cases
from irae_lib.model.base import load_base, load_tokenizer
from irae_lib.model.generate import next_token_logits
from irae_lib.prompts import COMPACT
from irae_lib.workspace.profiles import choose_profile
profile = choose_profile("rehearsal")
tokenizer = load_tokenizer(profile.base_model)
pushed = hub.push(sys.argv[1], "tester/irae", token=sys.argv[3])
def logits(source, **where):
    model = PeftModel.from_pretrained(load_base(profile), source, **where).eval()
    return [next_token_logits(model, tokenizer, case.case, COMPACT) for case in validated_cases()[:3]]
ours, theirs = logits(sys.argv[1]), logits("tester/irae", revision=pushed.commit, token=sys.argv[3])
print(json.dumps({"equal": all(torch.equal(a, b) for a, b in zip(ours, theirs))}))
"""


@pytest.mark.slow
def test_a_stranger_loads_the_pushed_adapter_by_name_and_gets_the_same_logits(staged, tmp_path):
    with LoopbackHub(TOKEN) as server:
        assert converse(server, staged, tmp_path, code=LOAD) == {"equal": True}


def test_a_disk_that_is_full_ends_in_one_clear_error_and_no_success(staged, tmp_path):
    # A process that may write no file above 100 kB stands for a disk without room for the weights.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))"
    code = CONVERSATION.replace("    back =", f"    {limit}\n    back =")
    with LoopbackHub(TOKEN) as server:
        said = converse(server, staged, tmp_path, code=code)
    assert said["error"] == "AccessError"
    assert "published but could not be downloaded again" in said["message"]
    assert "disk" in said["message"]


BY_ID = """
import json, os, sys, torch
from transformers import AutoModelForImageTextToText
from irae_lib.publishing import hub
from irae_lib.cases import validated_cases
from irae_lib.model.adapters import load_adapters
from irae_lib.model.base import load_base, load_tokenizer
from irae_lib.model.generate import next_token_logits
from irae_lib.prompts import COMPACT
from irae_lib.workspace.profiles import choose_profile
from pathlib import Path
hub.push(sys.argv[1], "tester/irae", token=sys.argv[3])
model_id = "tester/irae"
os.environ["HF_TOKEN"] = sys.argv[3]
model = AutoModelForImageTextToText.from_pretrained(model_id)
profile = choose_profile("rehearsal")
tokenizer = load_tokenizer(profile.base_model)
ours = load_adapters(load_base(profile), profile.base_model, {"full": Path(sys.argv[1])})
cases = [case.case for case in validated_cases()[:3]]
theirs, mine = ([next_token_logits(m.eval(), tokenizer, case, COMPACT) for case in cases] for m in (model, ours))
equal = all(torch.allclose(a, b, atol=1e-4) for a, b in zip(theirs, mine))
print(json.dumps({"class": type(model).__name__, "equal": equal}))
"""


@pytest.mark.slow
def test_the_original_deployment_line_loads_base_and_adapter_by_the_id_alone(staged, tmp_path):
    with LoopbackHub(TOKEN) as server:
        said = converse(server, staged, tmp_path, code=BY_ID)
    assert said == {"class": "Gemma3ForConditionalGeneration", "equal": True}


def test_a_body_changed_on_the_way_is_found_by_name(staged, tmp_path):
    with LoopbackHub(TOKEN, corrupt="adapter_model.safetensors") as server:
        said = converse(server, staged, tmp_path)
    assert said["error"] == "AdapterError"
    assert "adapter_model.safetensors" in said["message"]


def test_a_wrong_token_is_refused_without_being_shown(staged, tmp_path):
    with LoopbackHub(TOKEN) as server:
        said = converse(server, staged, tmp_path, token="hf_wrong")
        assert server.repos == {}
    assert said["error"] == "AccessError"
    assert "token was refused" in said["message"]
    assert "hf_wrong" not in said["message"]


def test_a_public_repository_of_the_same_name_receives_nothing(staged, tmp_path):
    with LoopbackHub(TOKEN) as server:
        server.add("tester/irae", private=False)
        said = converse(server, staged, tmp_path)
        assert len(server.repos["tester/irae"]["commits"]) == 1
    assert said["error"] == "AccessError"
    assert "is public; nothing was uploaded" in said["message"]


@pytest.mark.slow
@pytest.mark.parametrize("method, path", [("POST", "/commit/"), ("PUT", "/lfs/")])
def test_a_cut_connection_leaves_the_old_state_and_says_so(staged, tmp_path, method, path):
    with LoopbackHub(TOKEN, cut=(method, path)) as server:
        said = converse(server, staged, tmp_path)
        assert len(server.repos["tester/irae"]["commits"]) == 1
    assert said["error"] == "AccessError"
    assert "as it was before" in said["message"]


PUSH = (
    CONVERSATION.split("    again =")[0]
    + """    print(json.dumps({"commit": first.commit}))
except IraeError as error:
    print(json.dumps({"error": type(error).__name__, "message": str(error)}))
"""
)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_push_cut_at_any_request_says_truly_what_it_left(staged, tmp_path, when):
    with LoopbackHub(TOKEN) as server:
        assert "commit" in converse(server, staged, tmp_path, code=PUSH)
        requests = list(server.log)

    def outcome(number: int) -> str:
        with LoopbackHub(TOKEN, lost=(when, number)) as server:
            said = converse(server, staged, tmp_path / str(number), code=PUSH)
            repo = server.repos.get("tester/irae", {"commits": [], "tags": {}})
        arrived, context = len(repo["commits"]) == 2, (requests[number], said)
        if "commit" in said:  # the client asked again by itself
            assert arrived, context
            assert repo["tags"] == {"v1": said["commit"]}, context
            return "done"
        claims = {"was not published": False, "as it was before": False, "is there": True, "not tagged": True}
        (made,) = [claim for claim in claims if claim in said["message"]]
        assert said["error"] == "AccessError", context
        assert arrived == claims[made], context
        return made

    with ThreadPoolExecutor(4) as pool:
        outcomes = set(pool.map(outcome, range(len(requests))))
    assert {"was not published", "is there" if when == "after" else "as it was before"} <= outcomes


# --- a base on the Hub, read at one commit --------------------------------------------------------------

PINNED = """
import json, sys
from dataclasses import replace
from irae_lib.workspace import profiles
from irae_lib.workspace import hub_access
from irae_lib.model.adapters import load_adapters
from irae_lib.model.base import load_base, load_tokenizer
from irae_lib.errors import IraeError
profile = replace(profiles.choose_profile("rehearsal"), base_model="tester/base")
said = {"newest": hub_access.pinned(profile).revision}
for wanted in sys.argv[1].split():
    try:
        pinned = hub_access.pinned(profile, wanted)
        load_tokenizer(pinned.base_model, pinned.revision)
        base = load_base(pinned)
        said[wanted] = [base.base_revision, base.get_input_embeddings().weight[200, 0].item()]
        load_adapters(base, "tester/base", {"full": sys.argv[2]})
    except IraeError as error:
        said[wanted] = [*said.get(wanted, []), type(error).__name__, str(error)]
print(json.dumps(said))
"""


@pytest.mark.slow
def test_a_base_is_read_at_the_commit_asked_for_and_an_adapter_of_another_commit_is_refused(tmp_path):
    from safetensors.torch import load_file, save

    base = DATA / "rehearsal_base"
    files = {path.name: path.read_bytes() for path in base.iterdir()}
    weights = load_file(base / "model.safetensors")
    (name,) = [name for name in weights if name.endswith("embed_tokens.weight")]
    older = weights[name][200, 0].item()
    weights[name] = weights[name] + 1.0
    newer = files | {"model.safetensors": save(weights, metadata={"format": "pt"})}
    old, new, none = "a" * 40, "b" * 40, "c" * 40
    adapter = copy_of_adapter(tmp_path / "adapter", base_model="tester/base", base_revision=old, base_sha256=None)
    with LoopbackHub(TOKEN) as server:
        server.add("tester/base", private=True)
        server.repos["tester/base"]["commits"] += [{"id": old, "files": files}, {"id": new, "files": newer}]
        said = talk(server, tmp_path, PINNED, f"{old} {new} {none}", str(adapter), HF_TOKEN=TOKEN)
    assert said["newest"] == new
    assert said[old] == [old, pytest.approx(older)]
    assert said[new][:3] == [new, pytest.approx(older + 1.0), "AdapterError"]
    assert f"at commit {old}" in said[new][3]
    assert said[none][0] == "AccessError"
    assert "has no revision" in said[none][1]
