"""A client that asks at a steady pace, whatever becomes of its questions, and keeps the answers."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp


@dataclass(frozen=True)
class Reply:
    """One answer. Times in seconds; `lost` says why there is none."""

    at: float
    took: float
    text: str = ""
    lost: str = ""


@dataclass
class Client:
    """Questions to one address, each on a connection of its own, as of many clients."""

    url: str
    per_s: float = 25
    patience_s: float = 10
    method: str = "GET"
    replies: list[Reply] = field(default_factory=list)

    @contextmanager
    def asking(self) -> Iterator["Client"]:
        """Asks from a thread of its own until the block ends, and waits for the last answers."""
        end = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._ask(end)))
        thread.start()
        try:
            yield self
        finally:
            end.set()
            thread.join(self.patience_s + 30)

    async def _ask(self, end: threading.Event) -> None:
        begin = time.monotonic()
        limit = aiohttp.ClientTimeout(self.patience_s)
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        async with (
            aiohttp.ClientSession(timeout=limit, connector=connector) as session,
            asyncio.TaskGroup() as group,
        ):
            number = 0
            while not end.is_set():
                group.create_task(self._one(session))
                number += 1
                await asyncio.sleep(max(0.0, begin + number / self.per_s - time.monotonic()))

    async def _one(self, session: aiohttp.ClientSession) -> None:
        at = time.monotonic()
        text = lost = ""
        try:
            async with session.request(self.method, self.url) as reply:
                text = await reply.text()
                lost = "" if reply.status == 200 else f"status {reply.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            lost = f"{type(error).__name__}: {error}"
        self.replies.append(Reply(at, time.monotonic() - at, text, lost))

    @property
    def lost(self) -> list[str]:
        """Why questions were not answered."""
        return [reply.lost for reply in self.replies if reply.lost]

    @property
    def slowest_s(self) -> float:
        """The longest that an answer took."""
        return max(reply.took for reply in self.replies)

    def texts(self) -> set[str]:
        """All different answers."""
        return {reply.text.strip() for reply in self.replies if not reply.lost}
