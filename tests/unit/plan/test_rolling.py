"""Replicas: who is changed when, so that one always serves."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.plan.test_graph import edges, waits
from tests.unit.plan.worlds import OLD, change, desired, guest, names, observed, planned, seen

from phoenix_hypervisor.model.address import Address, lxc
from phoenix_hypervisor.model.availability import Replica
from phoenix_hypervisor.model.desired import Desired, Guest, Route
from phoenix_hypervisor.model.observed import Observed, SeenGuest
from phoenix_hypervisor.model.plan import Plan

PROXY = guest(100)


def replica(number: int, **words: Any) -> Guest:
    """`web-1` is lxc/951, `web-2` is lxc/952, …"""
    given: dict[str, Any] = {
        "name": f"web-{number}",
        "routes": (Route(None, "/", 80),),
        "replica": Replica(lxc(951), "web", number),
    }
    return guest(950 + number, **(given | words))


WEB = tuple(replica(number) for number in (1, 2, 3))
FOLDER = desired(PROXY, *WEB)
PROXIES: dict[Address, tuple[Address, ...]] = {one.address: (PROXY.address,) for one in WEB}


def plan(world: Observed, folder: Desired = FOLDER, **options: Any) -> Plan:
    return planned(folder, world, **{"proxies": PROXIES, **options})


def world(*states: SeenGuest, folder: Desired = FOLDER) -> Observed:
    return observed(folder, seen(PROXY), *states)


def old(one: Guest) -> SeenGuest:
    return seen(one, fingerprint=OLD)


def test_each_waits_for_the_checks_of_the_one_before() -> None:
    found = plan(world(*map(old, WEB)))
    for one in WEB:
        assert names(change(found, one.address)) == "drain configure check undrain"
    assert edges(found, "lxc/951:drain") == set()
    assert edges(found, "lxc/952:drain") == {"lxc/951:undrain"}
    assert edges(found, "lxc/953:drain") == {"lxc/952:undrain"}
    assert [one.address for one in found.changes] == ["lxc/951", "lxc/952", "lxc/953"]


def test_new_ones_are_made_at_once() -> None:
    found = plan(world())
    for one in WEB:
        assert names(change(found, one.address)) == "create start configure check undrain"
        assert not waits(found, f"{one.address}:create") & {f"{o.address}:undrain" for o in WEB}


@pytest.mark.parametrize(
    ("state", "steps"),
    [
        ({"fingerprint": OLD, "state": "stopped"}, "start configure check undrain"),
        ({"state": "stopped"}, "start check"),
    ],
)
def test_those_that_do_not_serve_come_first(state: Any, steps: str) -> None:
    found = plan(world(old(WEB[0]), seen(WEB[1], **state), old(WEB[2])))
    second = change(found, WEB[1].address)
    assert names(second) == steps
    assert edges(found, second.steps[0].id) == set()
    assert edges(found, "lxc/951:drain") == {second.steps[-1].id}
    assert edges(found, "lxc/953:drain") == {"lxc/951:undrain"}


def test_one_that_a_run_before_left_is_drained_and_comes_first() -> None:
    """It may be in its proxies: the drain failed, or its Nginx was started anew."""
    found = plan(world(old(WEB[0]), *(seen(one, fingerprint=None) for one in WEB[1:])))
    for one in WEB:
        assert names(change(found, one.address)) == "drain configure check undrain"
    assert edges(found, "lxc/952:drain") == set()
    assert edges(found, "lxc/953:drain") == {"lxc/952:undrain"}
    assert edges(found, "lxc/951:drain") == {"lxc/953:undrain"}


def test_the_first_of_a_guest_that_had_none_interrupts_it_and_says_so() -> None:
    found = plan(world(seen(replace(WEB[0], name="web"))))
    (note,) = found.notes
    assert note.startswith("lxc/951: web becomes web-1, and its proxies lead to it alone until")
    assert plan(world(seen(replace(WEB[0], name="web"))), proxies={}).notes == ()
    assert plan(world(seen(replace(WEB[0], name="wob")))).notes == ()


def test_another_address_interrupts_and_says_so() -> None:
    moved = replace(WEB[0], nics=(replace(WEB[0].nics[0], address="10.0.0.9/24"),))
    found = plan(world(*map(seen, WEB)), desired(PROXY, moved, *WEB[1:]))
    (note,) = found.notes
    assert note.startswith("lxc/951: its address changes, and its proxies ask at the old one")


def test_a_live_change_disturbs_nobody_but_waits_its_turn() -> None:
    before = [seen(one) for one in WEB]
    more = tuple(replace(one, memory_mb=1024) for one in WEB)
    found = plan(world(*before), desired(PROXY, *more))
    assert names(change(found, "lxc/951")) == "update check"
    assert edges(found, "lxc/952:update") == {"lxc/951:check"}


def test_a_restart_is_drained() -> None:
    nested = tuple(replace(one, nesting=True) for one in WEB)
    found = plan(world(*map(seen, WEB)), desired(PROXY, *nested))
    assert names(change(found, "lxc/952")) == "drain stop update start check undrain"


def test_without_a_proxy_only_the_turns_are_kept() -> None:
    found = plan(world(*map(old, WEB)), proxies={})
    assert names(change(found, "lxc/952")) == "configure check"
    assert edges(found, "lxc/952:configure") == {"lxc/951:check"}


def test_one_alone_is_a_guest_like_others() -> None:
    folder = desired(PROXY, WEB[0])
    found = plan(world(old(WEB[0]), folder=folder), folder)
    assert names(change(found, "lxc/951")) == "configure check"


def test_a_named_one_is_changed_alone() -> None:
    found = plan(world(*map(old, WEB)), targets=frozenset({WEB[1].address}))
    assert [one.address for one in found.changes] == ["lxc/952"]
    assert edges(found, "lxc/952:drain") == set()


def test_one_too_many_goes_when_the_proxy_knows() -> None:
    folder = desired(PROXY, *WEB[:2])
    state = observed(folder, old(PROXY), *map(seen, WEB))
    assert plan(state, folder).changes != ()
    assert plan(state, folder).kept == ("lxc/953",)
    found = plan(state, folder, prune=True)
    assert edges(found, "lxc/953:delete") == {"lxc/100:configure"}


def test_a_proxy_that_restarts_waits_until_all_are_back() -> None:
    folder = desired(replace(PROXY, nesting=True), *WEB)
    found = plan(world(*map(old, WEB), folder=folder), folder)
    assert "lxc/953:undrain" in waits(found, "lxc/100:stop")


def test_a_proxy_that_replicas_need_does_not_wait_for_them() -> None:
    needing = tuple(replace(one, dependencies=(PROXY.address,)) for one in WEB)
    folder = desired(replace(PROXY, nesting=True), *needing)
    found = plan(world(*map(old, needing), folder=folder), folder)
    assert edges(found, "lxc/100:stop") == set()
    assert "lxc/100:check" in waits(found, "lxc/951:drain")
