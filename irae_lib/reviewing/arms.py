"""Ask a model while the panel stays usable: in a thread that can be stopped, with the model's limit said beforehand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any

from ..errors import IraeError, SchemaError
from ..model.answers import Answer
from ..prompts import Prompt
from ..schemas import Case


class Cancelled(IraeError):
    """The reviewer stopped the model."""


@dataclass(frozen=True)
class Arm:
    """A model as the panel asks it.

    Attributes:
        answer: gives the answer to a case and an optional `Event`; raises `Cancelled` soon after that is set.
        too_long: why the model cannot read the whole of a case, "" if it can.
    """

    answer: Callable[..., Answer]
    too_long: Callable[[Case], str] = lambda case: ""


def model_arm(loaded: Any, name: str, prompt: Prompt) -> Arm:
    """One arm of a `LoadedModel` with a prompt; it stops at the next token that it chooses."""
    from ..model.generate import prompt_ids

    def answer(case: Case, stop: Event | None = None) -> Answer:
        def greedy(logits):
            if stop is not None and stop.is_set():
                raise Cancelled("stopped by the reviewer")
            return logits.argmax(-1)

        return loaded.answer([case], name, prompt=prompt, choose=greedy)[0]

    def too_long(case: Case) -> str:
        needed = len(prompt_ids(loaded.tokenizer, [case], prompt)[0]) + loaded.profile.max_new_tokens
        most = loaded.model.config.get_text_config().max_position_embeddings
        if needed <= most:
            return ""
        return f"question, note and answer need {needed:,} tokens; this model has room for {most:,}"

    return Arm(answer, too_long)


class Asker:
    """The answers of arms to cases. A model is asked once a case, in a thread; asking stops what is still being read.

    Args:
        arms: by name; None is the rules alone, which are not asked.
        arrived: called after each answer, by the event loop that runs when the model is asked (in a notebook the
            kernel's, so widgets change in its thread only), or by `wait` if there is none.
    """

    _one_at_a_time = threading.Lock()  # a loaded model switches between its adapters

    def __init__(self, arms: Mapping[str, Arm | None], arrived: Callable[[], None]):
        self._arms, self._arrived = dict(arms), arrived
        self._given: dict[tuple[str, str], Answer | Exception] = {}
        self._stop, self._thread = Event(), None
        self._undelivered: Callable[[], None] = lambda: None
        self._stop.set()

    @property
    def reading(self) -> bool:
        """Whether a model is reading."""
        return not self._stop.is_set()

    def get(self, case: Case, name: str) -> Answer | Exception | None:
        """What an arm gave: an answer, the reason for none, or None if it was not asked or is still reading."""
        return self._given.get((case.id, name))

    def ask(self, case: Case, name: str) -> None:
        """Ask an arm, unless it has answered or the case is too long for it."""
        self.stop()
        arm = self._arms[name]
        if arm is None or (case.id, name) in self._given:
            return
        if problem := arm.too_long(case):
            self._given[case.id, name] = SchemaError(f"{problem}. The rules have read the whole note")
            return
        self._stop = stop = Event()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None

        def deliver(result: Answer | Exception) -> None:
            if not stop.is_set():
                stop.set()
                self._given[case.id, name] = result
                self._arrived()

        def work() -> None:
            try:
                with self._one_at_a_time:
                    result: Answer | Exception = arm.answer(case, stop)
            except Exception as error:
                result = error
            if loop:
                loop.call_soon_threadsafe(deliver, result)
            else:
                self._undelivered = partial(deliver, result)

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the model that is reading at its next token, and drop its answer."""
        self._stop.set()

    def wait(self, seconds: float) -> None:
        """Wait until the last question has been answered or dropped."""
        if self._thread is not None:
            self._thread.join(seconds)
        self._undelivered()
