"""An OpenAI-compatible server on the loopback address that answers at once, or misbehaves as a note tells it to.

A note with `[[500 2]]` in it is refused twice with HTTP 500 and then answered; see `BEHAVIOUR`.
"""

import contextlib
import json
import math
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from types import MappingProxyType

from loopback import Loopback

from irae_lib.cases import validated_cases

GOOD = {
    "irae_detected": True,
    "affected_systems": ["Hepatic"],
    "overall_severity": "Grade 2 - Moderate",
    "urgency": "soon",
    "causality": {"likelihood": "Possible"},
}
BEHAVIOUR = (
    "429 (or another status)",
    "malformed",
    "schema",
    "repeats",
    "cut",
    "tells",
    "hang",
    "close",
    "half",
    "nonsense",
)


def tuned() -> dict[str, str]:
    """What the adapter says of the eleven validated cases, by note: `StubServer(answers=tuned())` serves it."""
    return {case.case.text: case.expected.to_json() for case in validated_cases()}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: "StubServer"

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        self.state.connections.add(self.connection)

    def do_GET(self):
        self._answer(200 if self.path == "/health" else 404, b"{}")

    def do_POST(self):
        stub = self.state
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        stub.authorization.add(self.headers.get("Authorization", ""))
        with stub.lock:
            stub.at_once += 1
            stub.most_at_once = max(stub.most_at_once, stub.at_once)
        try:
            self._serve(stub, body)
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            with stub.lock:
                stub.at_once -= 1

    def _serve(self, stub, body):
        note = body["messages"][-1]["content"]
        whole_schema = body.get("response_format", {}).get("json_schema", {}).get("schema", {})
        schema = whole_schema.get("properties", {})
        if grammar := body.get("structured_outputs", {}).get("grammar", "") if stub.grammars else "":
            stub.grammars += (grammar,)
            schema = dict.fromkeys(
                ["kept"] if "kept" in grammar else [] if 'evidence: "[]"' in grammar else ["evidence"]
            )
        if stub.strict and set(whole_schema.get("required", schema)) != set(schema):
            return self._refuse("'required' must include every key in properties. Missing 'evidence'.")
        if wrong := [word for word in stub.refuses if f'"{word}"' in json.dumps(whole_schema)]:
            return self._refuse(f"{wrong[0]} is not supported in this schema")
        if "kept" in schema or note == "Say no.":
            known = stub.grammars if "structured_outputs" in body else stub.schemas
            return self._say('{"kept":"yes"}' if known else "No.")
        with stub.lock:
            stub.asked[note] += 1
            times = stub.asked[note]
        time.sleep(stub.delay)
        if "evidence" in schema:
            note += stub.whole
        if wrong := re.search(r"\[\[(\w+)(?: (\d+))?\]\]", note):
            how, until = wrong[1], int(wrong[2] or 10**9)
            if times <= until:
                return self._misbehave(how)
        if known := [answer for text, answer in stub.answers.items() if text in note]:
            return self._say(known[0])
        full = "evidence" in schema or not schema
        answer = {"evidence": [], "reasoning": "Stub.", **GOOD, "actions": []} if full else GOOD
        self._say(json.dumps(answer, separators=(",", ":")), stub.logprobs and body.get("logprobs"))

    def _refuse(self, message):
        self._answer(400, json.dumps({"error": {"message": message, "type": "invalid_request_error"}}).encode())

    def _misbehave(self, how):
        if how == "repeats":
            return self._say(json.dumps(GOOD | {"affected_systems": ["Hepatic", "Hepatic"]}))
        if how == "cut":
            return self._say('{"evidence": [', cut_off=True)
        if how == "tells":
            return self._refuse("the prompt has 9,000 tokens, the context only 4,096")
        if how == "echoes":
            return self._refuse("not valid: Nivolumab, cycle 3. ALT 640 U/L")
        if how.isdigit():
            return self._answer(int(how), b"{}", {"Retry-After": "0.1"} if how == "429" else {})
        if how == "malformed":
            return self._say('{"evidence": [')
        if how == "schema":
            return self._say(json.dumps(GOOD | {"urgency": "whenever"}))
        if how == "nonsense":
            return self._answer(200, b"<html>proxy</html>")
        if how == "hang":
            time.sleep(self.state.hang)
            return self._say("{}")
        if how == "half":
            self.send_response(200)
            self.send_header("Content-Length", "500")
            self.end_headers()
            self.wfile.write(b'{"choices": [')
        self.close_connection = True
        self.connection.close()

    def _say(self, text, logprobs=False, cut_off=False):
        choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "length" if cut_off else "stop"}
        if logprobs:
            sent = [{"token": one, "bytes": [*one.encode()], "logprob": math.log(0.9)} for one in text]
            choice["logprobs"] = {"content": sent}
        self._answer(200, json.dumps({"choices": [choice]}).encode())

    def _answer(self, status, body, headers=None):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class StubServer(Loopback):
    """`with StubServer() as server:` serves at `server.url`; `asked` counts requests by note, `most_at_once` the load.

    `schemas` False ignores response_format and answers in prose, as some servers do; `logprobs` True sends, where it is
    asked for them, log probabilities of 0.9 a token; `answers` are given to the notes that hold their keys; `whole` is
    added to notes that are asked the whole question, as in `whole="[[401]]"`. `strict` True refuses schemas with optional
    keys, `grammars` True knows vLLM's `structured_outputs` and keeps those that it was sent, `refuses` names keywords that it refuses, as OpenAI's strict mode and llama.cpp do.
    """

    handler = _Handler

    def __init__(
        self,
        *,
        schemas: bool = True,
        logprobs: bool = False,
        delay: float = 0.0,
        hang: float = 3.0,
        port: int = 0,
        answers: Mapping[str, str] = MappingProxyType({}),
        whole: str = "",
        strict: bool = False,
        refuses: Sequence[str] = (),
        grammars: bool = False,
    ):
        self.grammars: tuple[str, ...] = ("",) if grammars else ()
        self.strict, self.refuses = strict, refuses
        self.answers, self.whole = answers, whole
        self.schemas, self.logprobs, self.delay, self.hang, self.port = schemas, logprobs, delay, hang, port
        self.asked: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.authorization: set[str] = set()
        self.connections: set[socket.socket] = set()

    def __enter__(self):
        super().__enter__()
        self.url += "/v1"
        self.server.daemon_threads = True
        return self

    def __exit__(self, *_):
        super().__exit__()
        for one in list(self.connections):  # a process that ends takes its open connections along
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
