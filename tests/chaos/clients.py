"""Clients that ask all endpoints ten times a second from outside of the guests, and keep count.

Each question has a connection of its own, as of many clients, and none waits for the one before.
"""

import asyncio
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import aiohttp

PER_S = 10
QUIET_S = 3.0
"""So long all questions have to be answered until an endpoint counts as well again."""
_HANGS_S = 1.0
_JOIN_S = 30.0


@dataclass(frozen=True)
class Endpoint:
    """What is asked. `stack` is whose faults concern it; `contains` is in each good answer.

    A question without an answer within `patience_s` is lost. `kept_by_replicas`: none may be lost,
    whatever happens to a replica behind it.
    """

    title: str
    stack: str
    url: str
    contains: str
    headers: Mapping[str, str] = field(default_factory=dict)
    patience_s: float = 2.0
    kept_by_replicas: bool = False


class Reply(NamedTuple):
    """What became of a question. `at` is Unix time, `took` in seconds; `lost` says why it was."""

    at: float
    took: float
    lost: str

    @property
    def end(self) -> float:
        """When that was known."""
        return self.at + self.took


class _Asked:
    """One endpoint's questions."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.open: set[float] = set()


class Clients:
    """Asks from a thread of its own while its block lasts, and waits for the last answers."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self.endpoints = tuple(endpoints)
        self._asked = {each.title: _Asked() for each in endpoints}
        self._end = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._end.set()
        self._thread.join(_JOIN_S)

    def replies(self, endpoint: Endpoint) -> Sequence[Reply]:
        """All so far."""
        return tuple(self._asked[endpoint.title].replies)

    def ill(self, stacks: Collection[str]) -> list[str]:
        """Endpoints of these stacks that lose questions, or hang, or did so a moment ago."""
        return [
            one.title for one in self.endpoints if one.stack in stacks and not self._is_well(one)
        ]

    def _is_well(self, endpoint: Endpoint) -> bool:
        now, asked = time.time(), self._asked[endpoint.title]
        if any(now - at > _HANGS_S for at in tuple(asked.open)):
            return False
        recent = _after(asked.replies, now - QUIET_S)
        return len(recent) > PER_S * QUIET_S / 2 and not any(one.lost for one in recent)

    async def _ask(self) -> None:
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            asyncio.TaskGroup() as group,
        ):
            for number, endpoint in enumerate(self.endpoints):
                moved_s = number / len(self.endpoints) / PER_S
                group.create_task(self._pace(session, group, endpoint, moved_s))

    async def _pace(
        self,
        session: aiohttp.ClientSession,
        group: asyncio.TaskGroup,
        endpoint: Endpoint,
        moved_s: float,
    ) -> None:
        begin, number = time.monotonic() + moved_s, 0
        while not self._end.is_set():
            await asyncio.sleep(max(0.0, begin + number / PER_S - time.monotonic()))
            group.create_task(self._one(session, endpoint))
            number += 1

    async def _one(self, session: aiohttp.ClientSession, endpoint: Endpoint) -> None:
        asked = self._asked[endpoint.title]
        at, begun, lost = time.time(), time.monotonic(), ""
        asked.open.add(at)
        limit = aiohttp.ClientTimeout(endpoint.patience_s)
        try:
            async with session.get(endpoint.url, headers=endpoint.headers, timeout=limit) as reply:
                text = await reply.text()
                if reply.status != 200:
                    lost = f"status {reply.status}"
                elif endpoint.contains not in text:
                    lost = "another answer"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            lost = type(error).__name__
        asked.replies.append(Reply(at, time.monotonic() - begun, lost))
        asked.open.discard(at)


def _after(replies: Sequence[Reply], moment: float) -> list[Reply]:
    """The last ones, that ended since then. They stand in the order of their ends."""
    found: list[Reply] = []
    for one in _backwards(replies):
        if one.end < moment:
            break
        found.append(one)
    return found


def _backwards(replies: Sequence[Reply]) -> Iterable[Reply]:
    return (replies[index] for index in range(len(replies) - 1, -1, -1))
