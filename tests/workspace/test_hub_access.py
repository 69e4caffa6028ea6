"""The Hub refuses, or is not there: one sentence each, with the remedy. Colab's vault is asked once."""

import json
import sys
from http.server import BaseHTTPRequestHandler
from types import ModuleType, SimpleNamespace

import httpx
import pytest
from loopback import Loopback
from loopback_hub import LoopbackHub, talk

from irae_lib.errors import AccessError
from irae_lib.workspace import hub_access
from irae_lib.workspace.profiles import MEDGEMMA, REHEARSAL_BASE

# What the Hub's own server answers, by status.
REFUSALS = {
    401: "Invalid credentials in Authorization header",
    403: "Forbidden: Please enable access to public gated repositories in your fine-grained token settings.",
    429: "We had to rate limit your IP (203.0.113.7).",
    503: "Service Unavailable",
}
CONTACT = """
import json, sys
from irae_lib.errors import IraeError
from irae_lib.workspace.hub_access import pinned
from irae_lib.workspace.profiles import MEDGEMMA, choose_profile
def load_tokenizer():
    from irae_lib.model.base import load_tokenizer
    load_tokenizer(MEDGEMMA)
asks = {"pinned": lambda: pinned(choose_profile("smoke", MEDGEMMA)).revision, "tokenizer": load_tokenizer}
said = {}
for name in sys.argv[1:]:
    try:
        said[name] = asks[name]()
    except IraeError as error:
        said[name] = f"{type(error).__name__}: {error}"
print(json.dumps(said))
"""


class _Refusing(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        hub = self.state
        hub.asked += 1
        refused = hub.asked <= hub.first
        body = json.dumps({"error": REFUSALS[hub.status]} if refused else {"id": MEDGEMMA, "sha": "a" * 40})
        self.send_response(hub.status if refused else 200)
        self.send_header("X-Error-Message", REFUSALS[hub.status])
        self.send_header("Retry-After", hub.wait)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode() if self.command == "GET" else b"")

    do_HEAD = do_GET


class RefusingHub(Loopback):
    """Answers every request with one status; `first` requests only, then it names a commit."""

    handler = _Refusing

    def __init__(self, status: int, first: int = 10**6, wait: str = "0"):
        self.status, self.first, self.wait, self.asked = status, first, wait, 0


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "the token was refused; make a new one"),
        (403, "fine-grained token access to public gated repositories"),
        (503, "the Hub answered 503; try again later"),
    ],
)
def test_a_refusal_at_the_first_contact_is_one_sentence(tmp_path, status, words):
    with RefusingHub(status) as hub:
        said = talk(hub, tmp_path, CONTACT, "pinned", *(["tokenizer"] if status == 401 else []))
    assert said
    for sentence in said.values():
        assert sentence.startswith(f"AccessError: {MEDGEMMA} cannot be read: ")
        assert words in sentence
        assert "\n" not in sentence


def test_too_many_requests_are_asked_once_more(tmp_path):
    with RefusingHub(429, first=1, wait="1") as hub:
        assert talk(hub, tmp_path, CONTACT, "pinned") == {"pinned": "a" * 40}
    with RefusingHub(429) as hub:
        assert "too many requests from here (HTTP 429)" in talk(hub, tmp_path, CONTACT, "pinned")["pinned"]
        assert hub.asked == 2
    with RefusingHub(429, wait="900") as hub:
        assert "HTTP 429" in talk(hub, tmp_path, CONTACT, "pinned")["pinned"]
        assert hub.asked == 1, "nobody waits a quarter of an hour"


def test_no_network_is_called_that(tmp_path):
    with LoopbackHub() as hub:
        pass
    said = talk(hub, tmp_path, CONTACT, "pinned")["pinned"]
    assert "the Hub cannot be reached (ConnectError); check the network" in said


def wrapped(inner: Exception) -> RuntimeError:
    outer = RuntimeError("Error while uploading 'adapter_model.safetensors' to the Hub.")
    outer.__cause__ = inner
    return outer


def http_error(status: int, url: str) -> httpx.HTTPStatusError:
    request = httpx.Request("PUT", url)
    return httpx.HTTPStatusError("refused", request=request, response=httpx.Response(status, request=request))


@pytest.mark.parametrize(
    "error",
    [
        wrapped(http_error(401, "https://hub-ci-s3.example/lfs/1")),
        RuntimeError("Data processing error: CAS: HTTP status client error (401 Unauthorized) for url (https://cas)"),
    ],
    ids=["object storage", "xet"],
)
def test_a_refusal_of_the_upload_storage_is_not_called_the_network(error):
    with pytest.raises(AccessError) as said, hub_access.clear_hub_errors("me/x was not published"):
        raise error
    assert "the Hub's upload storage refused it (HTTP 401)" in str(said.value)
    assert "network" not in str(said.value)


def test_an_error_that_is_not_the_hubs_stays():
    with pytest.raises(ZeroDivisionError), hub_access.clear_hub_errors("nothing was done"):
        raise ZeroDivisionError
    with pytest.raises(OSError, match="mine"), hub_access.reading(REHEARSAL_BASE):
        raise OSError("mine")


# --- names ----------------------------------------------------------------------------------------------


@pytest.fixture
def no_token(monkeypatch, tmp_path):
    for name in ("HF_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    hub_access._ask_vault.cache_clear()
    yield
    hub_access._ask_vault.cache_clear()


@pytest.mark.parametrize("base", ["./base", "../base", "nosuch", "data/rehearsal_bas", "/nowhere/base", "a/b/c"])
def test_a_path_that_is_not_there_is_not_gated(no_token, base):
    for check in (hub_access.require_access, hub_access.model_path):
        with pytest.raises(AccessError, match="neither a folder of this checkout nor a Hub id") as error:
            check(base)
        assert "gated" not in str(error.value)


def test_a_folder_without_a_model_is_refused_and_a_public_model_needs_no_token(no_token):
    with pytest.raises(AccessError, match="the folder 'clinical' holds no config.json"):
        hub_access.require_access("data/clinical")
    assert hub_access.require_access("someone/model") == "someone/model from the Hub, without a token"


@pytest.mark.parametrize("name", ["model", "/model", "owner/", "a/b/c", "owner/model name"])
def test_a_repository_without_an_owner_is_refused_before_it_is_created(name):
    created = []
    api = SimpleNamespace(create_repo=lambda *names, **options: created.append(names))
    with pytest.raises(AccessError, match="expected owner/name"):
        hub_access.make_repo(api, name, private=True)
    assert not created


# --- Colab's vault --------------------------------------------------------------------------------------


class TimeoutException(Exception):  # the name of Colab's own
    pass


@pytest.mark.parametrize(
    ("answer", "value", "words"),
    [
        ("hf_x", "hf_x", "Colab vault"),
        ("", None, "not in the environment, the token file or the Colab vault"),
        (KeyError("HF_TOKEN"), None, "not in the environment, the token file or the Colab vault"),
        (TimeoutException("HF_TOKEN"), None, "the Colab vault did not answer in time: restart the session"),
    ],
)
def test_the_vault_is_asked_once_a_process_and_a_time_out_is_called_that(no_token, monkeypatch, answer, value, words):
    asked = []

    def get(name):
        asked.append(name)
        if isinstance(answer, Exception):
            raise answer
        return answer

    colab = ModuleType("google.colab")
    colab.userdata = SimpleNamespace(get=get)
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    for _ in range(3):
        token = hub_access.find_token()
        assert token.value == value
        assert words in token.where
    assert asked == ["HF_TOKEN"]
    monkeypatch.setenv("HF_TOKEN", "hf_env")
    assert hub_access.find_token().value == "hf_env", "the environment is read every time"
