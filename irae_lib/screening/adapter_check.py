"""Check that the server applies the adapter.

vLLM silently ignores an adapter whose parameter names do not match, and then answers as the base.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..cases import LabelledCase, validated_cases
from ..evaluation.scoring import score
from ..schemas import Assessment, Record
from .server import Server


class AdapterCheck(Record):
    """Counts over the `n` validated cases: passed (at least 4 of 5 fields right) and unanswered.

    These cases were part of the training: passing all of them shows that the adapter is served, not that it is good.
    """

    n: int
    passed: int
    unanswered: int

    @property
    def good(self) -> bool:
        """Whether all cases pass, as they do for the adapter in 03_validate."""
        return self.passed == self.n

    @classmethod
    def of_answers(cls, answers: Sequence[Assessment | None]) -> AdapterCheck:
        """Score answers to the validated cases, in case order; None means unanswered."""
        pairs = zip(validated_cases(), answers, strict=True)
        passed = sum(score(answer, case.expected).passed for case, answer in pairs)
        return cls(n=len(answers), passed=passed, unanswered=answers.count(None))


async def check_adapter(server: Server) -> AdapterCheck:
    """Run the eleven validated cases through a server.

    Raises:
        AccessError: the server does not answer, or ignores the schema.
    """
    async with server:
        await server.check()
        slots = asyncio.Semaphore(server.concurrency)

        async def ask(case: LabelledCase) -> Assessment | None:
            async with slots:
                return (await server.assess(case.case)).assessment

        return AdapterCheck.of_answers(await asyncio.gather(*map(ask, validated_cases())))
