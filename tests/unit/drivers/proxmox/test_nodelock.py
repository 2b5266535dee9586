"""The lock of a stack on a node, with shells of this machine as the node's."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from phoenix_hypervisor.drivers import shelllock
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
    monkeypatch.setattr(shelllock, "_FOLDER", str(tmp_path / "locks"))
    return Telling(tmp_path)


@pytest.fixture
async def channel(way: Telling) -> AsyncIterator[Channel]:
    async with Channel("pve1", way, Used()) as opened:
        yield opened


async def test_it_is_held_and_given_back(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelllock, "_PAUSE_S", 0.02)
    monkeypatch.setattr(shelllock, "_SILENCE_S", 1)
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
    monkeypatch.setattr(shelllock, "_PAUSE_S", 0.02)
    monkeypatch.setattr(shelllock, "_ANSWER_S", 0.3)

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
    monkeypatch.setattr(shelllock, "_SILENCE_S", 1)

    async def silent(_lock: object) -> bool:
        await asyncio.sleep(30)
        return False

    monkeypatch.setattr(shelllock._Lock, "answers", silent)
    async with nodelock.hold(channel, "shop", RUN) as held:
        held.begun = True
        await asyncio.sleep(1.3)
        async with nodelock.hold(channel, "shop", OTHER) as other:
            assert [one.id for one in other.broken_off] == ["1"]


CUTTING = Run(id="1", who="ada", command="phoenix host apply", cuts=True)


async def test_who_cuts_its_own_connection_takes_it_again(
    channel: Channel, way: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelllock, "_PAUSE_S", 0.02)
    async with nodelock.hold(channel, "shop", CUTTING) as held:
        held.begun = True
        first = way.pid()
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(10):
            while way.pid() == first:  # noqa: ASYNC110 - what changes is another process's file
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        with pytest.raises(StackBusy, match="`phoenix host apply` by ada"):
            async with nodelock.hold(channel, "shop", OTHER):
                pytest.fail("two hold one stack")
    async with nodelock.hold(channel, "shop", OTHER) as held:
        assert held.broken_off == []


async def test_who_cuts_its_own_connection_waits_for_the_machine(
    channel: Channel, way: Telling, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As by a restart: the machine is gone for a while, and has forgotten all locks."""
    monkeypatch.setattr(shelllock, "_AGAIN_S", 0.05)
    async with nodelock.hold(channel, "shop", CUTTING):
        monkeypatch.setattr(way, "inside", lambda *_: ("false",))
        os.kill(way.pid(), signal.SIGKILL)
        await asyncio.sleep(0.5)
        (tmp_path / "locks/phoenix-shop.lock").unlink()
        monkeypatch.undo()
        monkeypatch.setattr(shelllock, "_FOLDER", str(tmp_path / "locks"))
        async with asyncio.timeout(10):
            while "ada" not in _text(tmp_path):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)
    assert json.loads(_text(tmp_path)) == {"ended": "1", "before": []}


async def test_who_finds_that_another_one_was_there_meanwhile_stops(
    channel: Channel, way: Telling, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What it goes on with was planned before the other one's work."""

    async def lose_it() -> None:
        async with asyncio.timeout(20), nodelock.hold(channel, "shop", CUTTING) as held:
            held.begun = True
            monkeypatch.setattr(way, "inside", lambda *_: ("false",))
            os.kill(way.pid(), signal.SIGKILL)
            await asyncio.sleep(0.3)
            monkeypatch.undo()
            monkeypatch.setattr(shelllock, "_FOLDER", str(tmp_path / "locks"))
            async with nodelock.hold(channel, "shop", OTHER) as other:
                other.broken_off.clear()  # as for a host: what they left is found by looking
            await asyncio.sleep(15)

    with pytest.raises(UnknownOutcome, match="held the lock of the stack shop broke"):
        await lose_it()


async def test_who_finds_another_one_at_work_stops(
    channel: Channel, way: Telling, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stopped = False

    async def lose_it() -> None:
        nonlocal stopped
        async with asyncio.timeout(20), nodelock.hold(channel, "shop", CUTTING) as held:
            held.begun = True
            monkeypatch.setattr(way, "inside", lambda *_: ("false",))
            os.kill(way.pid(), signal.SIGKILL)
            await asyncio.sleep(0.3)
            monkeypatch.undo()
            monkeypatch.setattr(shelllock, "_FOLDER", str(tmp_path / "locks"))
            async with nodelock.hold(channel, "shop", OTHER):
                try:
                    await asyncio.sleep(15)
                except asyncio.CancelledError:
                    stopped = True
                    raise

    with pytest.raises(UnknownOutcome, match="held the lock of the stack shop broke"):
        await lose_it()
    assert stopped


def _text(folder: Path) -> str:
    path = folder / "locks/phoenix-shop.lock"
    return path.read_text() if path.exists() else ""


def test_a_loss_is_known_before_another_can_hold_it() -> None:
    assert shelllock._PAUSE_S + shelllock._ANSWER_S < shelllock._SILENCE_S
