"""What is known of guests: the hypervisor's last word counts, not an older one."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.unit.plan.worlds import desired, plain

from phoenix_hypervisor.app.watching.guests import Guests
from phoenix_hypervisor.app.watching.keeper import Keeper
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.desired import Capacity
from phoenix_hypervisor.model.observed import GuestState, Observed, SeenGuest
from phoenix_hypervisor.model.watching import GuestChanged, Happening

A = lxc(101)


@dataclass
class World:
    guests: Guests
    happened: list[Happening] = field(default_factory=list)

    def change(self) -> GuestChanged | None:
        return self.guests.status(A).change


@pytest.fixture
def world(tmp_path: Path) -> World:
    happened: list[Happening] = []
    guests = Guests(Keeper(tmp_path, print), happened.append)
    guests.keep(desired(plain(101), folder=tmp_path), {})
    return World(guests, happened)


def ended(by: str | None, ago_s: float = 60) -> GuestChanged:
    return GuestChanged(A, "stopped", time.time() - ago_s, by)


@pytest.mark.parametrize("by", [None, "ada"])
def test_an_old_event_says_nothing_of_a_new_stop(world: World, by: str | None) -> None:
    change = ended(by)
    assert world.guests.changed(change)
    world.guests.saw(A, "stopped")
    assert world.change() == change
    world.guests.saw(A, "running")  # nobody told that
    assert world.change() is None
    world.guests.saw(A, "stopped")
    assert world.guests.status(A).health == "down"
    assert world.change() is None


def test_a_look_that_lags_behind_an_event_does_not_drop_it(world: World) -> None:
    change = ended(None, ago_s=0)
    world.guests.changed(change)
    world.guests.saw(A, "running")
    world.guests.saw(A, "stopped")
    assert world.change() == change


@pytest.mark.parametrize(("state", "kept"), [("stopped", True), ("running", False)])
def test_while_the_hypervisor_is_lost_the_last_event_is_kept(
    world: World, state: GuestState, *, kept: bool
) -> None:
    change = ended(None)
    world.guests.changed(change)
    world.guests.lost("no route")
    assert world.guests.status(A).health == "unknown"
    assert world.change() == change
    world.guests.saw(A, state)
    assert (world.change() == change) is kept


def test_a_pause_is_known_by_an_event_and_by_a_look(world: World) -> None:
    world.guests.saw(A, "running")
    world.guests.changed(GuestChanged(A, "stopped", time.time(), "ada", paused=True))
    assert (world.guests.status(A).why, world.guests.status(A).paused) == ("it is paused", True)
    world.guests.changed(GuestChanged(A, "running", time.time(), "ada"))
    assert not world.guests.status(A).paused
    seen = SeenGuest(A, "web", "stopped", stack="lab", paused=True)
    look = Observed(guests={A: seen}, resources={}, capacity=Capacity(1, 1, 1))
    world.guests.looked(look, "lab", frozenset())
    assert world.guests.status(A).why == "it is paused"


def test_an_event_of_one_that_can_not_be_told_of_is_remembered(world: World) -> None:
    world.guests.changed(ended(None))
    world.guests.lost("no route")
    later = GuestChanged(A, "running", time.time() - 30, "ada")
    assert not world.guests.changed(later)
    assert world.change() == later
    assert world.guests.status(A).health == "unknown"


def test_a_state_that_is_not_told_is_unknown(world: World) -> None:
    world.guests.saw(A, "running")
    assert world.guests.status(A).health == "up"
    world.guests.saw(A, "unknown")
    assert world.guests.status(A).health == "unknown"
    assert "does not tell" in world.guests.status(A).why
