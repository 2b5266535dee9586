"""Tasks: waited for to their end, which is told with its log; lost and hanging ones too."""

import asyncio
import time

import pytest
from tests.support import pve

from phoenix_hypervisor.drivers.proxmox.api import tasks
from phoenix_hypervisor.drivers.proxmox.api.paths import path
from phoenix_hypervisor.model.errors import (
    Conflict,
    Denied,
    DriverError,
    Locked,
    NotFound,
    TimedOut,
    UnknownOutcome,
    Unsupported,
)

UPID = "UPID:pve1:00000104:000856C3:6B021221:vzcreate:101:lab@pve!ci:"


def test_what_a_name_tells() -> None:
    task = tasks.Task.read(UPID)
    assert (task.node, task.pid, task.started) == ("pve1", 0x104, 0x6B021221)
    assert (task.type, task.id, task.user) == ("vzcreate", "101", "lab@pve!ci")
    assert str(task) == "vzcreate 101"
    assert str(tasks.Task.read(UPID.replace(":101:", "::"))) == "vzcreate"


@pytest.mark.parametrize("data", [None, "", "100", 5, [UPID], UPID[:-1], "x" + UPID])
def test_what_is_no_name(data: object) -> None:
    assert not tasks.is_upid(data)


def test_another_text_is_not_read() -> None:
    with pytest.raises(DriverError, match="not the name of a task"):
        tasks.Task.read("UPID:pve1:oops")


async def idle(double: pve.Pve, secs: float = 5, vmid: int = 2200, user: str = "root@pam") -> str:
    """A task that runs for 0.02 real seconds per second."""
    return str(await double.do("task", node="pve1", kind="vzdump", vmid=vmid, secs=secs, user=user))


async def test_the_end_is_waited_for(double: pve.Pve) -> None:
    async with double.api() as api:
        begun = time.monotonic()
        await api.wait(await idle(double, 20))
        assert 0.4 <= time.monotonic() - begun < 1.2


async def test_a_long_task_is_asked_with_growing_pauses(double: pve.Pve) -> None:
    async with double.api() as api:
        upid = await idle(double, 200)  # 4 s; with pauses as short as the first, 50 questions
        await double.forget()
        await api.wait(upid)
    polls = len((await double.asked()).of("GET", "/status"))
    assert 10 <= polls <= 38


async def test_a_failed_task_tells_its_log(double: pve.Pve) -> None:
    await double.container(2201, config={"net0": "name=eth0,bridge=vmbr9"})
    async with double.api() as api:
        with pytest.raises(NotFound, match="bridge 'vmbr9' does not exist") as caught:
            await api.run("POST", path("nodes", "pve1", "lxc", 2201, "status", "start"))
    assert "TASK ERROR: bridge 'vmbr9' does not exist" in caught.value.detail
    assert ":vzstart:2201:" in caught.value.detail


async def test_kinds_of_failures(double: pve.Pve) -> None:
    here = ("nodes", "pve1", "lxc")
    await double.container(2202, lock="backup")
    await double.container(2203, config={"mp0": "/srv,mp=/srv"})
    await double.container(2204)
    async with double.api() as api:
        with pytest.raises(Locked, match=r"CT is locked \(backup\)"):
            await api.run("POST", path(*here, 2202, "status", "start"))
        with pytest.raises(Unsupported, match="snapshot feature is not available"):
            await api.run("POST", path(*here, 2203, "snapshot"), snapname="configured")
        await api.run("POST", path(*here, 2204, "snapshot"), snapname="configured")
        with pytest.raises(Conflict, match="already used"):
            await api.run("POST", path(*here, 2204, "snapshot"), snapname="configured")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("unexpected status", UnknownOutcome),
        ("interrupted by signal", UnknownOutcome),
        ("No space left on device", DriverError),
        ("", DriverError),
    ],
)
async def test_other_ends(double: pve.Pve, status: str, kind: type[DriverError]) -> None:
    upid = await idle(double, 0)
    await double.do("end_task", upid=upid, exitstatus=status, log=["one", "two"])
    async with double.api() as api:
        with pytest.raises(DriverError) as caught:
            await api.wait(upid)
    assert type(caught.value) is kind
    assert caught.value.detail.endswith("one\ntwo")


async def test_warnings_are_told(double: pve.Pve) -> None:
    upid = await idle(double, 0)
    log = ["extracting", "WARN: old systemd", "TASK WARNINGS: 1"]
    await double.do("end_task", upid=upid, exitstatus="WARNINGS: 1", log=log)
    told: list[str] = []
    async with double.api() as api:
        await api.wait(upid, told.append)
        await api.wait(upid)
    assert told == ["WARN: old systemd"]


async def test_progress_of_a_long_task_is_told(
    double: pve.Pve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_TELL_EVERY_S", 0.1)
    told: list[str] = []
    async with double.api() as api:
        await double.container(2205)
        upid = await double.call("backup", 2205, secs=30)
        await api.wait(upid, told.append)
    assert told[0] == "INFO: starting new backup job: vzdump 2205"
    assert "TASK OK" not in told


async def test_a_log_of_many_lines_is_read_to_its_end(double: pve.Pve) -> None:
    upid = await idle(double, 0)
    log = [f"line {n}" for n in range(1200)]
    await double.do("end_task", upid=upid, exitstatus="failed", log=log)
    async with double.api() as api:
        with pytest.raises(DriverError) as caught:
            await api.wait(upid)
    assert caught.value.detail.endswith("line 1198\nline 1199")


async def test_a_task_that_hangs_is_left_running(double: pve.Pve) -> None:
    upid = await idle(double, 1000)
    async with double.api() as api:
        with pytest.raises(TimedOut, match="vzdump 2200 has not ended within 0 s") as caught:
            await api.wait(upid, limit_s=0.3)
        assert f"pvenode task log {upid}" in caught.value.hint
        assert (await api.get(path("nodes", "pve1", "tasks", upid, "status")))[
            "status"
        ] == "running"
        assert upid in {one.upid for one in await api.active("pve1", 2200)}
    assert not (await double.asked()).of("DELETE")


async def test_the_daemons_may_go_away_while_a_task_runs(double: pve.Pve) -> None:
    async with double.api(pause_s=0.001) as api:
        upid = await idle(double, 10)
        for status in (595, 596, 599, 502):
            await double.answer("GET", "/status", status, times=7, html=status == 502)
        await double.drop("GET", "/status", times=7)
        await api.wait(upid)


async def test_daemons_that_stay_away(double: pve.Pve) -> None:
    async with double.api(pause_s=0.001) as api:
        upid = await idle(double, 1)
        await double.answer("GET", "/status", 596, times=None)
        with pytest.raises(TimedOut, match=r"does not answer any more: .*596"):
            await api.wait(upid, limit_s=0.3)


async def test_a_task_that_the_node_forgot(double: pve.Pve) -> None:
    upid = await idle(double, 20)
    async with double.api() as api:
        waiting = asyncio.create_task(api.wait(upid))
        await asyncio.sleep(0.1)
        await double.do("forget_task", upid=upid)
        with pytest.raises(UnknownOutcome, match="knows nothing of the task vzdump 2200"):
            await waiting


async def test_a_task_that_may_not_be_seen(double: pve.Pve) -> None:
    token = await double.token("VM.Audit", token_id="blind@pve!t")
    upid = await idle(double, 0)
    async with double.api(token) as api:
        with pytest.raises(Denied) as caught:
            await api.wait(upid)
    assert caught.value.missing == "Sys.Audit on /nodes/pve1"


async def test_running_tasks_of_a_guest(double: pve.Pve) -> None:
    async with double.api() as api:
        assert await api.active("pve1", 2210) == ()
        ended = await idle(double, 0, 2210)
        await api.wait(ended)
        first = await idle(double, 50, 2210)
        other = await idle(double, 50, 2211)
        found = await api.active("pve1", 2210)
        assert [one.upid for one in found] == [first]
        assert (found[0].type, found[0].id) == ("vzdump", "2210")
        assert other not in {one.upid for one in found}
    request = (await double.asked()).of("GET", "/tasks")[0]
    assert request.query["source"] == "active"
