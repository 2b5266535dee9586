"""Knocking at guests: a refusal is an answer, and silence counts only of those heard before."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from phoenix_hypervisor.app.watching import reach
from phoenix_hypervisor.app.watching.reach import Reach
from phoenix_hypervisor.model.address import Address, lxc

A, B = lxc(101), lxc(102)
HOSTS = {A: "127.0.0.1", B: "127.0.0.2"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "_EVERY_S", 0.05)
    monkeypatch.setattr(reach, "_LATE_S", 0.2)


def full() -> list[socket.socket]:
    """Takes all connections that a port of B will ever take: what comes now is left waiting."""
    server = socket.create_server(("127.0.0.2", 0), backlog=0)
    port = server.getsockname()[1]
    held = [server]
    for _ in range(4):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(("127.0.0.2", port))
        held.append(one)
    return held


@asynccontextmanager
async def knocking(
    port: int, runs: Callable[[Address], bool] = lambda _: True
) -> AsyncIterator[tuple[Reach, list[Address]]]:
    silent: list[Address] = []
    found = Reach(HOSTS, runs, silent.append, port)
    task = asyncio.create_task(found.run())
    try:
        yield found, silent
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_silence_of_one_that_was_never_heard_says_nothing() -> None:
    held = full()
    try:
        async with knocking(held[0].getsockname()[1]) as (found, silent):
            await asyncio.sleep(0.6)
            assert found._heard == {A}  # a refusal
            assert silent == []
    finally:
        for one in held:
            one.close()


async def test_one_that_was_heard_and_is_silent_now_is_told() -> None:
    held = full()
    ceased: set[Address] = set()
    try:
        port = held[0].getsockname()[1]
        async with knocking(port, lambda address: address not in ceased) as (found, silent):
            await asyncio.sleep(0.1)
            found._heard.add(B)
            await asyncio.sleep(1)
            assert len(silent) > 1
            assert set(silent) == {B}
            ceased.add(B)  # of one that does not run nothing is expected
            await asyncio.sleep(0.5)
            assert found._heard == {A}
    finally:
        for one in held:
            one.close()
