"""What is done for a guest that counts as up, what is not done again, and what it never costs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.app.watching.wards import A, T, Ward, inside, ward

from phoenix_hypervisor.app.watching import healer as healing
from phoenix_hypervisor.app.watching.healer import Healer
from phoenix_hypervisor.app.watching.remedies import Remedies
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.drivers.sim import SimDriver
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import DriverError, PhoenixError, StackBusy
from phoenix_hypervisor.model.watching import Answer
from phoenix_hypervisor.watch.healing import Do
from phoenix_hypervisor.watch.symptoms import Symptoms

__all__ = ["inside"]
DEAD = Symptoms(dead=("nginx.service",))


class Plugs(SimDriver):
    """A target where cards can be taken off and put on."""

    async def plug_again(self, guest: Guest, cards: Sequence[str], tell: Tell) -> None:
        """It is not asked for: `_light` is another one."""

    async def taken_away(self, guest: Guest, cards: Sequence[str]) -> Sequence[str]:
        """Nobody took any."""
        return ()


@pytest.fixture(autouse=True)
def with_nginx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healing, "named", lambda _: ("nginx.service",))


def answered(found: Ward, health: str = "up") -> GuestStatus:
    answer = Answer(A, "pages", "http", found.now, health, "")  # type: ignore[arg-type]
    return replace(found.running(A, health), answers=(answer,))  # type: ignore[arg-type]


async def doubts(found: Ward, healer: Healer, seconds: range, *, hurts: bool = True) -> None:
    for second in seconds:
        found.now = T + second
        await healer.doubt(answered(found), found.now, hurts=hurts)
        found.now += 1
        await healer.consider(answered(found), found.now)


async def test_where_cards_can_not_be_plugged_nothing_is_done_for_one_that_is_up(
    tmp_path: Path, inside: list[Symptoms]
) -> None:
    found = await ward(tmp_path)
    inside.append(Symptoms(cut=("eth1",)))
    await doubts(found, found.healer(), range(0, 7200, 20))
    assert found.said == []


async def test_what_nobody_asks_for_is_left_dead(tmp_path: Path, inside: list[Symptoms]) -> None:
    found = await ward(tmp_path)
    inside.append(Symptoms(dead=("nvidia-persistenced.service",)))
    await doubts(found, found.healer(), range(0, 600, 30))
    assert found.said == []


async def test_what_is_dead_again_is_begun_once_an_hour_and_not_told_as_healed(
    tmp_path: Path, inside: list[Symptoms]
) -> None:
    found = await ward(tmp_path)
    healer = found.healer()
    inside.append(DEAD)
    await doubts(found, healer, range(0, 3660, 30))
    assert found.said == [("heal", "service")] * 2
    await healer.consider(await found.stopped(A), found.now)
    assert found.said[-1] == ("heal", "start")


async def test_what_ran_meanwhile_is_begun_at_once_again(
    tmp_path: Path, inside: list[Symptoms]
) -> None:
    found = await ward(tmp_path)
    healer = found.healer()
    runs = Symptoms(serving=("nginx.service",))
    inside += [DEAD, Symptoms(young=("nginx.service",)), runs, DEAD, runs]
    await doubts(found, healer, range(0, 60, 20))
    assert found.said == [("heal", "service"), ("healed", "service")] * 2


async def test_a_card_that_gets_no_address_is_set_up_once_an_hour(
    tmp_path: Path, inside: list[Symptoms]
) -> None:
    found = await ward(tmp_path)
    inside.append(Symptoms(idle=("eth1",)))
    await doubts(found, found.healer(), range(0, 3500, 30))
    assert found.said.count(("heal", "service")) == 1


@pytest.mark.parametrize("wrong", [StackBusy("apply by ada"), DriverError("it begins anew")])
async def test_what_was_not_done_is_tried_again_soon(
    tmp_path: Path, inside: list[Symptoms], monkeypatch: pytest.MonkeyPatch, wrong: PhoenixError
) -> None:
    found = await ward(tmp_path, kind=Plugs)
    inside.append(Symptoms(cut=("eth0",)))
    real, tried = Remedies.carry_out, []

    async def carry_out(
        self: Remedies, do: Do, guest: Guest, begins: Callable[[], None], down: Callable[[], None]
    ) -> str:
        tried.append(found.now - T)
        if len(tried) > 1:
            return await real(self, do, guest, begins, down)
        if isinstance(wrong, DriverError):
            begins()
        raise wrong

    monkeypatch.setattr(Remedies, "carry_out", carry_out)
    await doubts(found, found.healer(), range(0, 3500, 20), hurts=False)
    assert tried == [0, 20]  # and then it did not help
    begun = [("heal", "plug"), ("heal", "")] if isinstance(wrong, DriverError) else []
    assert found.said == [*begun, ("heal", "plug")]


async def test_what_fails_again_and_again_has_pauses_and_leaves_the_limit_of_the_hour(
    tmp_path: Path, inside: list[Symptoms], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await ward(tmp_path, kind=Plugs)
    healer = found.healer()
    inside.append(Symptoms(cut=("eth0",)))

    async def light(self: Remedies, do: Do, guest: Guest, down: Callable[[], None]) -> str:
        raise DriverError("the bridge is away")

    with monkeypatch.context() as patch:
        patch.setattr(Remedies, "_light", light)
        await doubts(found, healer, range(0, 3500, 20), hurts=False)
    assert 6 <= found.said.count(("heal", "plug")) <= 9
    assert ("healed", "plug") not in found.said
    await healer.consider(await found.stopped(A), found.now)
    assert found.said[-1] == ("heal", "start")


async def test_a_card_that_somebody_took_away_is_told_once(
    tmp_path: Path, inside: list[Symptoms]
) -> None:
    found = await ward(tmp_path, kind=Plugs)
    healer = found.healer()
    inside.append(Symptoms(taken=("eth0",)))
    await doubts(found, healer, range(0, 600, 20), hurts=False)
    assert found.said == [("held", "")]
    assert "phoenix apply" in found.told[0].text
    for _ in range(60):
        found.now += 1
        await healer.consider(replace(answered(found, "down"), since=T), found.now)
    assert found.said == [("held", "")]
    inside[:] = [Symptoms()]
    await doubts(found, healer, range(700, 721, 20), hurts=False)
    inside[:] = [Symptoms(taken=("eth0",))]
    await doubts(found, healer, range(740, 741), hurts=False)
    assert found.said == [("held", "")] * 2  # it was on meanwhile


async def test_a_clock_that_is_set_back_holds_up_nobody_that_had_waited(
    tmp_path: Path, inside: list[Symptoms]
) -> None:
    found = await ward(tmp_path)
    healer = found.healer()
    guests = list(found.session.desired.guests)
    inside.append(Symptoms(serving=("hello.service",)))
    for guest in guests:  # the second one waits for the first
        await healer.consider(replace(found.running(guest, "down"), since=T), T)
    found.now -= 7200
    waits = replace(found.running(guests[1], "down"), since=found.now)
    await healer.consider(found.running(guests[0]), found.now)
    found.told.clear()
    for _ in range(30):
        found.now += 1
        await healer.consider(waits, found.now)
    assert ("heal", "service") in found.said
