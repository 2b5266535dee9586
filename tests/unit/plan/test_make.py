"""Whole plans: refusals, targets, what the basis of a saved plan holds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.plan.worlds import (
    INCUS,
    NEW,
    OLD,
    STACK,
    change,
    clone,
    complete,
    desired,
    names,
    observed,
    plain,
    planned,
    prints,
    seen,
    template,
)

from phoenix_hypervisor.model.address import bridge, lxc, storage, vm
from phoenix_hypervisor.model.change import Action, Impact
from phoenix_hypervisor.model.desired import Image, Nic, Volume
from phoenix_hypervisor.model.observed import Observed, Snapshot

BASE = template(900)
DATABASE = clone(101, BASE, pool="fast")
API = clone(102, BASE, dependencies=(lxc(101),), nics=(Nic("eth0", "inner"),))
LONELY = plain(103, pool="slow", nics=())
FOLDER = desired(BASE, DATABASE, API, LONELY)


def test_a_complete_world_needs_nothing() -> None:
    plan = planned(FOLDER, complete(FOLDER))
    assert (plan.changes, plan.refusals, plan.kept, plan.unmanaged) == ((), (), (), ())
    assert (plan.summary, plan.estimate_s) == ({}, 0)
    assert (plan.stack, plan.driver) == (STACK, "incus")


def test_an_empty_world_needs_everything() -> None:
    plan = planned(FOLDER, Observed())
    assert plan.summary == {"create": 9}
    assert {c.impact for c in plan.changes} == {Impact.LIVE}
    assert change(plan, "lxc/101").name == "g101"
    assert change(plan, "storage/tank").reason == "it is not there, and guests use it"


def test_memory_is_exactly_one_live_update() -> None:
    wanted = replace(API, memory_mb=1024)
    folder = desired(BASE, DATABASE, wanted, LONELY)
    plan = planned(folder, complete(FOLDER))
    (only,) = plan.changes
    assert (only.address, only.action, only.impact) == ("lxc/102", Action.UPDATE, Impact.LIVE)
    assert [(f.path, f.before, f.after) for f in only.fields] == [("memory_mb", 512, 1024)]


def test_a_features_fingerprint_is_exactly_one_configure() -> None:
    plan = planned(FOLDER, complete(FOLDER), fingerprints={**prints(FOLDER), lxc(102): "newer"})
    (only,) = plan.changes
    assert (only.address, only.action, names(only)) == (
        "lxc/102",
        Action.CONFIGURE,
        "configure check",
    )


@pytest.mark.parametrize("owner", [None, "other"])
def test_a_foreign_guest_with_a_wanted_id_is_refused_and_untouched(owner: str | None) -> None:
    foreign = seen(DATABASE, stack=owner, fields={"memory_mb": 64}, state="stopped", complete=False)
    world = observed(FOLDER, seen(BASE), foreign, seen(API), seen(LONELY))
    plan = planned(FOLDER, world, prune=True)
    assert plan.changes == ()
    assert plan.unmanaged == ("lxc/101",)
    (refusal,) = plan.refusals
    assert refusal.startswith("lxc/101: the id is taken by “g101”")


def test_others_guests_are_listed_in_order_and_left_alone() -> None:
    others = [seen(plain(n), stack=None) for n in (1000, 200)]
    others.append(seen(plain(300), stack="other", address=vm(300)))
    plan = planned(folder := desired(plain()), observed(folder, *others), prune=True)
    assert plan.unmanaged == ("lxc/200", "lxc/1000", "vm/300")
    assert [c.address for c in plan.changes] == ["lxc/101"]


def test_what_cant_be_seen_is_refused_not_created() -> None:
    world = replace(
        complete(FOLDER),
        guests={BASE.address: seen(BASE), LONELY.address: seen(LONELY)},
        unknown={lxc(101): "node pve2 is offline", lxc(700): "node pve2 is offline"},
    )
    plan = planned(FOLDER, world)
    assert plan.refusals == ("lxc/101 can't be seen: node pve2 is offline",)
    assert [c.address for c in plan.changes] == ["lxc/102"]


def test_a_pool_that_cant_be_seen_is_refused_not_created() -> None:
    world = replace(observed(desired(), *complete(FOLDER).guests.values()))
    known = {bridge("vmbr0"): STACK, bridge("inner"): None, storage("fast"): None}
    world = observed(FOLDER, *world.guests.values(), resources={**known, storage("tank"): None})
    plan = planned(FOLDER, replace(world, unknown={storage("slow"): "no Datastore.Audit"}))
    assert plan.refusals == ("storage/slow can't be seen: no Datastore.Audit",)
    assert plan.changes == ()


def test_problems_and_remarks_of_the_driver_are_told() -> None:
    folder = desired(replace(LONELY, source=Image("windows-3.11"), gpus=(0,)))
    plan = planned(folder, Observed())
    (refusal,) = plan.refusals
    assert "windows-3.11" in refusal
    assert plan.notes[0] == "lxc/103: GPUs are not handed to guests on incus yet"


# Targets


def test_a_target_brings_along_what_it_needs() -> None:
    plan = planned(FOLDER, Observed(), targets=frozenset({lxc(102)}))
    assert {c.address for c in plan.changes} == {
        "bridge/inner",
        "bridge/vmbr0",
        "storage/fast",  # of its dependency
        "storage/tank",
        "lxc/900",
        "lxc/101",
        "lxc/102",
    }


def test_a_target_brings_the_pools_of_its_volumes() -> None:
    one = plain(nics=(), volumes=(Volume("data", "deep", 1, "/srv"),))
    plan = planned(desired(one, LONELY), Observed(), targets=frozenset({lxc(101)}))
    assert {c.address for c in plan.changes} == {"storage/deep", "storage/tank", "lxc/101"}


def test_a_target_leaves_out_its_clones_and_dependents() -> None:
    plan = planned(FOLDER, Observed(), targets=frozenset({lxc(900)}))
    assert {c.address for c in plan.changes} == {"bridge/vmbr0", "storage/tank", "lxc/900"}


def test_a_pool_can_be_a_target() -> None:
    plan = planned(FOLDER, Observed(), targets=frozenset({storage("slow")}))
    assert [c.address for c in plan.changes] == ["storage/slow"]


def test_what_is_wrong_outside_of_the_targets_does_not_hinder_them() -> None:
    machine = replace(plain(200), address=vm(200), kind="vm")
    folder = desired(BASE, LONELY, machine, replace(DATABASE, gpus=(0,)))
    foreign = seen(DATABASE, stack=None)
    everything = planned(folder, observed(folder, foreign))
    assert [r.split()[0] for r in everything.refusals] == ["lxc/101:", "vm/200:"]
    assert any(note.startswith("lxc/101: GPUs") for note in everything.notes)
    plan = planned(folder, observed(folder, foreign), targets=frozenset({lxc(103)}))
    assert plan.refusals == ()
    assert not any("lxc/101" in note for note in plan.notes)
    assert [c.address for c in plan.changes] == ["lxc/103"]


# Sameness


def test_the_same_input_gives_the_same_plan_in_any_order_of_the_world() -> None:
    world = complete(FOLDER)
    others = {lxc(n): seen(plain(n), stack=STACK) for n in (300, 301)}
    first = replace(world, guests={**world.guests, **others}, resources={})
    turned = replace(first, guests=dict(reversed(list(first.guests.items()))))
    assert planned(FOLDER, first, prune=True) == planned(FOLDER, turned, prune=True)


# The basis of a saved plan

WORLD = complete(FOLDER)
BASIS = planned(FOLDER, WORLD).basis


def differing(basis: dict[str, str]) -> set[str]:
    return {key for key in {*basis, *BASIS} if basis.get(key) != BASIS.get(key)}


@pytest.mark.parametrize(
    ("words", "moves"),
    [
        ({"state": "stopped"}, True),
        ({"fingerprint": OLD}, True),
        ({"complete": False}, True),
        ({"stack": None}, True),
        ({"protected": True}, True),
        ({"pending": ("nesting",)}, True),
        ({"snapshots": (Snapshot("by-hand"),)}, True),
        ({"fields": {**INCUS.project(DATABASE), "memory_mb": 1}}, True),
        ({"addresses": ("10.0.0.7",)}, False),
        ({"token": "digest"}, False),
    ],
)
def test_what_moves_the_live_side(words: dict[str, Any], moves: bool) -> None:
    world = replace(WORLD, guests={**WORLD.guests, lxc(101): seen(DATABASE, **words)})
    expected = {"live lxc/101"} if moves else set()
    assert differing(dict(planned(FOLDER, world).basis)) == expected


def test_what_moves_the_side_of_the_files() -> None:
    folder = desired(BASE, DATABASE, API, replace(LONELY, memory_mb=64))
    assert differing(dict(planned(folder, WORLD).basis)) == {"files lxc/103"}
    newer = planned(FOLDER, WORLD, fingerprints={**prints(FOLDER), lxc(101): NEW + "er"})
    assert differing(dict(newer.basis)) == {"files lxc/101"}
    larger = {**FOLDER.pools, storage("tank"): replace(FOLDER.pools[storage("tank")], size_gb=99)}
    assert differing(dict(planned(replace(FOLDER, pools=larger), WORLD).basis)) == {
        "files storage/tank"
    }


def test_guests_that_come_and_go_move_it_only_where_they_matter() -> None:
    def with_guest(number: int, stack: str | None) -> dict[str, str]:
        one = seen(plain(number), stack=stack)
        world = replace(WORLD, guests={**WORLD.guests, one.address: one})
        return dict(planned(FOLDER, world).basis)

    assert differing(with_guest(500, None)) == set()
    assert differing(with_guest(500, STACK)) == {"live lxc/500"}
    without = {a: s for a, s in WORLD.guests.items() if a != lxc(103)}
    assert differing(dict(planned(FOLDER, replace(WORLD, guests=without)).basis)) == {
        "live lxc/103"
    }


def test_the_folders_place_on_the_disk_does_not_count() -> None:
    folder = replace(FOLDER, folder=Path("/elsewhere"))
    assert differing(dict(planned(folder, WORLD).basis)) == set()
