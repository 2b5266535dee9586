"""Plans as documents: what is saved is what is applied, or it is refused."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.plan.worlds import (
    OLD,
    clone,
    complete,
    desired,
    guest,
    observed,
    plain,
    planned,
    prints,
    seen,
    template,
)

from phoenix_hypervisor import __version__
from phoenix_hypervisor.model.address import lxc, storage
from phoenix_hypervisor.model.errors import PlanStale, UsageError
from phoenix_hypervisor.model.observed import Observed, SeenResource
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.as_json import dump, load, refuse_if_edited, refuse_if_moved

BASE = template(900)
WEB = clone(101, BASE)
FOLDER = desired(BASE, WEB, plain(102), plain(103))
WORLD = observed(
    FOLDER,
    seen(BASE, fingerprint=OLD),
    seen(WEB, state="stopped"),
    seen(replace(plain(102), memory_mb=64, pool="old")),
    seen(plain(103), stack=None),
    seen(plain(104)),
)
PLAN = planned(FOLDER, WORLD)


def through_text(document: Any) -> Any:
    return json.loads(json.dumps(document))


@pytest.mark.parametrize("plan", [PLAN, planned(FOLDER, Observed()), Plan("lab", "incus")])
def test_round_trip(plan: Plan) -> None:
    document = dump(plan)
    loaded = load(through_text(document))
    assert dump(loaded) == document
    assert [c.steps for c in loaded.changes] == [c.steps for c in plan.changes]
    exact = [replace(c, estimate_s=round(c.estimate_s, 1)) for c in plan.changes]
    assert loaded == replace(plan, changes=tuple(exact), estimate_s=round(plan.estimate_s, 1))


def test_the_document_is_what_programs_were_promised() -> None:
    document = dump(PLAN)
    assert document["format"] == 1
    assert set(document) >= {"format", "changes", "unmanaged", "summary"}
    shown = {c["address"]: (c["action"], c["impact"], c["after"]) for c in document["changes"]}
    assert shown == {
        "lxc/900": ("configure", "live", []),
        "lxc/101": ("start", "live", []),
        "lxc/102": ("replace", "destructive", []),
    }
    assert document["unmanaged"] == ["lxc/103"]
    assert document["kept"] == ["lxc/104"]
    assert document["summary"] == {"configure": 1, "start": 1, "replace": 1}
    (remade,) = (c for c in document["changes"] if c["address"] == "lxc/102")
    assert remade["fields"] == [
        {"path": "memory_mb", "before": 64, "after": 512},
        {"path": "pool", "before": "old", "after": "tank"},
    ]
    assert isinstance(remade["estimate_s"], float)


def test_no_change_means_no_changes() -> None:
    assert dump(planned(FOLDER, complete(FOLDER)))["changes"] == []


@pytest.mark.parametrize("document", [None, [], "plan", {}, {"format": 2}, {"changes": []}])
def test_what_is_no_plan(document: Any) -> None:
    with pytest.raises(UsageError, match="no saved plan"):
        load(document)


def test_a_plan_of_another_version() -> None:
    with pytest.raises(UsageError, match=f"saved by phoenix 0.0.0, and this is {__version__}"):
        load(dump(PLAN) | {"version": "0.0.0"})


def without(key: str) -> dict[str, Any]:
    document = dump(PLAN)
    del document[key]
    return document


def with_change(**words: Any) -> dict[str, Any]:
    document: dict[str, Any] = through_text(dump(PLAN))
    document["changes"][0] |= words
    return document


def step(ident: str, *after: str) -> dict[str, Any]:
    return {"id": ident, "name": "start", "after": list(after), "estimate_s": 1.0}


@pytest.mark.parametrize(
    "document",
    [
        *(without(key) for key in ("stack", "driver", "changes", "basis", "kept", "notes")),
        dump(PLAN) | {"changes": [7]},
        dump(PLAN) | {"changes": None},
        dump(PLAN) | {"basis": "all well"},
        with_change(action="explode"),
        with_change(impact="none"),
        with_change(fields=[{"path": "memory_mb"}]),
        with_change(steps=[{}]),
        with_change(steps=[]),
        with_change(address="lxc"),
        with_change(reason={"a": 1}),
        with_change(steps=[step("a", "b")]),
        with_change(steps=[step("a", "a")]),
        with_change(steps=[step("a"), step("a")]),
        with_change(steps=[step("a", "b"), step("b", "a")]),
        dump(PLAN) | {"basis": {"files": "x"}},
        dump(PLAN) | {"basis": {"all lxc/101": "x"}},
        dump(PLAN) | {"estimate_s": float("nan")},
    ],
)
def test_a_damaged_plan(document: Any) -> None:
    with pytest.raises(UsageError, match="damaged"):
        load(through_text(document))


# Saved, and then the world moved


def now(folder: Any = FOLDER, world: Observed = WORLD, **options: Any) -> Plan:
    return planned(folder, world, **options)


def moved(plan: Plan) -> tuple[str, ...]:
    with pytest.raises(PlanStale) as caught:
        refuse_if_moved(load(through_text(dump(PLAN))), plan)
    assert all(one in caught.value.message for one in caught.value.moved)
    assert "phoenix plan" in caught.value.hint
    return caught.value.moved


def test_nothing_moved() -> None:
    refuse_if_moved(load(through_text(dump(PLAN))), now())


def test_how_it_was_planned_is_no_move() -> None:
    refuse_if_moved(PLAN, now(targets=frozenset({lxc(101)}), prune=True))


def test_files_moved() -> None:
    folder = desired(BASE, replace(WEB, memory_mb=64), plain(102), plain(103))
    assert moved(now(folder)) == ("lxc/101 (what the files say)",)
    newer = now(fingerprints={**prints(FOLDER), lxc(900): "newer"})
    assert moved(newer) == ("lxc/900 (what the files say)",)
    assert moved(now(desired(BASE, WEB, plain(102)))) == (
        "lxc/103 (what the files say)",
        "lxc/103 (what is really there)",
    )


def test_a_live_guest_moved() -> None:
    world = replace(WORLD, guests={**WORLD.guests, lxc(101): seen(WEB)})
    assert moved(now(world=world)) == ("lxc/101 (what is really there)",)


def test_a_guest_appeared_or_went() -> None:
    there = seen(guest(200))
    world = replace(WORLD, guests={**WORLD.guests, there.address: there})
    assert moved(now(world=world)) == ("lxc/200 (what is really there)",)
    fewer = {a: s for a, s in WORLD.guests.items() if a != lxc(102)}
    assert moved(now(world=replace(WORLD, guests=fewer))) == ("lxc/102 (what is really there)",)


def test_a_pool_went() -> None:
    fewer: dict[Any, SeenResource] = {
        a: r for a, r in WORLD.resources.items() if a != storage("tank")
    }
    assert moved(now(world=replace(WORLD, resources=fewer))) == (
        "storage/tank (what is really there)",
    )


def test_another_target() -> None:
    assert moved(replace(now(), driver="sim")) == ("the target (lab on incus: now lab on sim)",)
    assert moved(replace(now(), stack="prod")) == ("the target (lab on incus: now prod on incus)",)


@pytest.mark.parametrize(
    "edit",
    [
        {"action": "delete"},
        {"impact": "live"},
        {"fields": []},
        {"steps": [step("lxc/102:delete")]},
        {"address": "lxc/103"},
    ],
)
def test_an_edited_plan_is_refused(edit: dict[str, Any]) -> None:
    document = through_text(dump(PLAN))
    (remade,) = (one for one in document["changes"] if one["address"] == "lxc/102")
    remade |= edit
    with pytest.raises(UsageError, match="not as it was made: lxc/102"):
        refuse_if_edited(load(document), PLAN)


def test_estimates_and_reasons_may_differ() -> None:
    document = through_text(dump(PLAN))
    document["estimate_s"] = document["changes"][0]["estimate_s"] = 99
    document["changes"][0]["reason"] = "another"
    refuse_if_edited(load(document), PLAN)
