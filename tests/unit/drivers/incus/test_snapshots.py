"""Snapshots from what Incus lists of a guest and of its volumes."""

from typing import Any

from phoenix_hypervisor.drivers.incus import names, snapshots

DATA = ("tank", "lxc-101-data")


def row(name: str, hour: int, **config: str) -> dict[str, Any]:
    return {"name": f"x/{name}", "created_at": at(hour), "config": config}


def at(hour: int) -> str:
    return f"2026-11-22T{hour:02}:00:00.123456789Z"


def test_what_only_a_volume_holds_is_told_as_not_whole() -> None:
    rows = [row("late", 9, **{names.STACK: "lab"}), row("early", 3)]
    held = {DATA: {"broken": at(5), "late": at(8)}}
    found = snapshots.read(rows, held, ordered=False)
    assert [(one.name, one.whole, one.left) for one in found] == [
        ("early", True, ("lxc-101-data",)),
        ("broken", False, ()),
        ("late", True, ()),
    ]
    assert [one.stack for one in found] == [None, None, "lab"]
    assert {one.above for one in found} == {()}


def test_it_stands_in_the_way_where_storage_only_goes_back_to_the_newest() -> None:
    found = snapshots.read([row("early", 3)], {DATA: {"broken": at(5)}}, ordered=True)
    assert [(one.name, one.above) for one in found] == [("early", ("broken",)), ("broken", ())]


def test_one_of_a_guest_that_was_just_being_made_is_not_whole() -> None:
    rows = [row("early", 3, **{names.STATE: names.CREATING})]
    assert [one.whole for one in snapshots.read(rows, {}, ordered=False)] == [False]
