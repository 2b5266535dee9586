"""The lock of a stack on a node, with shells of this machine as the node's."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from phoenix_hypervisor.drivers.proxmox import nodelock
from phoenix_hypervisor.drivers.proxmox.node.channel import Channel
from phoenix_hypervisor.drivers.proxmox.node.used import Used
from phoenix_hypervisor.drivers.proxmox.node.ways import Local
from phoenix_hypervisor.model.driver import Run
from phoenix_hypervisor.model.errors import StackBusy, UnknownOutcome

RUN = Run(id="1", who="ada", command="phoenix apply")
OTHER = Run(id="2", who="bob", command="phoenix apply")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the node's shells are root's")


class Telling(Local):
    """Runs a program that writes down its process id, then becomes the command."""

    def __init__(self, folder: Path) -> None:
        super().__init__(is_root=True)
        self.file = folder / "pid"

    def inside(self, *command: str) -> tuple[str, ...]:
        return ("sh", "-c", 'echo $$ >"$0"; exec "$@"', str(self.file), *command)

    def pid(self) -> int:
        return int(self.file.read_text())


@pytest.fixture
def way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Telling:
    monkeypatch.setattr(nodelock, "_FOLDER", str(tmp_path / "locks"))
    return Telling(tmp_path)


@pytest.fixture
async def channel(way: Telling) -> AsyncIterator[Channel]:
    async with Channel("pve1", way, Used()) as opened:
        yield opened


async def test_it_is_held_and_given_back(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodelock, "_PAUSE_S", 0.02)
    monkeypatch.setattr(nodelock, "_SILENCE_S", 1)
    async with nodelock.hold(channel, "shop", RUN) as held:
        assert held.broken_off == []
        await asyncio.sleep(1.5)  # longer than the shell there would wait in silence
        with pytest.raises(StackBusy, match="`phoenix apply` by ada"):
            async with nodelock.hold(channel, "shop", OTHER):
                pytest.fail("two hold one stack")
    async with nodelock.hold(channel, "shop", OTHER) as held:
        assert held.broken_off == []


@pytest.mark.parametrize("begun", [False, True])
async def test_who_is_cancelled_is_known_only_if_it_had_begun(
    channel: Channel, *, begun: bool
) -> None:
    async def is_cancelled() -> None:
        async with nodelock.hold(channel, "shop", RUN) as held:
            held.begun = begun
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await is_cancelled()
    async with nodelock.hold(channel, "shop", OTHER) as held:
        assert [one.id for one in held.broken_off] == ["1"] * begun
    async with nodelock.hold(channel, "shop", OTHER) as held:
        assert [one.id for one in held.broken_off] == ["1"] * begun  # nobody has settled it
        held.broken_off.clear()
    async with nodelock.hold(channel, "shop", OTHER) as held:
        assert held.broken_off == []


@pytest.mark.parametrize("swallows", [False, True])
async def test_who_loses_it_is_stopped(channel: Channel, way: Telling, *, swallows: bool) -> None:
    """An apply takes the cancellation, and ends what it runs in order."""
    stopped = False

    async def lose_it() -> None:
        nonlocal stopped
        async with asyncio.timeout(10), nodelock.hold(channel, "shop", RUN) as held:
            held.begun = True
            os.kill(way.pid(), signal.SIGKILL)
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                stopped = True
                if not swallows:
                    raise

    with pytest.raises(UnknownOutcome, match="held the lock of the stack shop broke"):
        await lose_it()
    assert stopped
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_shell_that_does_not_answer_counts_as_lost(
    channel: Channel, way: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodelock, "_PAUSE_S", 0.02)
    monkeypatch.setattr(nodelock, "_ANSWER_S", 0.3)

    async def stop_it() -> None:
        async with nodelock.hold(channel, "shop", RUN):
            os.kill(way.pid(), signal.SIGSTOP)
            try:
                await asyncio.sleep(30)
            finally:
                os.kill(way.pid(), signal.SIGCONT)

    with pytest.raises(UnknownOutcome):
        await stop_it()


async def test_the_shell_there_ends_when_it_hears_nothing(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the holder's machine loses its power: no connection is closed."""
    monkeypatch.setattr(nodelock, "_SILENCE_S", 1)

    async def silent(_process: asyncio.subprocess.Process) -> bool:
        await asyncio.sleep(30)
        return False

    monkeypatch.setattr(nodelock, "_answers", silent)
    async with nodelock.hold(channel, "shop", RUN) as held:
        held.begun = True
        await asyncio.sleep(1.3)
        async with nodelock.hold(channel, "shop", OTHER) as other:
            assert [one.id for one in other.broken_off] == ["1"]


def test_a_loss_is_known_before_another_can_hold_it() -> None:
    assert nodelock._PAUSE_S + nodelock._ANSWER_S < nodelock._SILENCE_S
