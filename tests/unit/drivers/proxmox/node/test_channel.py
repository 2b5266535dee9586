"""A channel over a command of the user's: a real shell here, with programs that play the node's."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from phoenix_hypervisor.drivers.proxmox.node.channel import Channel
from phoenix_hypervisor.drivers.proxmox.node.channels import Channels
from phoenix_hypervisor.drivers.proxmox.node.inside import Inside
from phoenix_hypervisor.drivers.proxmox.node.options import Options
from phoenix_hypervisor.drivers.proxmox.node.used import Used
from phoenix_hypervisor.drivers.proxmox.node.ways import Command
from phoenix_hypervisor.model.errors import (
    Conflict,
    Denied,
    NotFound,
    TimedOut,
    UnknownOutcome,
    Unreachable,
    Unsupported,
)

UPID = "UPID:pve1:00000833:00120CFE:6B024272:vzsnapshot:101:root@pam:"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The folder of the node's own programs; nobody here has to be root."""
    play(tmp_path, "id", "echo 0")
    return tmp_path


@pytest.fixture
async def channel(programs: Path) -> AsyncIterator[Channel]:
    way = Command(f"env PATH={programs}:/usr/bin:/bin sh", "pve1", "pve1")
    async with Channel("pve1", way, Used()) as made:
        yield made


def wait_for(mark: Path) -> None:
    while not mark.exists() or not mark.read_text():
        time.sleep(0.02)


def runs(pid: int) -> bool:
    """Whether a process is there and no mere leftover that nobody has asked for."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def play(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


class TestRun:
    async def test_gives_the_answer_and_notes_the_reason(self, channel: Channel) -> None:
        answer = await channel.run("cat; echo e >&2; exit 3", "a reason", stdin=b"in")
        assert (answer.status, answer.out, answer.err) == (3, b"in", b"e\n")
        await channel.run("true", "a reason")
        assert list(channel.used) == [("pve1", "a reason")]
        assert channel.used.times("pve1", "a reason") == 2

    async def test_a_few_run_side_by_side(self, channel: Channel) -> None:
        await asyncio.gather(*(channel.run("true", "opening") for _ in range(3)))
        started = time.monotonic()
        await asyncio.gather(*(channel.run("sleep 0.4", "slow") for _ in range(3)))
        assert time.monotonic() - started < 1.0

    async def test_one_that_is_cancelled_is_ended_there(
        self, channel: Channel, programs: Path
    ) -> None:
        mark = programs / "pid"
        work = asyncio.create_task(channel.run(f"echo $$ >{mark}; exec sleep 60", "long"))
        await asyncio.to_thread(wait_for, mark)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert not runs(int(mark.read_text()))
        assert (await channel.run("echo on", "after")).out == b"on\n"

    async def test_a_time_limit(self, channel: Channel) -> None:
        with pytest.raises(TimedOut):
            await channel.run("sleep 30", "slow", timeout_s=0.3)

    async def test_others_than_root_are_refused(self, channel: Channel, programs: Path) -> None:
        play(programs, "id", "echo 1000")
        with pytest.raises(Denied, match="gives a shell of user 1000, not of root") as caught:
            await channel.run("true", "why")
        assert caught.value.missing == "root"
        play(programs, "id", "echo 0")
        assert (await channel.run("true", "mended meanwhile")).ok

    async def test_a_command_for_another_node_never_works_on_a_wrong_one(
        self, programs: Path
    ) -> None:
        play(programs, "hostname", "echo pve1.example.com")
        command = f"env PATH={programs}:/usr/bin:/bin sh"
        async with Channels(Options(command=command), main="pve1", host="pve1") as channels:
            assert (await channels.of("pve1").run("true", "why")).ok
            with pytest.raises(Unreachable, match=r"leads to pve1\.example\.com, and not to pve2"):
                await channels.of("pve2").run("true", "why")

    async def test_no_way_at_all(self) -> None:
        async with Channel("pve1", Command("no-such-gate", "pve1", "pve1"), Used()) as channel:
            with pytest.raises(Unreachable, match="no-such-gate") as caught:
                await channel.run("true", "why")
        assert "echo id | no-such-gate" in caught.value.hint


class TestApi:
    async def test_gives_the_data(self, channel: Channel, programs: Path) -> None:
        play(programs, "pvesh", 'printf \'{"words":"%s"}\' "$*"')
        data = await channel.api("PUT", "/nodes/pve1/lxc/101/config", "bind mounts", dev0="/dev/x")
        words = "set /nodes/pve1/lxc/101/config --dev0=/dev/x --output-format json"
        assert data == {"words": words}

    async def test_a_refusal_is_the_apis_error(self, channel: Channel, programs: Path) -> None:
        play(programs, "pvesh", "echo 'CT 101 already exists on node pve1' >&2; exit 2")
        with pytest.raises(Conflict):
            await channel.api("POST", "/nodes/pve1/lxc", "why", vmid=101)

    async def test_a_task_that_ended_well_is_told_by_its_name(
        self, channel: Channel, programs: Path
    ) -> None:
        play(programs, "pvesh", task("OK"))
        assert await channel.api("POST", "/nodes/pve1/lxc/101/snapshot", "why") == UPID

    async def test_a_task_that_failed_is_an_error_though_pvesh_ends_well(
        self, channel: Channel, programs: Path
    ) -> None:
        play(programs, "pvesh", task("snapshot feature is not available"))
        with pytest.raises(Unsupported, match="snapshot feature") as caught:
            await channel.api("POST", "/nodes/pve1/lxc/101/snapshot", "why")
        assert "the task's log" in caught.value.detail

    async def test_a_machine_without_pvesh_is_no_node(self, channel: Channel) -> None:
        with pytest.raises(NotFound, match="has no pvesh"):
            await channel.api("GET", "/version", "why")

    async def test_a_write_that_broke_off_may_have_been_done(self, programs: Path) -> None:
        play(programs, "gate", f"echo $$ >{programs}/gate.pid; exec sh")
        play(programs, "pvesh", f"kill -9 $(cat {programs}/gate.pid)")
        way = Command(f"env PATH={programs}:/usr/bin:/bin {programs}/gate", "pve1", "pve1")
        async with Channel("pve1", way, Used()) as channel:
            with pytest.raises(UnknownOutcome):
                await channel.api("PUT", "/x", "why")
            with pytest.raises(Unreachable):
                await channel.api("GET", "/x", "why")


def task(exit_status: str) -> str:
    return f"""\
case $1 in
get) echo '{{"status":"stopped","exitstatus":"{exit_status}"}}' ;;
*) echo "the task's log" >&2; echo '"{UPID}"' ;;
esac"""


class TestInside:
    async def test_lxc_attach_with_a_clean_environment(
        self, channel: Channel, programs: Path
    ) -> None:
        play(programs, "lxc-attach", 'printf "%s " "$@"')
        ways = Inside(channel)
        vector = await ways.way_in(101)
        process = await asyncio.create_subprocess_exec(*vector, stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        words = out.decode().split()
        assert words[:3] == ["-n", "101", "--clear-env"]
        assert words[-2:] == ["--", "sh"]
        assert "HOME=/root" in words
        assert ("pve1", "commands inside lxc/101") in list(channel.used)

    async def test_pct_where_there_is_no_lxc_attach(self, channel: Channel) -> None:
        ways = Inside(channel)
        assert "pct exec 101 -- env -i PATH=" in " ".join(await ways.way_in(101))
        assert "--terminal" in await ways.terminal(101)
        asked = ("pve1", "looking for lxc-attach on the node")
        assert channel.used.times(*asked) == 1
