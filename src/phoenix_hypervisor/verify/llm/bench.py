"""Measures a model server at several concurrencies, one after another."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from phoenix_hypervisor.model.serving import ModelKind
from phoenix_hypervisor.verify.answered import No
from phoenix_hypervisor.verify.llm.client import Client
from phoenix_hypervisor.verify.llm.load import Load
from phoenix_hypervisor.verify.llm.prompts import fitted, prompt
from phoenix_hypervisor.verify.llm.question import Question
from phoenix_hypervisor.verify.llm.reading import Answer

_WARM_UP_TOKENS = 8
# Some servers load a model when it is first asked for.
_LEAST_PATIENCE_S = 60.0
_LEAST_REQUESTS = 10
_REQUESTS_OF_EACH = 4
# Numbers of prompts, all of one length: those that are measured, and those that warm up.
_MEASURED, _WARMING = 1_000_000, 9_000_000

Tell = Callable[[Load, int], None]


@dataclass(frozen=True, slots=True)
class Work:
    """What is asked: at each of these concurrencies so many requests (None: as suits it).

    None is begun `seconds` after a concurrency's first.
    """

    kind: ModelKind = "chat"
    concurrency: Sequence[int] = (1, 4)
    requests: int | None = None
    seconds: float = 120.0
    prompt_tokens: int = 128
    output_tokens: int = 64

    def requests_at(self, concurrency: int) -> int:
        """How many are asked: where not said 10, and at least 4 by each of those at once."""
        return self.requests or max(_LEAST_REQUESTS, _REQUESTS_OF_EACH * concurrency)

    @property
    def patience_s(self) -> float:
        """What comes before the first concurrency has so many seconds: a minute at least."""
        return max(_LEAST_PATIENCE_S, self.seconds)


@dataclass(slots=True)
class Bench:
    """One measurement; `loads` holds what it has found so far, also where it is cancelled.

    `model` empty: the first one that the server names.
    """

    client: Client
    model: str
    work: Work
    loads: list[Load] = field(default_factory=list)
    _words: int = 0

    async def run(self, tell: Tell) -> None:
        """Warms up, then measures. Raises `No` where not even the warm-up is answered in time.

        `tell` is called with the load and its number of requests whenever an answer came.
        """
        try:
            async with asyncio.timeout(self.work.patience_s):
                if not self.model:
                    self.model = (await self.client.models())[0]
                await self._warm_up()
        except TimeoutError as error:
            limit = f"{self.work.patience_s:g} s"
            raise No(f"the warm-up was not answered within {limit}", answered=False) from error
        warmed, begin = 0, _MEASURED
        for concurrency in self.work.concurrency:
            short = min(_WARM_UP_TOKENS, self.work.output_tokens)
            ask = partial(self._ask, short, _WARMING + 2 + warmed)
            await Load(concurrency).run(ask, concurrency, self.work.seconds)
            warmed += concurrency
            ask = partial(self._ask, self.work.output_tokens, begin)
            load, requests = Load(concurrency), self.work.requests_at(concurrency)
            self.loads.append(load)
            await load.run(ask, requests, self.work.seconds, partial(tell, load, requests))
            begin += requests

    async def _warm_up(self) -> None:
        """A first answer of full length, and a second one that tells how long prompts become."""
        wanted = self._words = self.work.prompt_tokens
        whole = await self._ask(self.work.output_tokens, _WARMING, 0)
        self._words = wanted // 2
        half = await self._ask(1, _WARMING, 1)
        seen = whole.prompt_tokens or 0, half.prompt_tokens or 0
        self._words = fitted(wanted, (wanted, seen[0]), (wanted // 2, seen[1]))

    async def _ask(self, tokens: int, begin: int, number: int) -> Answer:
        text = prompt(begin + number, self._words)
        question = Question(self.work.kind, self.model, text, max_tokens=tokens, exact=True)
        return await self.client.ask(question)
