"""The healer over a simulated node: whom it heals, whom it leaves alone, and what it records."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.app.watching.wards import A, B, Remembers, T, Ward, inside, ward
from tests.unit.plan.worlds import STACK

from phoenix_hypervisor.app.watching.patient import FullDisks
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.drivers.sim import SimDriver
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Run, Tell
from phoenix_hypervisor.model.heal import HealPolicy, Rung
from phoenix_hypervisor.model.watching import Answer, Happening
from phoenix_hypervisor.watch.symptoms import Symptoms

__all__ = ["inside"]


async def test_one_that_stopped_by_itself_runs_again(tmp_path: Path) -> None:
    found = await ward(tmp_path)
    healer = found.healer()
    await healer.consider(await found.stopped(A), T)
    assert await found.state(A) == "running"
    found.now += 2.5
    await healer.consider(found.running(A), T + 2.5)
    assert found.said == [("heal", "start"), ("healed", "start")]
    assert "2.5 s" in found.told[-1].text


async def test_one_that_somebody_stopped_rests_and_that_is_told_once(tmp_path: Path) -> None:
    found = await ward(tmp_path)
    healer = found.healer()
    status = await found.stopped(A, "ada")
    for second in range(90):
        await healer.consider(status, T + second)
    assert await found.state(A) == "stopped"
    assert found.said == [("held", "")]
    assert "ada stopped it" in found.told[0].text


@pytest.mark.parametrize(("who", "state"), [(None, "running"), ("ada", "stopped")])
async def test_a_target_without_events_may_remember(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str | None, state: str
) -> None:
    monkeypatch.setattr(Remembers, "who", who)
    found = await ward(tmp_path, kind=Remembers)
    healer = found.healer()
    status = replace(await found.stopped(A), change=None)
    await healer.consider(found.running(A), T)
    await healer.consider(status, T + 3)
    assert await found.state(A) == state


async def test_one_that_was_stopped_before_anybody_watched_rests(tmp_path: Path) -> None:
    found = await ward(tmp_path, kind=Remembers)
    await found.healer().consider(replace(await found.stopped(A), change=None), T)
    assert await found.state(A) == "stopped"
    assert "nobody watched" in found.told[0].text


async def test_while_somebody_applies_it_waits(tmp_path: Path) -> None:
    found = await ward(tmp_path)
    healer = found.healer()
    status = await found.stopped(A)
    async with found.node.driver().hold(STACK, Run("1", "ada", "phoenix apply")):
        await healer.consider(status, T)
        await healer.consider(status, T + 1)
        assert found.said == [("held", "")]
        assert "`phoenix apply` by ada" in found.told[0].text
    await healer.consider(status, T + 4)
    assert await found.state(A) == "running"


async def test_guests_that_go_down_together_are_healed_together(tmp_path: Path) -> None:
    found = await ward(tmp_path)
    healer = found.healer()
    statuses = [await found.stopped(A), await found.stopped(B)]
    await asyncio.gather(*(healer.consider(status, T) for status in statuses))
    assert found.said == [("heal", "start"), ("heal", "start")]
    assert {await found.state(A), await found.state(B)} == {"running"}
    async with found.node.driver().hold(STACK, Run("1", "ada", "phoenix apply")):
        pass  # it was given back


async def test_planned_and_unknown_is_no_matter_of_healing(tmp_path: Path) -> None:
    found = await ward(tmp_path)
    healer = found.healer()
    status = await found.stopped(A)
    await healer.consider(replace(status, health="planned"), T)
    await healer.consider(replace(status, health="unknown"), T)
    assert (await found.state(A), found.told) == ("stopped", [])


async def test_only_watching_tells_what_it_would_do(tmp_path: Path) -> None:
    found = await ward(tmp_path)
    healer = found.healer(observe_only=True)
    status = await found.stopped(A)
    for second in range(5):
        await healer.consider(status, T + second)
    assert await found.state(A) == "stopped"
    assert found.said == [("held", "start")]
    assert found.told[0].text.startswith("only watching, else `start`")


async def test_the_limit_of_an_hour_outlives_the_watcher(tmp_path: Path) -> None:
    found = await ward(tmp_path, HealPolicy(per_hour=2))
    before = [Happening(T - 30, "heal", A, "", "restart"), Happening(T - 60, "heal", A, "", "room")]
    before += [Happening(T - 90, "heal", A, "", "service")]
    healer = found.healer(before=before)
    status = await found.stopped(A)
    await healer.consider(status, T)
    found.now += 60
    await healer.consider(status, found.now)
    assert await found.state(A) == "stopped"
    assert "per_hour" in found.told[0].text


async def test_a_dependent_waits_for_what_it_depends_on(tmp_path: Path) -> None:
    found = await ward(tmp_path)
    healer = found.healer()
    below = await found.stopped(A, "ada")
    await healer.consider(below, T)
    down = found.running(B, "down")
    found.now += 60
    await healer.consider(down, found.now)
    assert ("heal", "restart") not in found.said
    await healer.consider(found.running(A), found.now)
    found.now += 2
    await healer.consider(down, found.now)
    assert ("heal", "restart") not in found.said  # it has its time from when it could come up
    found.now += 10
    await healer.consider(down, found.now)
    assert ("heal", "restart") in found.said


async def test_a_step_that_fails_is_told_and_not_repeated_at_once(tmp_path: Path) -> None:
    found = await ward(tmp_path)
    healer = found.healer()
    status = await found.stopped(A)
    await found.node.driver().delete(A, lambda _: None)
    for _ in range(5):
        found.now += 1
        await healer.consider(status, found.now)
    assert found.said == [("heal", "start"), ("heal", "")]
    assert found.told[1].text.startswith("start failed: ")


def answered(found: Ward, at: float) -> GuestStatus:
    answer = Answer(A, "pages", "http", at, "up", "")
    return replace(found.running(A), answers=(answer,))


async def test_in_doubt_a_frozen_service_goes_on_before_it_counts_as_down(
    tmp_path: Path, inside: list[Symptoms]
) -> None:
    found = await ward(tmp_path)
    healer = found.healer()
    frozen = Symptoms(frozen=("nginx.service",))
    inside += [frozen, frozen, Symptoms(serving=("nginx.service",))]
    await healer.doubt(answered(found, T - 4), T, hurts=False)
    assert found.said == []
    await healer.doubt(answered(found, T - 4), T, hurts=True)
    assert found.said == [("heal", "service")]
    found.now += 1
    await healer.consider(answered(found, T - 4), T + 1)  # nobody has asked since
    assert found.said == [("heal", "service")]
    await healer.consider(answered(found, T + 1), T + 1)
    assert found.said == [("heal", "service"), ("healed", "service")]


async def test_a_full_disk_gets_room_and_is_told_while_it_stays_full(
    tmp_path: Path, inside: list[Symptoms]
) -> None:
    found = await ward(tmp_path)
    healer = found.healer()
    inside += [Symptoms(full=("/",)), Symptoms(full=("/",))]
    for second in range(0, 3660, 60):
        found.now = T + second
        await healer.doubt(answered(found, found.now), found.now, hurts=False)
        await healer.consider(answered(found, found.now), found.now)
    assert found.said == [("heal", "room"), ("heal", "")] * 2  # and again after an hour
    assert healer.full[A] == FullDisks(T, ("/",))
    inside[:] = [Symptoms()]
    await healer.doubt(answered(found, found.now), found.now, hurts=False)
    assert A not in healer.full


class Plugs(SimDriver):
    """A target where cards can be taken off and put on."""

    async def plug_again(self, guest: Guest, cards: Sequence[str], tell: Tell) -> None:
        """It helps nobody."""

    async def taken_away(self, guest: Guest, cards: Sequence[str]) -> Sequence[str]:
        """They are all there."""
        return ()


@pytest.mark.parametrize("steps", [("service", "restart"), ("service", "recreate"), ("restart",)])
async def test_a_card_that_leads_nowhere_costs_a_guest_that_serves_nothing(
    tmp_path: Path, inside: list[Symptoms], steps: tuple[Rung, ...]
) -> None:
    found = await ward(tmp_path, HealPolicy(steps=steps), kind=Plugs)
    healer = found.healer()
    inside.append(Symptoms(cut=("eth1",)))
    for second in range(0, 3580, 20):
        found.now = T + second
        await healer.doubt(answered(found, found.now), found.now, hurts=False)
        await healer.consider(answered(found, found.now), found.now)
    assert found.said == ([("heal", "plug")] if "service" in steps else [])
    found.told.clear()
    await healer.consider(await found.stopped(A), found.now)
    assert found.said == ([("heal", "start")] if "restart" in steps else [("heal", "recreate")])


@pytest.mark.parametrize("kind", ["planned", "down", "left alone"])
async def test_no_look_into_those_that_are_not_to_be_healed(
    tmp_path: Path, inside: list[Symptoms], kind: str
) -> None:
    found = await ward(tmp_path, HealPolicy(steps=()) if kind == "left alone" else None)
    status = found.running(A, "down" if kind == "down" else "up")
    if kind == "planned":
        status = replace(status, planned="maintenance")
    await found.healer().doubt(status, T, hurts=True)  # a look would fail: there is none prepared
    assert found.said == []


async def test_without_data_it_is_made_anew(tmp_path: Path) -> None:
    policy = HealPolicy(steps=("recreate",), settle_s=1)
    found = await ward(tmp_path, policy)
    healer = found.healer()
    await healer.consider(found.running(A, "down"), T)
    found.now += 5
    await healer.consider(replace(found.running(A, "down"), since=T), found.now)
    assert found.said == [("heal", "recreate")]
    assert await found.state(A) == "running"
