"""Is it our adapter that is served? vLLM loads one of foreign names without a word, and then answers as the base."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..cases import validated_cases
from ..evaluation.scoring import grade_answers
from ..model.answers import Answer
from ..schemas import Record
from .server import Server


class Trial(Record):
    """Of the `n` validated cases, how many pass (at least 4 of 5 fields right) and how many have no answer.

    They were part of the training: passing all shows that the adapter is served, not that it is good.
    """

    n: int
    passed: int
    unanswered: int

    @property
    def good(self) -> bool:
        """As the adapter answers in 03_validate."""
        return self.passed == self.n


async def try_server(server: Server) -> Trial:
    """Ask a server the eleven validated cases.

    Raises:
        AccessError: it does not answer, or ignores the schema.
    """
    cases = validated_cases()
    async with server:
        await server.check()
        waiting = asyncio.Semaphore(server.concurrency)

        async def ask(case) -> Answer:
            async with waiting:
                reply = await server.assess(case.case)
            return Answer(text="", assessment=reply.assessment, unscored=reply.problem)

        answers = await asyncio.gather(*map(ask, cases))
    return of_answers(answers)


def of_answers(answers: Sequence[Answer]) -> Trial:
    """How answers to the validated cases, in their order, do."""
    cases = validated_cases()
    graded = grade_answers(cases, answers)
    return Trial(
        n=len(cases),
        passed=sum(one.raw.passed for one in graded),
        unanswered=sum(answer.assessment is None for answer in answers),
    )
