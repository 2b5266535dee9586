"""The order: what must have succeeded before what."""

from dataclasses import replace

import pytest
from tests.unit.plan.worlds import (
    INCUS,
    OLD,
    STACK,
    change,
    clone,
    complete,
    desired,
    guest,
    names,
    observed,
    plain,
    planned,
    seen,
    template,
)

from phoenix_hypervisor.model.address import bridge, lxc, storage
from phoenix_hypervisor.model.desired import Desired, Guest, Nic, Volume
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.graph import step_ids
from phoenix_hypervisor.plan.make import destroy

NOTHING = Observed()


def edges(plan: Plan, ident: str) -> set[str]:
    """The steps that one waits for directly."""
    (step,) = (s for c in plan.changes for s in c.steps if s.id == ident)
    return set(step.after)


def waits(plan: Plan, ident: str) -> set[str]:
    """All that comes before a step."""
    found: set[str] = set()
    todo = [ident]
    while todo:
        fresh = edges(plan, todo.pop()) - found
        found |= fresh
        todo += fresh
    return found


def test_step_ids_are_numbered_where_a_name_comes_again() -> None:
    wanted = ["stop", "snapshot", "start", "stop", "start", "start"]
    assert step_ids(lxc(101), wanted) == [
        "lxc/101:stop",
        "lxc/101:snapshot",
        "lxc/101:start",
        "lxc/101:stop.2",
        "lxc/101:start.2",
        "lxc/101:start.3",
    ]


def test_steps_of_a_guest_follow_each_other() -> None:
    plan = planned(folder := desired(guest()), observed(folder))
    assert edges(plan, "lxc/101:create") == set()
    assert edges(plan, "lxc/101:start") == {"lxc/101:create"}
    assert edges(plan, "lxc/101:configure") == {"lxc/101:start"}
    assert edges(plan, "lxc/101:check") == {"lxc/101:configure"}


def test_pools_and_bridges_come_before_their_guests() -> None:
    data = Volume("data", "fast", 4, "/srv/data")
    one = plain(nics=(Nic("eth0", "vmbr0"), Nic("eth1", "vmbr1")), volumes=(data,))
    plan = planned(desired(one, plain(102, pool="other", nics=())), NOTHING)
    assert edges(plan, "lxc/101:create") == {
        "storage/fast:ensure",
        "storage/tank:ensure",
        "bridge/vmbr0:ensure",
        "bridge/vmbr1:ensure",
    }
    assert edges(plan, "lxc/102:create") == {"storage/other:ensure"}
    assert [c.address for c in plan.changes][:5] == [
        "bridge/vmbr0",
        "bridge/vmbr1",
        "storage/fast",
        "storage/other",
        "storage/tank",
    ]


@pytest.mark.parametrize(
    ("before", "first"),
    [
        (plain(nics=(Nic("eth0", "old"),)), "stop"),  # stopped only once the bridge is there
        (plain(volumes=()), "update"),
        (plain(pool="old"), "stop"),  # deleted only once it can be made anew
    ],
)
def test_a_guest_is_not_touched_before_its_new_pool_or_bridge_is_there(
    before: Guest, first: str
) -> None:
    wanted = plain(volumes=(Volume("data", "tank", 4, "/srv/data"),))
    folder = desired(wanted)
    plan = planned(folder, observed(folder, seen(before), resources={}))
    assert change(plan, "lxc/101").steps[0].name == first
    assert {"storage/tank:ensure", "bridge/vmbr0:ensure"} <= edges(plan, f"lxc/101:{first}")


def test_configuring_needs_no_resources() -> None:
    folder = desired(guest())
    plan = planned(folder, observed(folder, seen(guest(), fingerprint=OLD), resources={}))
    assert waits(plan, "lxc/101:check") == {"lxc/101:configure"}


def test_a_clone_is_made_after_its_sources_snapshot() -> None:
    base = replace(template(), boot=replace(template().boot, at_boot=True))
    plan = planned(desired(base, clone(101, base)), NOTHING)
    assert names(change(plan, "lxc/900")) == "create start configure stop snapshot start"
    assert "lxc/900:snapshot" in edges(plan, "lxc/101:create")
    assert "lxc/900:start.2" not in waits(plan, "lxc/101:check")
    assert change(plan, "lxc/101").after == ("bridge/vmbr0", "lxc/900", "storage/tank")


def test_a_clone_of_a_source_without_snapshot_waits_until_all_of_it_is_done() -> None:
    base = guest(900)
    plan = planned(desired(base, clone(101, base)), NOTHING)
    assert "lxc/900:check" in edges(plan, "lxc/101:create")


def test_a_clone_of_a_complete_source_waits_for_nothing() -> None:
    base = template()
    folder = desired(base, clone(101, base))
    plan = planned(folder, observed(folder, seen(base)))
    assert waits(plan, "lxc/101:create") == set()


def test_a_clone_that_is_made_anew_is_deleted_only_once_its_source_is_ready() -> None:
    base, one = template(), clone(101, template())
    folder = desired(base, one)
    plan = planned(
        folder, observed(folder, seen(replace(one, pool="old")), seen(base, snapshots=()))
    )
    assert "lxc/900:snapshot" in edges(plan, "lxc/101:stop")
    assert edges(plan, "lxc/101:delete") == {"lxc/101:stop"}


def test_an_existing_clone_does_not_wait_for_its_sources_new_snapshot() -> None:
    base, one = template(), clone(101, template())
    folder = desired(base, one)
    plan = planned(folder, observed(folder, seen(one, fingerprint=OLD), seen(base, snapshots=())))
    assert waits(plan, "lxc/101:configure") == set()


def test_a_dependent_is_made_at_once_and_started_after_its_dependencys_check() -> None:
    database = guest(101)
    api = guest(102, dependencies=(database.address,))
    plan = planned(desired(database, api), NOTHING)
    resources = {"storage/tank:ensure", "bridge/vmbr0:ensure"}
    assert waits(plan, "lxc/102:create") == resources
    for step in ("start", "configure", "check"):
        assert "lxc/101:check" in edges(plan, f"lxc/102:{step}")


def test_a_running_dependent_is_configured_after_its_dependency() -> None:
    database, api = guest(101), guest(102, dependencies=(lxc(101),))
    folder = desired(database, api)
    plan = planned(
        folder, observed(folder, seen(database, fingerprint=OLD), seen(api, fingerprint=OLD))
    )
    assert edges(plan, "lxc/102:configure") == {"lxc/101:check"}


def test_a_template_that_depends_on_its_clones_sibling() -> None:
    """Dependencies of templates count too: they are started to be configured."""
    mirror, base = guest(101), template(dependencies=(lxc(101),))
    plan = planned(desired(mirror, base, clone(102, base)), NOTHING)
    assert {"lxc/101:check", "lxc/900:start"} <= waits(plan, "lxc/900:snapshot")
    assert waits(plan, "lxc/900:create").isdisjoint({"lxc/101:create"})


def gone(*guests: Guest, **words: str) -> tuple[Desired, Observed]:
    """A stack whose files name nothing any more."""
    folder = desired(*guests)
    return replace(folder, guests={}, pools={}, bridges={}), complete(folder)


def test_pools_and_bridges_are_deleted_last() -> None:
    plan = planned(*gone(plain(101), plain(102)), prune=True)
    deletes = {"lxc/101:delete", "lxc/102:delete"}
    assert edges(plan, "storage/tank:delete") == edges(plan, "bridge/vmbr0:delete") == deletes
    assert [c.address for c in plan.changes] == [
        "lxc/101",
        "lxc/102",
        "bridge/vmbr0",
        "storage/tank",
    ]


def test_a_bridge_is_deleted_after_guests_have_moved_off_it() -> None:
    one, two = plain(101), plain(102)
    folder = desired(one, two)
    resources = {bridge("vmbr0"): STACK, bridge("old"): STACK, storage("tank"): STACK}
    moved = seen(replace(one, nics=(Nic("eth0", "old"),)))
    remade = seen(replace(two, pool="other"))
    world = observed(folder, moved, remade, resources={**resources, storage("other"): STACK})
    plan = planned(folder, world, prune=True)
    for resource in ("bridge/old", "storage/other"):
        assert {"lxc/101:update", "lxc/102:delete"} <= edges(plan, f"{resource}:delete")


def test_a_pool_is_deleted_after_a_half_made_guest_on_it_was_made_anew() -> None:
    one = plain(101)
    folder = desired(one)
    half_made = seen(replace(one, pool="old"), complete=False)
    resources = {bridge("vmbr0"): STACK, storage("tank"): STACK, storage("old"): STACK}
    plan = planned(folder, observed(folder, half_made, resources=resources), prune=True)
    assert edges(plan, "storage/old:delete") == {"lxc/101:create"}


def test_clones_are_destroyed_before_their_source() -> None:
    base, one = template(), clone(101, template())
    plan = destroy(folder := desired(base, one), complete(folder), INCUS, None)
    assert edges(plan, "lxc/900:delete") == {"lxc/101:delete"}
    plan = destroy(folder, complete(folder), INCUS, frozenset({base.address}))
    assert edges(plan, "lxc/900:delete") == set()


def test_estimates_come_from_the_driver() -> None:
    base, one = template(), clone(101, template())
    plan = planned(desired(base, one), NOTHING)
    steps = {s.id: s.estimate_s for c in plan.changes for s in c.steps}
    assert steps["lxc/900:create"] == INCUS.estimate("create", base)
    assert steps["lxc/101:create"] == INCUS.estimate("create", one)
    assert steps["lxc/900:create"] > steps["lxc/101:create"]
    path = [
        "storage/tank:ensure",
        *(f"lxc/900:{s}" for s in ("create", "start", "configure", "stop", "snapshot")),
        *(f"lxc/101:{s}" for s in ("create", "start", "configure", "check")),
    ]
    assert plan.estimate_s == pytest.approx(sum(steps[one] for one in path))
    assert change(plan, "lxc/900").estimate_s == pytest.approx(
        sum(v for k, v in steps.items() if k.startswith("lxc/900"))
    )
