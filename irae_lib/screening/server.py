"""One note to an OpenAI-compatible server and back: bounded time, retries with backoff, and an answer that was read.

vLLM, `transformers serve` and their kind all speak this protocol and differ in what they silently ignore; `check` finds
out before a million notes are sent. Notes go to the address given and nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx

from ..errors import AccessError
from ..model.answers import parse_answer
from ..prompts import COMPACT, Prompt, messages
from ..schemas import Assessment, Case, Causality, Likelihood, Severity, System, Urgency
from .token_confidence import read_chances

RETRIED = {408, 409, 425, 429, 500, 502, 503, 504}
GONE = {502, 503, 504}  # what a proxy says of a server that is being restarted
OF_THE_NOTE = {400, 413, 422}  # too long, as a rule


class Reply(NamedTuple):
    """An assessment, or the reason why there is none; `seconds` of the whole, `tries` it took; `chances` as `chances`
    (the module) reads them, empty where the server sent none."""

    assessment: Assessment | None
    problem: str = ""
    seconds: float = 0.0
    tries: int = 1
    chances: Mapping[str, Any] = MappingProxyType({})


class Server:
    """A server at `url` (".../v1") that serves `model`.

    Args:
        key: sent as bearer token; "" for none. concurrency: requests at a time, at most. timeout: seconds a request.
        tries: in all, before a note goes to the dead letters. outage: seconds to wait for a server that is gone (it is
        being restarted) without that counting as tries. give_up: notes that fail one after the other, after which
        something is wrong with the server and not with the notes. structured: ask for the schema by `response_format`.
        logprobs: ask how probable each token was, for `monitor`; most servers that cannot say pass over the question.
        most: tokens of an answer.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key: str = "",
        concurrency: int = 16,
        timeout: float = 120.0,
        tries: int = 5,
        outage: float = 300.0,
        give_up: int = 200,
        structured: bool = True,
        logprobs: bool = True,
        most: int = 512,
        prompt: Prompt = COMPACT,
        pause: float = 0.5,
    ):
        self.url, self.model, self.key = url.rstrip("/"), model, key
        self.concurrency, self.timeout, self.tries, self.outage = concurrency, timeout, tries, outage
        self.give_up, self.structured, self.logprobs = give_up, structured, logprobs
        self.most, self.prompt, self.pause = most, prompt, pause
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Server:
        limits = httpx.Limits(max_connections=self.concurrency, max_keepalive_connections=self.concurrency)
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        timeout = httpx.Timeout(self.timeout, connect=min(self.timeout, 10.0))
        self._client = httpx.AsyncClient(timeout=timeout, limits=limits, headers=headers, trust_env=False)
        self._heard = 0.0  # when it last answered
        self._gone: float | None = None  # since when it is gone
        self._failed = 0  # notes, one after the other
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def check(self) -> str:
        """Whether the server answers, and keeps to a schema it is given; returns one line that says so.

        Raises:
            AccessError: it does not answer, does not serve the model, or ignores `response_format` though `structured`
                was asked for: what it writes would then be anything.
        """
        schema = {"type": "object", "properties": {"kept": {"const": "yes"}}, "required": ["kept"]}
        schema["additionalProperties"] = False
        asked = [{"role": "user", "content": "Say no."}]
        try:
            text, _ = await self._post(asked, schema if self.structured else None, most=24)
        except (httpx.HTTPError, TimeoutError, _Refused) as error:
            what = str(error) if isinstance(error, _Refused) else type(error).__name__
            raise AccessError(
                f"the server at {self.url} does not answer for model {self.model!r} ({what}); is it up, is the name "
                "the one it serves, and does the address end in /v1?"
            ) from None
        if not self.structured:
            return "the server answers; answers are kept to no schema, what cannot be read goes to the dead letters"
        try:
            kept = json.loads(text) == {"kept": "yes"}
        except ValueError:
            kept = False
        if not kept:
            raise AccessError(
                f"the server at {self.url} ignores response_format: answers would be kept to no schema. Start it with "
                "structured outputs (vLLM: --structured-outputs-config.backend guidance), or ask without a schema "
                "(--no-schema) and let what cannot be read go to the dead letters"
            )
        return "the server answers and keeps to the schema it is given"

    async def assess(self, case: Case, *, short: bool = False) -> Reply:
        """Ask about one case. What goes wrong with this one note is the reply's `problem`.

        `short` asks for the five labels alone, which only a server that keeps to a schema will do.

        Raises:
            AccessError: nothing has listened for longer than `outage`, or `give_up` notes failed one after the other
                (those that are too long aside): it is not the notes, and a million of them must not become dead
                letters.
        """
        clock = asyncio.get_running_loop().time
        started, attempt, waits, problem, counts = clock(), 0, 0, "", True
        asked = started
        while attempt < self.tries:
            attempt += 1
            before, asked, wait, gone = asked, clock(), 0.0, None
            try:
                schema = (SHORT if short else FULL) if self.structured else None
                text, sent = await self._post(messages(case, self.prompt), schema, most=96 if short else self.most)
                answer = parse_answer(text)
                if answer.assessment:
                    self._failed = 0
                    chances = read_chances(text, sent, constrained=self.structured)
                    return Reply(answer.assessment, "", clock() - started, attempt, chances)
                problem = f"unreadable: {answer.unscored}"
                if not self.structured:  # a second try would say the same
                    break
            except (httpx.ConnectError, httpx.ConnectTimeout):
                problem, gone = "the server is gone", self._gone_for()
                if gone >= self.outage:
                    raise AccessError(
                        f"the server at {self.url} has been gone for {gone:.0f} s. Finished shards stay: start it "
                        "again, and the same command goes on"
                    ) from None
            except (httpx.TimeoutException, TimeoutError):
                problem, self._gone = f"no answer in {self.timeout:.0f} s", None
            except httpx.HTTPError as error:
                problem, self._gone = f"the connection broke ({type(error).__name__})", None  # it was there
            except _Refused as error:
                problem, wait = str(error), min(error.wait, 60.0)
                gone = self._gone_for() if error.status in GONE else None
                counts = error.status not in OF_THE_NOTE
                if error.status not in RETRIED:
                    break
            if gone is not None and gone < self.outage and self._heard < before:
                attempt -= 1  # nobody was answered since this note's last try: it is not about this note
            if attempt < self.tries:
                # Doubling, with jitter: sixteen requests that failed together must not come back together.
                await asyncio.sleep(max(wait, min(10.0, self.pause * 2 ** min(waits, 9)) * random.uniform(0.5, 1.5)))
                waits += 1
        self._failed += counts
        if counts and self._failed >= self.give_up:
            raise AccessError(
                f"{self._failed} notes failed one after the other at {self.url}, the last with: {problem}. Mend the "
                "server; the same command goes on, with --retry also where notes have failed"
            )
        return Reply(None, problem, clock() - started, attempt)

    def _gone_for(self) -> float:
        """Seconds since the server was first found gone."""
        now = asyncio.get_running_loop().time()
        self._gone = now if self._gone is None else self._gone
        return now - self._gone

    async def _post(self, turns: list[dict[str, str]], schema: dict | None, *, most: int) -> tuple[str, Any]:
        body: dict[str, Any] = {"model": self.model, "messages": turns, "temperature": 0.0, "max_tokens": most}
        if schema:
            named = {"name": "assessment", "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        if self.logprobs:
            body["logprobs"] = True
        async with asyncio.timeout(self.timeout):  # httpx's own starts anew with every byte that comes
            answer = await self._client.post(f"{self.url}/chat/completions", json=body)
        if answer.status_code not in GONE:
            self._heard, self._gone = asyncio.get_running_loop().time(), None
        if answer.status_code != 200:
            raise _Refused(answer.status_code, answer.headers.get("retry-after", ""))
        try:
            choice = answer.json()["choices"][0]
            return str(choice["message"]["content"] or ""), choice.get("logprobs")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise _Refused(500, "", "the reply is not that of a chat completion") from None


class _Refused(Exception):
    """The server said no; `wait` in seconds is what it asked for."""

    def __init__(self, status: int, wait: str, what: str = ""):
        super().__init__(what or f"HTTP {status}")
        self.status, self.wait = status, float(wait) if wait.replace(".", "", 1).isdigit() else 0.0


FULL = Assessment.model_json_schema()
# The labels alone, in the order of `Assessment`; evidence and reasoning have defaults when they are read.
SHORT = {
    "type": "object",
    "properties": {
        "irae_detected": {"type": "boolean"},
        "affected_systems": {"type": "array", "items": {"enum": [s.value for s in System]}, "maxItems": len(System)},
        "overall_severity": {"enum": [one.value for one in Severity]},
        "urgency": {"enum": [one.value for one in Urgency]},
        "causality": {
            "type": "object",
            "properties": {"likelihood": {"enum": [one.value for one in Likelihood]}},
            "required": list(Causality.model_fields),
            "additionalProperties": False,
        },
    },
    "required": ["irae_detected", "affected_systems", "overall_severity", "urgency", "causality"],
    "additionalProperties": False,
}
