"""What healing tells, when it gives up and takes up again, and what never holds it up."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.app.watching.wards import A, B, Remembers, T, Ward, inside, ward
from tests.unit.plan.worlds import STACK

from phoenix_hypervisor.app.watching.healer import Healer
from phoenix_hypervisor.app.watching.patient import FullDisks
from phoenix_hypervisor.app.watching.remedies import Remedies
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.drivers.sim import SimDriver
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Run
from phoenix_hypervisor.model.errors import Denied
from phoenix_hypervisor.model.heal import HealPolicy
from phoenix_hypervisor.model.watching import GuestChanged, Happening
from phoenix_hypervisor.watch.judge import UNANSWERED
from phoenix_hypervisor.watch.symptoms import Symptoms

__all__ = ["inside"]
OFTEN = HealPolicy(steps=("restart",), per_hour=60, back_off_s=1, settle_s=1)


class Hidden(Remembers):
    """A target that does not let everybody see who stopped a guest."""

    async def who_stopped(self, address: Address) -> str | None:
        raise Denied("who stopped it can't be seen", missing="Sys.Audit", hint="grant Sys.Audit")


def down(found: Ward, change: GuestChanged | None = None) -> GuestStatus:
    return replace(found.running(A, "down"), since=T, change=change)


async def over(found: Ward, status: GuestStatus, seconds: int, healer: Healer) -> None:
    for _ in range(seconds):
        found.now += 1
        await healer.consider(status, found.now)


async def given_up(tmp_path: Path) -> tuple[Ward, Healer]:
    found = await ward(tmp_path, OFTEN, Remembers)
    healer = found.healer()
    await over(found, down(found), 60, healer)
    assert found.said[-1] == ("gave-up", "")
    assert healer.gave_up[A][1].startswith("all steps were tried 3 times")
    return found, healer


async def test_that_who_stopped_it_can_not_be_seen_is_told_with_what_mends_it(
    tmp_path: Path,
) -> None:
    found = await ward(tmp_path, kind=Hidden)
    healer = found.healer()
    await healer.consider(found.running(A), T)
    await over(found, replace(await found.stopped(A), change=None), 60, healer)
    assert await found.state(A) == "stopped"
    [told] = found.told
    assert (told.what, told.text) == (
        "held",
        "who stopped it can't be told: who stopped it can't be seen; grant Sys.Audit",
    )


async def test_each_kind_of_reason_is_told_once(tmp_path: Path) -> None:
    found = await ward(tmp_path)
    healer = found.healer()
    status = await found.stopped(A)
    async with found.node.driver().hold(STACK, Run("1", "ada", "phoenix apply")):
        await over(found, status, 10, healer)
    change = GuestChanged(A, "stopped", found.now, "ada")
    await over(found, replace(status, change=change), 60, healer)
    assert found.said == [("held", "")] * 2
    assert "`phoenix apply` by ada" in found.told[0].text
    assert found.told[1].text.startswith("ada stopped it")


async def test_while_the_stack_is_held_it_is_not_looked_into_every_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    found = await ward(tmp_path)

    async def look(self: Remedies, guest: Guest, patience_s: float) -> Symptoms:
        looks.append(found.now)
        return Symptoms(dead=("nginx.service",))

    monkeypatch.setattr(Remedies, "look", look)
    async with found.node.driver().hold(STACK, Run("1", "ada", "phoenix apply")):
        await over(found, down(found), 9, found.healer())
    assert looks == [T + 1, T + 4, T + 7]


@pytest.mark.parametrize("by", ["ada", None])
async def test_giving_up_ends_when_somebody_starts_it(tmp_path: Path, by: str | None) -> None:
    found, healer = await given_up(tmp_path)
    told = len(found.told)
    begun = GuestChanged(A, "running", found.now, by)
    await over(found, down(found, begun), 60, healer)
    assert (("heal", "restart") in found.said[told:]) == (by is not None)
    assert (A in healer.gave_up) == (by is None or found.said[-1] == ("gave-up", ""))


async def test_without_events_giving_up_ends_when_it_was_stopped_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, healer = await given_up(tmp_path)
    monkeypatch.setattr(Remembers, "who", "ada")
    await over(found, replace(await found.stopped(A), change=None), 3, healer)
    assert A not in healer.gave_up
    told = len(found.told)
    await found.node.driver().start(found.session.desired.guests[A], lambda _: None)
    await over(found, down(found), 30, healer)
    assert ("heal", "restart") in found.said[told:]


async def test_giving_up_outlives_the_watcher_and_ends_with_the_outage(tmp_path: Path) -> None:
    found, _ = await given_up(tmp_path)
    before = found.told[::-1]
    told = len(found.told)
    second = found.healer(before=before)
    assert A in second.gave_up
    await over(found, down(found), 600, second)
    assert found.said[told:] == []
    third = found.healer(before=before)
    await third.consider(replace(found.running(A), since=found.now), found.now)
    assert third.gave_up == {}
    assert found.said[told:] == [("up", "")]
    fourth = found.healer(before=found.told[::-1])
    assert fourth.gave_up == {}


async def test_what_loses_data_is_done_once_in_an_outage_by_all_watchers(tmp_path: Path) -> None:
    policy = HealPolicy(steps=("recreate",), settle_s=1)
    found = await ward(tmp_path, policy)
    await over(found, down(found), 10, found.healer())
    assert found.said.count(("heal", "recreate")) == 1
    before = [*found.told[::-1], Happening(T - 1, "down", A, "")]
    await over(found, down(found), 600, found.healer(before=before))
    assert found.said.count(("heal", "recreate")) == 1


async def test_a_step_of_the_last_watcher_is_given_its_time(tmp_path: Path) -> None:
    found = await ward(tmp_path, HealPolicy(steps=("restart",), back_off_s=1, settle_s=60))
    before = [Happening(T - 1, "heal", A, "", "service"), Happening(T - 90, "down", A, "")]
    healer = found.healer(before=before)
    await over(found, replace(down(found), since=T - 90), 58, healer)
    assert found.said == []
    await over(found, replace(down(found), since=T - 90), 3, healer)
    assert found.said == [("heal", "restart")]


async def test_a_clock_that_is_set_back_holds_nothing_up(tmp_path: Path) -> None:
    found = await ward(tmp_path, HealPolicy(steps=("restart",), back_off_s=30, settle_s=10))
    healer = found.healer()
    await over(found, down(found), 12, healer)
    assert found.said == [("heal", "restart")]
    found.now -= 7200
    begun = GuestChanged(A, "running", found.now + 7200, "root")
    await over(found, down(found, begun), 60, healer)
    assert found.said == [("heal", "restart")] * 2


async def test_a_disk_that_stays_full_does_not_hold_up_a_crash(
    tmp_path: Path, inside: list[Symptoms]
) -> None:
    found = await ward(tmp_path, HealPolicy(per_hour=1))
    healer = found.healer()
    inside.append(Symptoms(full=("/",)))
    await healer.doubt(found.running(A), T, hurts=False)
    assert found.said[0] == ("heal", "room")
    await healer.consider(found.running(A), T)
    await healer.consider(await found.stopped(A), T + 1)
    assert found.said[-1] == ("heal", "start")


@pytest.mark.parametrize("hurts", [True, False])
async def test_room_is_made_only_where_that_helps(
    tmp_path: Path, inside: list[Symptoms], *, hurts: bool
) -> None:
    found = await ward(tmp_path)
    healer = found.healer()
    inside.append(Symptoms(full=("/srv/media",)))
    for minute in range(120):
        found.now = T + 60 * minute
        await healer.doubt(found.running(A), found.now, hurts=hurts)
        await healer.consider(found.running(A), found.now)
    assert found.said == []
    assert healer.full[A] == FullDisks(T, ("/srv/media",))


async def test_room_that_did_not_help_is_not_made_again_though_checks_hang(
    tmp_path: Path, inside: list[Symptoms]
) -> None:
    found = await ward(tmp_path)
    healer = found.healer()
    inside.append(Symptoms(full=("/",)))
    for _ in range(6):
        found.now += 10
        await healer.doubt(found.running(A), found.now, hurts=True)
        await healer.consider(found.running(A), found.now)
    assert found.said == [("heal", "room"), ("heal", "")]


async def test_nothing_is_told_for_sure_of_disks_that_nobody_looked_at(
    tmp_path: Path, inside: list[Symptoms]
) -> None:
    found = await ward(tmp_path)
    healer = found.healer()
    assert {address: one.sure for address, one in healer.full.items()} == {A: False, B: False}
    inside.append(Symptoms())
    await healer.doubt(found.running(A), T, hurts=False)
    assert list(healer.full) == [B]
    inside[:] = [Symptoms(full=("/",))]
    await healer.doubt(found.running(A), T, hurts=False)
    assert healer.full[A].sure
    await healer.consider(await found.stopped(A, "ada"), T)
    assert healer.full[A] == FullDisks(T, ("/",), sure=False)


async def test_disks_that_nobody_looks_at_are_no_matter(
    tmp_path: Path, inside: list[Symptoms], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await ward(tmp_path, HealPolicy(steps=()))).healer().full == {}
    found = await ward(tmp_path)
    monkeypatch.setattr(SimDriver, "has_inside", False)
    assert found.healer().full == {}


async def test_one_that_is_paused_is_left_and_has_time_once_it_goes_on(
    tmp_path: Path, inside: list[Symptoms]
) -> None:
    inside.append(Symptoms(serving=("hello.service",)))
    found = await ward(tmp_path)
    healer = found.healer()
    by_ada = GuestChanged(A, "stopped", T, "ada", paused=True)
    paused = replace(down(found, by_ada), state="stopped", why="it is paused", paused=True)
    await over(found, paused, 60, healer)
    goes_on = GuestChanged(A, "running", found.now, "ada")
    await over(found, down(found, goes_on), 9, healer)
    [told] = found.told
    assert (told.what, told.text) == (
        "held",
        "ada paused it: it stays so until somebody lets it go on, as `phoenix apply` does",
    )
    await over(found, down(found, goes_on), 3, healer)
    assert found.said[1:] == [("heal", "service")]


async def test_what_was_wrong_before_a_restart_is_remembered_until_it_is_up(
    tmp_path: Path, inside: list[Symptoms]
) -> None:
    inside.append(Symptoms())
    found = await ward(tmp_path, HealPolicy(steps=("restart",), settle_s=1))
    healer = found.healer()
    await over(found, replace(down(found), why="http: 502"), 3, healer)
    assert found.said == [("heal", "restart")]
    assert healer.because == {A: "http: 502"}
    await over(found, replace(down(found), why=UNANSWERED), 3, healer)
    assert healer.because == {A: "http: 502"}
    await healer.consider(found.running(A), found.now)
    assert healer.because == {}
