"""Steps that break off: what they leave behind is ended, and nothing else is taken for that."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.app.watching.wards import A, T, Ward, inside, ward

from phoenix_hypervisor.app.watching import remedies
from phoenix_hypervisor.app.watching.remedies import Remedies
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.drivers.sim import SimDriver
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import DriverError, PhoenixError
from phoenix_hypervisor.model.heal import HealPolicy
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.model.watching import GuestChanged, Happening
from phoenix_hypervisor.watch.symptoms import Symptoms

__all__ = ["inside"]
RESTART = HealPolicy(steps=("restart",), settle_s=1)
ANEW = HealPolicy(steps=("recreate",), settle_s=1)


class Fails(SimDriver):
    """Fails to stop or to start a guest while it is told to."""

    failing = ""

    async def stop(self, address: Address, tell: Tell, *, limit_s: float | None = None) -> None:
        if Fails.failing == "stop":
            raise DriverError("the guest is locked")
        await super().stop(address, tell, limit_s=limit_s)

    async def start(self, guest: Guest, tell: Tell) -> None:
        if Fails.failing == "start":
            raise DriverError("no memory is left")
        await super().start(guest, tell)


def down(found: Ward) -> GuestStatus:
    return replace(found.running(A, "down"), since=T)


async def over(found: Ward, status: GuestStatus, seconds: int, healer: object) -> None:
    for _ in range(seconds):
        found.now += 1
        await healer.consider(status, found.now)  # type: ignore[attr-defined]


async def test_a_restart_that_could_not_stop_it_takes_no_stop_for_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fails, "failing", "stop")
    found = await ward(tmp_path, RESTART, Fails)
    healer = found.healer()
    await over(found, down(found), 3, healer)
    assert "restart failed: the guest is locked" in [one.text for one in found.told]
    monkeypatch.setattr(Fails, "failing", "")
    await over(found, await found.stopped(A, "ada"), 120, healer)
    assert await found.state(A) == "stopped"
    assert found.told[-1].text.startswith("ada stopped it")


async def test_a_restart_that_could_not_start_it_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await ward(tmp_path, RESTART, Fails)
    monkeypatch.setattr(Fails, "failing", "start")
    healer = found.healer()
    await over(found, down(found), 2, healer)
    assert await found.state(A) == "stopped"
    monkeypatch.setattr(Fails, "failing", "")
    change = GuestChanged(A, "stopped", found.now, "root")  # which is the watcher itself
    stopped = GuestStatus(A, "web", "stopped", "down", T, why="it is stopped", change=change)
    await over(found, stopped, 40, healer)
    assert await found.state(A) == "running"
    assert "a step of healing (restart) stopped it" in found.told[2].text


async def breaks_off(
    self: Remedies, guest: Guest, begins: Callable[[], None], limit: object = None
) -> None:
    """Making it anew, interrupted."""
    begins()
    raise PhoenixError("it was interrupted")


async def test_what_somebody_stops_after_a_step_broke_off_is_no_longer_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: list[Symptoms]
) -> None:
    monkeypatch.setattr(Remedies, "_make_anew", breaks_off)
    found = await ward(tmp_path, ANEW)
    healer = found.healer()
    inside.append(Symptoms(silent="no shell"))
    await over(found, down(found), 3, healer)
    assert found.said == [("heal", "recreate"), ("heal", "")]
    found.now += 10
    await over(found, await found.stopped(A, "ada"), 3, healer)
    assert found.told[-1].text.startswith("ada stopped it")


async def test_one_that_runs_after_a_step_broke_off_was_not_left_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: list[Symptoms]
) -> None:
    monkeypatch.setattr(Remedies, "_make_anew", breaks_off)
    found = await ward(tmp_path, ANEW)
    healer = found.healer()
    inside.append(Symptoms())
    await over(found, down(found), 5, healer)
    assert ("heal", "recreate") in found.said
    absent = GuestStatus(A, "web", "absent", "down", T, why="it is absent")
    await over(found, absent, 60, healer)
    assert "somebody deleted it" in found.told[-1].text


async def test_making_anew_that_was_refused_makes_nothing_that_somebody_deletes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(plan: Plan, allowed: object) -> None:
        raise PhoenixError("the plan can't be applied")

    found = await ward(tmp_path, ANEW)
    healer = found.healer()
    with monkeypatch.context() as patch:
        patch.setattr(remedies, "refuse", refused)
        await over(found, down(found), 3, healer)
    assert [one.text for one in found.told] == ["recreate failed: the plan can't be applied"]
    await found.node.driver().stop(A, lambda _: None)
    await found.node.driver().delete(A, lambda _: None)
    absent = GuestStatus(A, "web", "absent", "down", T, why="it is absent")
    await over(found, absent, 120, healer)
    assert await found.state(A) == "absent"
    assert "somebody deleted it" in found.told[-1].text


@pytest.mark.parametrize("mended", [True, False])
async def test_making_anew_that_broke_off_is_ended_and_has_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, mended: bool
) -> None:
    real = remedies._apply

    async def breaks(session: object, plan: Plan, observed: Observed, words: str) -> None:
        if words.startswith("apply"):
            raise PhoenixError("no image server answers")
        await real(session, plan, observed, words)  # type: ignore[arg-type]

    monkeypatch.setattr(remedies, "_apply", breaks)
    found = await ward(tmp_path, ANEW)
    healer = found.healer()
    await over(found, down(found), 3, healer)
    assert await found.state(A) == "absent"
    if mended:
        monkeypatch.setattr(remedies, "_apply", real)
    absent = GuestStatus(A, "web", "absent", "down", T, why="it is absent")
    await over(found, absent, 3600, healer)
    if mended:
        assert await found.state(A) == "running"
        assert "since making it anew broke off" in found.told[2].text
    else:
        assert found.said == [("heal", "recreate"), ("heal", "")] * 3 + [("gave-up", "")]


async def test_one_that_was_made_anew_is_seen_before_it_is_said_to_be_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await ward(tmp_path, ANEW)
    absent = GuestStatus(A, "web", "absent", "down", T, why="it is absent")
    healer = found.healer(before=[Happening(T - 60, "heal", A, "", "recreate")])
    await over(found, absent, 34, healer)  # it began after 30 s
    assert found.said == [("heal", "recreate")]


@pytest.mark.parametrize(
    ("last", "state"),
    [
        ([("heal", "restart")], "running"),
        ([("heal", "start")], "running"),
        ([("heal", "service")], "stopped"),
        ([("heal", "restart"), ("heal", "")], "stopped"),
        ([("heal", "restart"), ("healed", "restart")], "stopped"),
        ([("heal", "restart"), ("gave-up", "")], "stopped"),
        ([("heal", "restart"), ("held", "")], "stopped"),
    ],
)
async def test_a_restart_that_the_end_of_a_watcher_cut_short_is_ended_by_the_next_one(
    tmp_path: Path, last: list[tuple[str, str]], state: str
) -> None:
    found = await ward(tmp_path)
    before = [
        Happening(T - 60 + n, what, A, "", step)  # type: ignore[arg-type]
        for n, (what, step) in enumerate(last)
    ]
    healer = found.healer(before=before[::-1])
    status = replace(await found.stopped(A), change=None)
    await over(found, status, 60, healer)
    assert await found.state(A) == state


async def test_making_anew_that_was_cut_short_is_ended_by_the_next_watcher(
    tmp_path: Path,
) -> None:
    found = await ward(tmp_path, ANEW)
    await found.node.driver().stop(A, lambda _: None)
    await found.node.driver().delete(A, lambda _: None)
    healer = found.healer(before=[Happening(T - 60, "heal", A, "", "recreate")])
    await over(found, GuestStatus(A, "web", "absent", "down", T, why="it is absent"), 60, healer)
    assert await found.state(A) == "running"


@pytest.mark.parametrize(
    "now",
    [
        None,
        {"health": "up"},
        {"state": "running", "health": "up"},
        {"health": "planned", "planned": "maintenance"},
        {"change": GuestChanged(A, "stopped", T + 9, "ada")},
    ],
)
async def test_a_step_is_not_begun_for_one_that_is_another_way_by_now(
    tmp_path: Path, now: dict[str, object] | None
) -> None:
    found = await ward(tmp_path)
    status = await found.stopped(A)
    fresh = None if now is None else replace(status, **now)  # type: ignore[arg-type]
    healer = found.healer(fresh=lambda _: fresh)
    await healer.consider(status, T)
    assert found.said == []
    assert await found.state(A) == "stopped"
    await found.healer(fresh=lambda _: status).consider(status, T)
    assert await found.state(A) == "running"


async def test_one_that_began_anew_meanwhile_is_not_restarted(tmp_path: Path) -> None:
    found = await ward(tmp_path, RESTART)
    status = down(found)
    again = replace(status, change=GuestChanged(A, "running", T + 1, "ada"))
    healer = found.healer(fresh=lambda _: again)
    await over(found, status, 60, healer)
    assert found.said == []


async def test_what_healing_itself_holds_is_waited_for_and_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def slow(self: Remedies, guest: Guest, begins: Callable[[], None]) -> None:
        async with self._anew() as session, session.hold("phoenix watch"):
            begins()
            begun.set()
            await release.wait()

    monkeypatch.setattr(Remedies, "_make_anew", slow)
    found = await ward(tmp_path, HealPolicy(steps=("restart", "recreate")))
    healer = found.healer(
        before=[Happening(T - 60, "heal", A, "", "restart"), Happening(T - 61, "down", A, "")]
    )
    making = asyncio.create_task(healer.consider(down(found), T))
    await begun.wait()
    other = await found.stopped(Address("lxc/102"))
    told = len(found.told)
    await healer.consider(other, T)
    assert found.told[told:] == []
    release.set()
    await making
    found.now += 5
    await healer.consider(other, found.now)
    assert await found.state(Address("lxc/102")) == "running"
