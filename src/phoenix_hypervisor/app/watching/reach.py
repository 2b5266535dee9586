"""Notices between two questions that a guest's network is gone: it is knocked at all the time.

A knock is a connection to a port where nobody has to listen: a refusal is an answer as well.
Silence says nothing by itself, since a firewall may be silent; only of a guest that was heard
before it is a reason to look. Source: RFC 9293, 3.5.2 (a reset answers what no connection is for).
"""

import asyncio
from collections.abc import Callable, Mapping

from phoenix_hypervisor.model.address import Address

_PORT = 9
"""Discard (RFC 863)."""
_EVERY_S = 2.0
_PAUSE_S = 0.02
"""Where there are more than a hundred guests, one knock in so many seconds."""
_ENOUGH = 30
_LATE_S = 1.2
"""A first packet that was lost is sent again after a second: RFC 6298, 2."""


class Reach:
    """Knocks at guests that run, by their addresses."""

    def __init__(
        self,
        hosts: Mapping[Address, str],
        runs: Callable[[Address], bool],
        silent: Callable[[Address], None],
        port: int = _PORT,
    ) -> None:
        """`silent` is told of one that was heard before and is not any more, again and again."""
        self._hosts = hosts
        self._runs = runs
        self._silent = silent
        self._port = port
        self._heard: set[Address] = set()
        self._silences = dict.fromkeys(hosts, 0)

    async def run(self) -> None:
        """Knocks until it is cancelled; never at one guest twice at once."""
        pause = max(_EVERY_S, _PAUSE_S * len(self._hosts))
        async with asyncio.TaskGroup() as group:
            for number, (address, host) in enumerate(self._hosts.items()):
                late_s = pause * number / len(self._hosts)
                group.create_task(self._knock_again(address, host, pause, late_s))

    async def _knock_again(
        self, address: Address, host: str, every_s: float, late_s: float
    ) -> None:
        await asyncio.sleep(late_s)
        while True:
            if not self._runs(address):
                self._heard.discard(address)
            elif await _answers(host, self._port):
                self._heard.add(address)
                self._silences[address] = 0
            elif address in self._heard and self._runs(address):
                self._silences[address] += 1
                self._silent(address)
                if self._silences[address] >= _ENOUGH:  # a firewall is silent since
                    self._heard.discard(address)
            await asyncio.sleep(every_s)


async def _answers(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_LATE_S):
            _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return True
    except OSError:  # also a TimeoutError
        return False
    writer.close()
    return True
