"""What nobody asks for any more, and `destroy`."""

from dataclasses import replace

from tests.unit.plan.worlds import (
    INCUS,
    STACK,
    clone,
    complete,
    desired,
    observed,
    plain,
    planned,
    seen,
    template,
)

from phoenix_hypervisor.model.address import Address, bridge, lxc, storage
from phoenix_hypervisor.model.change import Action, Impact
from phoenix_hypervisor.model.desired import Nic
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.make import destroy

STAYS = plain(101)
GOES = plain(102, pool="slow", nics=(Nic("eth0", "inner"),))
FOLDER = desired(STAYS)
BOTH = desired(STAYS, GOES)
WORLD = complete(BOTH)


def deleted(plan: Plan) -> set[Address]:
    assert {c.action for c in plan.changes} <= {Action.DELETE}
    assert {c.impact for c in plan.changes} <= {Impact.DESTRUCTIVE}
    return {c.address for c in plan.changes}


def test_what_left_the_files_is_kept() -> None:
    plan = planned(FOLDER, WORLD)
    assert plan.changes == ()
    assert plan.kept == ("lxc/102", "bridge/inner", "storage/slow")


def test_prune_deletes_it() -> None:
    plan = planned(FOLDER, WORLD, prune=True)
    assert deleted(plan) == {"lxc/102", "bridge/inner", "storage/slow"}
    assert (plan.kept, plan.notes) == ((), ())
    reasons = {c.address: c.reason for c in plan.changes}
    assert reasons[lxc(102)] == "it is no longer in the files"
    assert reasons[storage("slow")] == "nothing in the files uses it any more"


def test_prune_keeps_protected_guests_with_what_they_lie_on() -> None:
    world = replace(WORLD, guests={**WORLD.guests, lxc(102): seen(GOES, protected=True)})
    plan = planned(FOLDER, world, prune=True)
    assert deleted(plan) == set()
    assert plan.notes == (
        "lxc/102 is no longer in the files, but protected: kept",
        "bridge/inner is still used by lxc/102: kept",
        "storage/slow is still used by lxc/102: kept",
    )


def test_prune_keeps_what_others_guests_lie_on() -> None:
    foreign = seen(replace(GOES, id=500), address=lxc(500), stack=None)
    world = replace(WORLD, guests={**WORLD.guests, lxc(500): foreign})
    plan = planned(FOLDER, world, prune=True)
    assert deleted(plan) == {"lxc/102"}
    assert plan.notes[0] == "bridge/inner is still used by lxc/500: kept"


def test_resources_that_phoenix_did_not_make_are_never_deleted() -> None:
    resources = {storage("slow"): None, bridge("inner"): "other", storage("tank"): STACK}
    world = observed(BOTH, *WORLD.guests.values(), resources={**resources, bridge("vmbr0"): STACK})
    plan = planned(FOLDER, world, prune=True)
    assert deleted(plan) == {"lxc/102"}


def test_a_pool_that_the_files_leave_open_is_in_use() -> None:
    """A guest without `storage_pool` lies on the driver's own pool, which no file names."""
    open_pool = plain(103, pool=None)
    folder = desired(STAYS, open_pool)
    world = observed(folder, seen(STAYS), seen(open_pool))
    own = {**world.resources, storage("phoenix"): replace(world.resources[storage("tank")])}
    for prune in (False, True):
        plan = planned(folder, replace(world, resources=own), prune=prune)
        assert (plan.changes, plan.kept, plan.notes) == ((), (), ())


def test_targets_limit_what_is_pruned() -> None:
    third = seen(plain(103), stack=STACK)
    world = replace(WORLD, guests={**WORLD.guests, lxc(103): third})
    plan = planned(FOLDER, world, prune=True, targets=frozenset({lxc(102)}))
    assert deleted(plan) == {"lxc/102"}
    plan = planned(FOLDER, world, prune=True, targets=frozenset({lxc(101)}))
    assert (deleted(plan), plan.kept) == (set(), ())


# destroy


def destroyed(world: Observed, *wanted: str, everything: bool = False) -> Plan:
    return destroy(BOTH, world, INCUS, None if everything else frozenset(map(Address, wanted)))


def test_destroy_one() -> None:
    plan = destroyed(WORLD, "lxc/102")
    assert (deleted(plan), plan.refusals) == ({"lxc/102"}, ())
    (only,) = plan.changes
    assert (only.reason, only.name) == ("asked for", "g102")


def test_destroy_everything() -> None:
    left_over = seen(plain(300))
    world = replace(WORLD, guests={**WORLD.guests, lxc(300): left_over})
    plan = destroyed(world, everything=True)
    assert deleted(plan) == {
        "lxc/101",
        "lxc/102",
        "lxc/300",
        "bridge/vmbr0",
        "bridge/inner",
        "storage/tank",
        "storage/slow",
    }


def test_destroy_never_takes_protected_or_foreign_guests() -> None:
    guests = {
        lxc(101): seen(STAYS, protected=True),
        lxc(102): seen(GOES, stack="other"),
        lxc(103): seen(plain(103), stack=None),
    }
    world = replace(WORLD, guests=guests)
    plan = destroyed(world, "lxc/101", "lxc/102", "lxc/103", "lxc/104")
    assert plan.changes == ()
    assert plan.refusals == (
        "lxc/101 is protected: it is never deleted, whatever is asked",
        "lxc/102 was not made by this stack: it is left alone",
        "lxc/103 was not made by this stack: it is left alone",
        "lxc/104 is not there",
    )


def test_destroy_takes_the_files_word_for_protection_too() -> None:
    folder = desired(replace(STAYS, protected=True))
    plan = destroy(folder, WORLD, INCUS, frozenset({lxc(101)}))
    assert (plan.changes, len(plan.refusals)) == ((), 1)


def test_destroying_everything_leaves_protected_guests_with_what_they_lie_on() -> None:
    world = replace(WORLD, guests={**WORLD.guests, lxc(101): seen(STAYS, protected=True)})
    plan = destroyed(world, everything=True)
    assert deleted(plan) == {"lxc/102", "bridge/inner", "storage/slow"}
    assert plan.refusals == ()
    assert plan.notes == (
        "lxc/101 is protected: kept",
        "bridge/vmbr0 is still used by lxc/101: kept",
        "storage/tank is still used by lxc/101: kept",
    )


def test_destroying_everything_leaves_what_others_made() -> None:
    others = {lxc(500): seen(replace(STAYS, id=500), address=lxc(500), stack="other")}
    plan = destroyed(replace(WORLD, guests={**WORLD.guests, **others}), everything=True)
    assert lxc(500) not in deleted(plan)
    assert storage("tank") not in deleted(plan)


def test_what_cant_be_seen_cant_be_destroyed() -> None:
    world = replace(WORLD, guests={}, unknown={lxc(101): "node pve2 is offline"})
    told = ("lxc/101 can't be seen: node pve2 is offline",)
    assert destroyed(world, "lxc/101").refusals == told
    assert destroyed(world, everything=True).refusals == told


def test_a_clone_and_its_source() -> None:
    base = template()
    folder = desired(base, clone(101, base))
    plan = destroy(folder, complete(folder), INCUS, None)
    assert [c.address for c in plan.changes] == [
        "lxc/101",
        "lxc/900",
        "bridge/vmbr0",
        "storage/tank",
    ]
    assert plan.estimate_s == 3 * INCUS.estimate("delete", None)
