"""Asks many questions, so many at once: the next is asked when one is answered."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.verify.answered import No
from phoenix_hypervisor.verify.llm.figures import Figures
from phoenix_hypervisor.verify.llm.reading import Answer


@dataclass(slots=True)
class Load:
    """One run at one concurrency; what it has measured so far can be read at any time.

    `in_time` is False where its seconds were over before its requests were.
    """

    concurrency: int
    answers: list[Answer] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    elapsed_s: float = 0.0
    in_time: bool = True

    async def run(
        self,
        ask: Callable[[int], Awaitable[Answer]],
        requests: int,
        seconds: float,
        tell: Callable[[], None] = lambda: None,
    ) -> None:
        """Asks `requests` questions, each by its number; begins none once `seconds` are over.

        What is under way then has until half as long again, and is ended without counting.
        `tell` is called after each.
        """
        began = time.perf_counter()
        numbers = iter(range(requests))

        async def worker() -> None:
            for number in numbers:
                if time.perf_counter() - began >= seconds:
                    self.in_time = False
                    return
                try:
                    answer = await ask(number)
                except (No, PhoenixError) as error:
                    self.errors.append(error.message)
                else:
                    self.answers.append(answer)
                self.elapsed_s = time.perf_counter() - began
                tell()

        try:
            async with asyncio.timeout(seconds * 1.5), asyncio.TaskGroup() as group:
                for _ in range(min(self.concurrency, requests)):
                    group.create_task(worker())
        except TimeoutError:
            self.in_time = False
            self.elapsed_s = time.perf_counter() - began

    def figures(self) -> Figures:
        """What it measured."""
        return Figures.of(self.concurrency, self.answers, self.errors, self.elapsed_s)
