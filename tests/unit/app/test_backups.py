"""Proving a backup: whatever happens, the spare guest goes, and the guest itself is left alone."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.unit.apply.nodes import Node, WithInside
from tests.unit.plan.worlds import desired, plain

from phoenix_hypervisor.app import backups
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.config.secrets import Secrets
from phoenix_hypervisor.model.address import Address, lxc, vm
from phoenix_hypervisor.model.backup import Backup, RunInside
from phoenix_hypervisor.model.check import Check, Said
from phoenix_hypervisor.model.desired import Desired, Guest, Host
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import DriverError, UsageError
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.backups import BackupJob, Backups
from phoenix_hypervisor.model.observed import Observed, SeenGuest
from phoenix_hypervisor.verify.checks.command import Command
from phoenix_hypervisor.verify.checks.http import Http
from phoenix_hypervisor.verify.checks.tcp import Tcp

WHEN = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
CHECKS: tuple[Check, ...] = (
    Command(command="true", name="it is well"),
    Tcp(port=80, address="192.0.2.1", name="somebody else"),
    Http(name="a page"),
)


@dataclass
class Store:
    """Keeps what it was asked; `failing` names a step that fails, `slow` one that takes long."""

    done: list[str] = field(default_factory=list)
    found: Sequence[Backup] = (Backup("x", lxc(101), WHEN, "here"),)
    failing: str = ""
    slow: str = ""
    left: Sequence[Address] = ()
    agent: RunInside | None = None

    async def _did(self, what: str, address: Address) -> None:
        self.done.append(f"{what} {address}")
        if what == self.slow:
            await asyncio.sleep(60)
        if what == self.failing:
            raise DriverError(f"no {what}")

    async def listed(self) -> Sequence[Backup]:
        return self.found

    async def take(self, guest: Guest, job: BackupJob, tell: Tell) -> Sequence[Backup]:
        await self._did("take", guest.address)
        return [Backup("new", guest.address, WHEN, job.name), *self.found]

    async def restore(self, backup: Backup, guest: Guest, spare: Address, tell: Tell) -> None:
        await self._did("restore", spare)

    async def start(self, guest: Guest, spare: Address, tell: Tell) -> None:
        await self._did("start", spare)

    def inside_of(self, spare: Address) -> RunInside | None:
        return self.agent

    async def discard(self, spare: Address, tell: Tell) -> None:
        await self._did("discard", spare)

    async def spares(self) -> Sequence[Address]:
        return self.left


async def session_of(folder: Path, store: Store, wanted: Backups | None = None) -> Session:
    class Here(WithInside):
        def backups(self, wanted: Backups) -> Any:
            return store

        async def way_in(self, address: Address) -> Sequence[str]:
            assert address == lxc(9900)
            return ["sh"]

        async def addresses(self, address: Address) -> Sequence[str]:
            return ()

    made: Desired = desired(plain(101, checks=CHECKS), plain(9901), folder=folder)
    made = replace(made, host=Host(setup=HostSetup(backups=wanted or Backups())))
    node = Node(made, driver_type=Here)
    return Session(made, node.driver(), Secrets(folder, {}), ())


async def proofs(session: Session, *words: str) -> list[backups.Proof]:
    return [one async for one in backups.prove(session, words, lambda _: None)]


async def test_what_can_be_asked_is_asked_inside_and_the_rest_is_told(tmp_path: Path) -> None:
    store = Store()
    only = Backups(checks={lxc(101): ("it is well", "somebody else")})
    (proof,) = await proofs(await session_of(tmp_path, store, only))
    assert proof.ok
    assert [(check.title, outcome.ok) for check, outcome in proof.answers] == [("it is well", True)]
    assert {check.title: why for check, why in proof.left_out} == {
        "somebody else": "it asks another machine",
        "a page": "`verify_checks` does not name it",
    }
    assert store.done == ["restore lxc/9900", "start lxc/9900", "discard lxc/9900"]


async def test_one_that_only_its_agent_reaches_is_asked_by_that(tmp_path: Path) -> None:
    asked: list[str] = []

    async def run(script: str, timeout_s: float, stdin: bytes) -> Said:
        asked.append(script)
        return Said(0, "x" * 200_000, "")

    only = Backups(checks={lxc(101): ("it is well",)})
    (proof,) = await proofs(await session_of(tmp_path, Store(agent=run), only))
    assert proof.ok
    (script,) = asked
    assert "true" in script


async def test_a_machine_without_an_agent_is_only_started(tmp_path: Path) -> None:
    machine = replace(plain(101, checks=CHECKS), kind="vm", address=vm(101), agent=False)
    store = Store(found=[Backup("x", vm(101), WHEN, "here")])
    session = await session_of(tmp_path, store)
    session.desired = replace(session.desired, guests={vm(101): machine})
    (proof,) = await proofs(session)
    assert (proof.ok, proof.answers) == (True, ())
    assert {check.title: why for check, why in proof.left_out}["it is well"] == (
        "without a guest agent (`agent`) there is no way into it"
    )
    assert store.done == ["restore vm/9900", "start vm/9900", "discard vm/9900"]


async def test_a_check_that_is_not_there_proves_nothing(tmp_path: Path) -> None:
    only = Backups(checks={lxc(101): ("it is weel",)})
    (proof,) = await proofs(await session_of(tmp_path, Store(), only))
    assert not proof.ok
    assert "has no check it is weel" in str(proof.failed)


@pytest.mark.parametrize("step", ["restore", "start"])
async def test_it_goes_after_a_failure_too(tmp_path: Path, step: str) -> None:
    store = Store(failing=step)
    (proof,) = await proofs(await session_of(tmp_path, store), "101")
    assert not proof.ok
    assert str(proof.failed) == f"no {step}"
    assert store.done[-1] == "discard lxc/9900"


async def test_one_that_can_not_be_removed_is_told(tmp_path: Path) -> None:
    only = Backups(checks={lxc(101): ("it is well",)})
    (proof,) = await proofs(await session_of(tmp_path, Store(failing="discard"), only))
    assert (proof.ok, str(proof.left)) == (False, "no discard")


async def test_it_goes_when_the_work_is_interrupted(tmp_path: Path) -> None:
    store = Store(slow="start")
    work = asyncio.create_task(proofs(await session_of(tmp_path, store)))
    async with asyncio.timeout(10):
        while "start lxc/9900" not in store.done:  # noqa: ASYNC110 - until the other task is there
            await asyncio.sleep(0.01)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert store.done[-1] == "discard lxc/9900"


async def test_what_a_killed_run_left_goes_first(tmp_path: Path) -> None:
    store = Store(left=[lxc(9950)], found=[])
    assert await proofs(await session_of(tmp_path, store)) == []
    assert store.done == ["discard lxc/9950"]


async def test_a_guest_without_a_backup_has_none_proven(tmp_path: Path) -> None:
    (proof,) = await proofs(await session_of(tmp_path, Store(found=[])), "101")
    assert not proof.ok
    assert "there is no backup of it" in str(proof.failed)


async def test_one_that_fails_does_not_keep_the_others(tmp_path: Path) -> None:
    session = await session_of(tmp_path, Store(failing="take"))
    work = backups.todo(session, ["101"], None)
    assert [(job.name, [one.address for one in guests]) for job, guests in work] == [
        ("by-hand", [lxc(101)])
    ]
    (made,) = [one async for one in backups.run(session, work, lambda _: None)]
    assert (made.backup, str(made.failed)) == (None, "no take")


async def test_one_that_can_not_be_seen_is_no_backup_and_one_not_made_yet_is_told(
    tmp_path: Path,
) -> None:
    store = Store()
    session = await session_of(tmp_path, store)
    there = SeenGuest(lxc(101), "g101", "running", session.desired.stack)
    session.driver.observe = partial(answer, Observed({lxc(101): there}))  # type: ignore[method-assign]
    told: list[str] = []
    work = backups.todo(session, [], None)
    (made,) = [one async for one in backups.run(session, work, told.append)]
    assert (made.guest.address, made.failed) == (lxc(101), None)
    assert "lxc/9901: it is not made yet: nothing to back up" in told

    away = Observed({}, unknown={lxc(101): "its node pve2 is offline"})
    session.driver.observe = partial(answer, away)  # type: ignore[method-assign]
    (made,) = [one async for one in backups.run(session, work, told.append)]
    assert (made.guest.address, made.backup) == (lxc(101), None)
    assert str(made.failed) == "it can't be seen: its node pve2 is offline"
    assert store.done == ["take lxc/101"]


async def answer(observed: Observed, desired: Desired) -> Observed:
    return observed


async def test_jobs_are_chosen_by_name_and_by_what_they_have(tmp_path: Path) -> None:
    jobs = (BackupJob("one", guests=(lxc(101),)), BackupJob("off", enabled=False))
    session = await session_of(tmp_path, Store(), Backups(jobs=jobs))
    assert [job.name for job, _ in backups.todo(session, [], None)] == ["one"]
    assert [job.name for job, _ in backups.todo(session, [], "off")] == ["off"]
    with pytest.raises(UsageError, match="no backup job has lxc/9901"):
        backups.todo(session, ["9901"], "one")
    with pytest.raises(UsageError, match="there is no backup job x"):
        backups.todo(session, [], "x")
