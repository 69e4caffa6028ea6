"""Client of an OpenAI-compatible model server: bounded time, retries with backoff, parsed answers.

vLLM, `transformers serve` and others speak this protocol but silently ignore different parts of it. `check` detects
this before the first note is sent. Notes go to the given address and nowhere else.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx

from ..errors import AccessError
from ..model.answers import parse_answer
from ..prompts import COMPACT, LONGEST_NOTE, Prompt, messages
from ..schemas import Assessment, Case
from .constraint import KEPT, in_grammar, in_schema, probes
from .token_confidence import read_confidence

RETRIED = {408, 409, 425, 429, 500, 502, 503, 504}
GONE = {502, 503, 504}  # from a proxy while the server restarts
OF_THE_NOTE = {400, 413, 422}  # usually too long
SHORT_ANSWER_TOKENS = 128


class Reply(NamedTuple):
    """An assessment, or the `problem` that prevented it, with `seconds` and `tries`.

    `confidence` comes from the server's probabilities; empty if it sent none.
    """

    assessment: Assessment | None
    problem: str = ""
    seconds: float = 0.0
    tries: int = 1
    confidence: Mapping[str, Any] = MappingProxyType({})


class _Failure(NamedTuple):
    """A request without an answer: the problem, and whether to retry.

    `wait` is the pause in seconds that the server asks for. `of_the_note` marks a failure specific to this
    note. `gone` is how many seconds the server has been unreachable; None if it was reachable.
    """

    problem: str
    retry: bool = True
    wait: float = 0.0
    of_the_note: bool = False
    gone: float | None = None


@dataclass
class Server:
    """A server at `url` (".../v1") that serves `model`.

    Args:
        key: sent as bearer token. concurrency: requests at a time. timeout: seconds per request. tries: requests for
        one note before it becomes a dead letter; pause: seconds before the first retry. outage: seconds to wait for a
        restarting server; they do not count as tries. give_up: failed notes in a row after which the server is at
        fault. structured: request the schema with `response_format`. grammar: request the notebooks' grammar instead,
        from vLLM with the guidance backend. logprobs: request token probabilities, for
        `monitor`; most servers without them ignore it. longest: characters; longer notes are not sent, because some
        servers cut them silently.
    """

    url: str
    model: str
    _: KW_ONLY
    key: str = field(default="", repr=False)
    concurrency: int = 16
    timeout: float = 120.0
    tries: int = 5
    outage: float = 300.0
    give_up: int = 200
    structured: bool = True
    grammar: bool = False
    logprobs: bool = True
    max_tokens: int = 512
    longest: int = LONGEST_NOTE
    prompt: Prompt = COMPACT
    pause: float = 0.5

    def __post_init__(self) -> None:
        self.url = self.url.rstrip("/")

    async def __aenter__(self) -> Server:
        limits = httpx.Limits(max_connections=self.concurrency, max_keepalive_connections=self.concurrency)
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        timeout = httpx.Timeout(self.timeout, connect=min(self.timeout, 10.0))
        self._client = httpx.AsyncClient(timeout=timeout, limits=limits, headers=headers, trust_env=False)
        self._last_heard = 0.0
        self._gone_since: float | None = None
        self._failed_in_a_row = 0  # notes
        self._has_answered = False
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def check(self) -> str:
        """Check that the server answers, accepts the schemas and applies one; returns a one-line status.

        Raises:
            AccessError: the server does not answer, does not serve the model, refuses a schema, or ignores
                `response_format` although `structured` is set: its answers would be unconstrained.
        """
        try:
            text = ""
            for constraint in probes(self.grammar) if self.structured else ({},):
                text, *_ = await self._post([{"role": "user", "content": "Say no."}], constraint, max_tokens=24)
        except (httpx.HTTPError, TimeoutError, _Refused) as error:
            reason = error.told() if isinstance(error, _Refused) else type(error).__name__
            raise AccessError(
                f"the server at {self.url} does not answer for model {self.model!r} ({reason}). Check that it is up, "
                "that it serves a model of this name, and that the address ends in /v1. If it refuses the schema, run "
                "without one (--no-schema); unreadable answers then go to the dead letters"
            ) from None
        if not self.structured:
            return "the server answers; without a schema, unreadable answers go to the dead letters"
        if "".join(text.split()) != KEPT:
            asked = "structured_outputs (only vLLM knows them)" if self.grammar else "response_format"
            raise AccessError(
                f"the server at {self.url} ignores {asked}: its answers would follow no schema. Start it with "
                "structured outputs (vLLM: --structured-outputs-config.backend guidance), or run without a schema "
                "(--no-schema); unreadable answers then go to the dead letters"
            )
        return f"the server answers and applies the {'grammar' if self.grammar else 'schema'}"

    async def assess(self, case: Case, *, short: bool = False) -> Reply:
        """Ask about one case, with retries. A failure of this note alone becomes the reply's `problem`.

        `short` asks for the five labels only; it needs a server that applies a schema.

        Raises:
            AccessError: the server has been unreachable for longer than `outage`, or `give_up` notes failed in a row
                (not counting those that are too long). The server is then at fault, and a million notes must not
                become dead letters.
        """
        if len(case.text) > self.longest:
            return Reply(None, f"{len(case.text):,} characters: not sent, the limit for a model is {self.longest:,}")
        clock = asyncio.get_running_loop().time
        started = last_asked = clock()
        tries = pauses = 0
        while True:
            asked, tries = clock(), tries + 1
            result = await self._ask(case, short)
            if isinstance(result, Reply):
                self._failed_in_a_row, self._has_answered = 0, True
                return result._replace(seconds=clock() - started, tries=tries)
            if result.gone is not None and result.gone < self.outage and self._last_heard < last_asked:
                tries -= 1  # no request was answered since this note's last try: not the note's fault
            if tries >= self.tries or not result.retry:
                break
            # Exponential backoff with jitter: requests that failed together must not retry together.
            backoff = min(10.0, self.pause * 2 ** min(pauses, 9)) * random.uniform(0.5, 1.5)
            await asyncio.sleep(max(result.wait, backoff))
            last_asked, pauses = asked, pauses + 1
        if not (result.of_the_note and self._has_answered):
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= self.give_up:
                raise AccessError(
                    f"{self._failed_in_a_row} notes failed in a row at {self.url}, the last with: "
                    f"{result.problem}. Fix the server and run the same command again, with --retry to ask again about "
                    "the notes that failed"
                )
        return Reply(None, result.problem, clock() - started, tries)

    async def _ask(self, case: Case, short: bool) -> Reply | _Failure:
        """Send one request. Raises AccessError if the server is unreachable for longer than `outage`."""
        constraint = in_grammar(case.text, short=short) if self.grammar else in_schema(short=short)
        constraint = constraint if self.structured else {}
        max_tokens = SHORT_ANSWER_TOKENS if short else self.max_tokens
        try:
            text, logprobs, cut_off = await self._post(messages(case, self.prompt), constraint, max_tokens=max_tokens)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            gone = self._seconds_gone()
            if gone >= self.outage:
                raise AccessError(
                    f"the server at {self.url} has been gone for {gone:.0f} s. Finished shards are kept: start it again, "
                    "and run the same command to resume"
                ) from None
            return _Failure("the server is gone", gone=gone)
        except _Refused as error:
            return _Failure(
                error.told(case.text),
                retry=error.status in RETRIED,
                wait=min(error.wait, 60.0),
                of_the_note=error.status in OF_THE_NOTE,
                gone=self._seconds_gone() if error.status in GONE else None,
            )
        except (httpx.HTTPError, TimeoutError) as error:
            self._gone_since = None  # the server was reachable
            if isinstance(error, (httpx.TimeoutException, TimeoutError)):
                return _Failure(f"no answer in {self.timeout:.0f} s")
            return _Failure(f"the connection broke ({type(error).__name__})")
        answer = parse_answer(text)
        if answer.assessment is None:  # at temperature 0, the same request would give the same answer
            reason = f"cut off after {max_tokens} tokens" if cut_off else f"unreadable: {answer.unscored}"
            return _Failure(reason, retry=False)
        return Reply(answer.assessment, confidence=read_confidence(text, logprobs, constrained=self.structured))

    def _seconds_gone(self) -> float:
        """Seconds since the server was first unreachable."""
        now = asyncio.get_running_loop().time()
        self._gone_since = now if self._gone_since is None else self._gone_since
        return now - self._gone_since

    async def _post(
        self, turns: list[dict[str, str]], constraint: Mapping[str, Any], *, max_tokens: int
    ) -> tuple[str, Any, bool]:
        """Send a request; returns the text, its log probabilities, and whether it was cut off at `max_tokens`."""
        body: dict[str, Any] = {"model": self.model, "messages": turns, "temperature": 0.0, "max_tokens": max_tokens}
        body |= constraint
        if self.logprobs:
            body["logprobs"] = True
        async with asyncio.timeout(self.timeout):  # httpx's own timeout restarts with every byte
            response = await self._client.post(f"{self.url}/chat/completions", json=body)
        if response.status_code not in GONE:
            self._last_heard, self._gone_since = asyncio.get_running_loop().time(), None
        if response.status_code != 200:
            raise _Refused(response.status_code, response.headers.get("retry-after", ""), _message(response))
        try:
            choice = response.json()["choices"][0]
            cut_off = choice.get("finish_reason") == "length"
            return str(choice["message"]["content"] or ""), choice.get("logprobs"), cut_off
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise _Refused(500, "", "the reply is not that of a chat completion") from None


class _Refused(Exception):
    """The server refused a request; `wait` is the pause in seconds that it asks for, `message` its reason."""

    def __init__(self, status: int, wait: str, message: str = ""):
        self.status, self.message = status, message
        self.wait = float(wait) if wait.replace(".", "", 1).isdigit() else 0.0

    def told(self, note: str = "") -> str:
        """Status and reason; a reason that repeats a piece of the note is left out."""
        pieces = (self.message[i : i + _PIECE] for i in range(max(1, len(self.message) - _PIECE + 1)))
        repeats = bool(note) and any(piece in note for piece in pieces)
        return f"HTTP {self.status}: {self.message}" if self.message and not repeats else f"HTTP {self.status}"


_PIECE = 12  # characters


def _message(response: httpx.Response) -> str:
    """The server's reason for a refusal, in one line; "" if its reply has none."""
    try:
        error = response.json()
        error = error.get("error", error.get("message", ""))
        message = error.get("message", "") if isinstance(error, dict) else error
    except (ValueError, AttributeError, RecursionError):
        return ""
    return " ".join(str(message).split())[:300]
