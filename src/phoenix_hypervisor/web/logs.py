"""What a guest's services say, without secrets.

A guest that hangs costs only those who look into it: threads are its own, few, and one reading of
a guest is for all who look.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.errors import NotFound, PhoenixError, Unsupported
from phoenix_hypervisor.model.observed import SeenGuest
from phoenix_hypervisor.shell import Answer, Shell

if TYPE_CHECKING:
    from phoenix_hypervisor.web.desk import Desk

_OPEN_S, _LIMIT_S = 10.0, 15.0
_MOST = 512 * 1024
_AT_ONCE = 2
_SHARED_S = 2.0
MOST_LINES = 2000
_FEW_LINES = 200
"""A reading is of so many lines or of `MOST_LINES`: who asks for others can't queue more."""
Key = tuple[Address, int]


class Logs:
    """Reads logs of a desk's guests. A reading goes on when those leave who asked for it: it ends
    by itself, and to end it before that could take as long.
    """

    def __init__(self, desk: "Desk") -> None:
        self._desk = desk
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._readings: dict[Key, asyncio.Task[list[str]]] = {}
        self._ended: dict[Key, float] = {}

    async def last_lines(self, address: Address, lines: int) -> list[str]:
        """The last lines of a guest's journal; of one that doesn't run, of its console.

        They are at most two seconds old, and `lines` at most `MOST_LINES`. Raises `PhoenixError`
        where there is nothing to look into.
        """
        key = (address, _FEW_LINES if lines <= _FEW_LINES else MOST_LINES)
        self._forget_old()
        if key not in self._readings:
            self._readings[key] = asyncio.create_task(self._read(key))
            self._readings[key].add_done_callback(_known)
        return (await asyncio.shield(self._readings[key]))[-lines:]

    def _forget_old(self) -> None:
        oldest = time.monotonic() - _SHARED_S
        for key in [key for key, at in self._ended.items() if at < oldest]:
            del self._ended[key], self._readings[key]

    async def _read(self, key: Key) -> list[str]:
        address, lines = key
        try:
            async with self._slots, self._desk.session(kept=True) as session:
                text = await self._said(session, address, lines)
                return session.hiding(address)(text).splitlines()[-lines:]
        finally:
            self._ended[key] = time.monotonic()

    async def _said(self, session: Session, address: Address, lines: int) -> str:
        if not session.driver.has_inside:
            raise Unsupported(
                f"on {session.driver.name} guests have no inside: nothing real was made"
            )
        guests = (await self._desk.look()).guests
        found = next((one.seen for one in guests if one.address == address), None)
        seen = _ours(session, address, found)
        if seen.state == "stopped":
            return await session.driver.console(address, lines)
        script = f"exec journalctl --no-pager --no-hostname -o short-iso --lines={lines}"
        way_in = await session.driver.way_in(address)

        def run() -> Answer:
            with Shell(way_in, name=address, open_s=_OPEN_S) as shell:
                return shell.run(script, timeout_s=_LIMIT_S, keep=_MOST)

        said = await _aside(run)
        return said.out.decode(errors="replace")


async def _aside(read: Callable[[], Answer]) -> Answer:
    """Reads in a thread that nobody waits for at the end of the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Answer] = loop.create_future()

    def tell(said: Answer | Exception) -> None:
        if done.done():
            return
        if isinstance(said, Exception):
            done.set_exception(said)
        else:
            done.set_result(said)

    def work() -> None:
        try:
            said: Answer | Exception = read()
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            said = error
        with suppress(RuntimeError):  # the process ends, and nobody asks any more
            loop.call_soon_threadsafe(tell, said)

    threading.Thread(target=work, name="logs", daemon=True).start()
    return await done


def _ours(session: Session, address: Address, seen: SeenGuest | None) -> SeenGuest:
    if seen is None:
        raise NotFound(f"{address} is not there", hint="apply a plan: that makes it")
    if seen.stack != session.desired.stack:
        raise PhoenixError(f"{address} was not made by this stack: it is left alone")
    return seen


def _known(reading: asyncio.Task[list[str]]) -> None:
    """Nobody may be left who would be told how it ended."""
    if not reading.cancelled():
        reading.exception()
