"""Who stopped a guest: a person's stop is a task with its user, a guest's own end is none."""

from collections.abc import Sequence
from typing import Any

import pytest
from tests.conformance.double import DoubleKit
from tests.unit.drivers.proxmox.double.worlds import made

from phoenix_hypervisor.drivers.proxmox import privileges
from phoenix_hypervisor.drivers.proxmox.permissions import Permissions
from phoenix_hypervisor.drivers.proxmox.state import State
from phoenix_hypervisor.drivers.proxmox.stopping import asker, who_stopped
from phoenix_hypervisor.model.driver import TellsWhoStopped
from phoenix_hypervisor.model.errors import Denied


async def test_a_persons_stop_is_told_and_a_guests_own_end_is_not(kit: DoubleKit) -> None:
    await kit.double.token(*privileges.BASE)
    guest = kit.guest(1)
    await made(kit, guest)
    async with kit.open() as driver:
        assert isinstance(driver, TellsWhoStopped)
        await kit.double.set_guest(guest.id, status="stopped")
        assert await driver.who_stopped(guest.address) is None
        await driver.start(guest, lambda _: None)
        there = await kit.double.guest(guest.id)
        assert there is not None
        async with kit.double.api() as root:
            where = f"/nodes/{there['node']}/lxc/{guest.id}/status/stop"
            await root.run("POST", where, None, 10.0)
        assert await driver.who_stopped(guest.address) == "root@pam"


async def test_without_sight_of_others_tasks_it_is_not_guessed(kit: DoubleKit) -> None:
    guest = State(kit.guest(1).address, "pve1", {})
    async with kit.double.api() as api:
        with pytest.raises(Denied, match="can't be seen") as told:
            await who_stopped(api, guest, Permissions({"/": {"VM.Audit": 1}}))
    assert told.value.detail == "missing: Sys.Audit on /nodes/pve1"


async def test_a_guest_that_a_backup_holds_is_not_said_to_have_stopped_by_itself(
    kit: DoubleKit,
) -> None:
    await kit.double.token(*privileges.BASE)
    guest = kit.guest(1)
    await made(kit, guest)
    async with kit.open() as driver:
        assert isinstance(driver, TellsWhoStopped)
        await kit.double.set_guest(guest.id, status="stopped", config={"lock": "backup"})
        assert await driver.who_stopped(guest.address) == "a task that holds its lock (backup)"


def task(kind: str, at: int, status: str | None = "OK") -> dict[str, Any]:
    ended = {} if status is None else {"endtime": at + 1, "status": status}
    return {"type": kind, "starttime": at, "user": f"user{at}@pam", **ended}


@pytest.mark.parametrize(
    ("tasks", "who"),
    [
        ([], None),
        ([task("vzstart", 1), task("vzstop", 2)], "user2@pam"),
        ([task("qmshutdown", 3), task("qmstart", 1)], "user3@pam"),
        ([task("vzstop", 1), task("vzstart", 2)], None),
        ([task("vzstart", 1), task("vzstop", 1)], "user1@pam"),
        ([task("vzstart", 1), task("vzshutdown", 2, "command failed"), task("vzdump", 3)], None),
        ([task("vzstart", 1), task("vzshutdown", 2, None)], "user2@pam"),
        ([task("vzstart", 1), task("vzstop", 2, "WARNINGS: 1")], "user2@pam"),
        ([task("vzstart", 1), task("vzrollback", 2)], "user2@pam"),
        ([task("qmstart", 1), task("qmrollback", 2)], "user2@pam"),
        ([task("qmstart", 1), task("qmrollback", 2, "no such snapshot")], None),
        (
            [task("qmstart", 1), task("qmshutdown", 2, "VM quit/powerdown failed - got timeout")],
            "user2@pam",
        ),
        ([task("vzstart", 1), task("vzstop", 2, "got timeout")], None),
        ([task("vzstart", 1), task("vzdump", 2)], None),
    ],
)
def test_tasks_are_read(tasks: Sequence[dict[str, Any]], who: str | None) -> None:
    assert asker(tasks) == who
