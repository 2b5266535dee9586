"""One guest as checks see it: its address from outside, and a shell inside."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.check import OUTPUT_LIMIT, Said
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.errors import CheckFailed
from phoenix_hypervisor.shell import Shell
from phoenix_hypervisor.shell.leftovers import CHECK, RUN_ENV

_SHELLS = 4


class GuestPlace:
    """A guest of a driver, for `model.check.Place`; use it with `async with`.

    Its addresses are read when it is entered, and again by `refresh`. Shells are opened when a
    check first needs one and kept for the next; leaving ends them.
    """

    def __init__(
        self,
        driver: Driver,
        guest: Address,
        lookup: Callable[[str], str],
        *,
        ip: str | None = None,
        run: str = "",
        shells: int = _SHELLS,
    ) -> None:
        """`ip` is the address to use, where the files say it; else the driver is asked. `run` is
        the id of the run that asks: commands in the guest bear it, so that a later run finds what
        a killed one left. At most `shells` scripts run in the guest at once.
        """
        self._env = {RUN_ENV: f"{run}.{CHECK}"} if run else {}
        self._driver = driver
        self._guest = guest
        self._lookup = lookup
        self._fixed = ip
        self._addresses: Sequence[str] = ()
        self._way_in: Sequence[str] | None = None
        self._idle: list[Shell] = []
        self._free = asyncio.Semaphore(shells)
        self._threads = ThreadPoolExecutor(shells, thread_name_prefix=f"check {guest}")

    async def __aenter__(self) -> Self:
        await self.refresh()
        return self

    async def __aexit__(self, *exc: object) -> None:
        for shell in self._idle:
            shell.close()
        self._idle.clear()
        self._threads.shutdown(wait=False)

    async def refresh(self) -> None:
        """Reads the guest's addresses anew, where the files do not say one."""
        if self._fixed is None:
            self._addresses = await self._driver.addresses(self._guest)

    @property
    def address(self) -> str:
        """The guest's IP address, v4 first. Raises `CheckFailed` where it has none."""
        if self._fixed is not None:
            return self._fixed
        if not self._addresses:
            raise CheckFailed(f"{self._guest} has no address")
        return self._addresses[0]

    @property
    def is_inside(self) -> bool:
        """Whether a shell is kept open in the guest just now."""
        return bool(self._idle)

    @property
    def lookup(self) -> Callable[[str], str]:
        """Gives a named secret's value."""
        return self._lookup

    async def inside(
        self, script: str, timeout_s: float, stdin: bytes = b"", *, keep: int = OUTPUT_LIMIT
    ) -> Said:
        """Runs a script as root in the guest; cancelled, it is ended there as well.

        Of each output `keep` bytes are kept, half of them from its beginning, half from its end.
        Raises `TimedOut` and `Unreachable`, and what the driver's `way_in` raises.
        """
        async with self._free:
            shell = self._idle.pop() if self._idle else await self._open()
            loop = asyncio.get_running_loop()
            work = loop.run_in_executor(
                self._threads,
                lambda: shell.run(script, timeout_s=timeout_s, stdin=stdin, keep=keep),
            )
            try:
                answer = await asyncio.shield(work)
            except asyncio.CancelledError:
                # Its thread must not outlive the one who waits for it.
                await loop.run_in_executor(None, shell.close)
                await asyncio.wait([work])
                work.exception()
                raise
            except BaseException:
                shell.close()
                raise
            self._idle.append(shell)
            return answer.said()

    async def _open(self) -> Shell:
        if self._way_in is None:
            self._way_in = await self._driver.way_in(self._guest)
        return Shell(self._way_in, env=self._env, name=self._guest)
