"""Which guests were there before: by the history, else by what was measured."""

import time
from pathlib import Path

import pytest
from tests.unit.history.runs import keep

from phoenix_hypervisor.app.watching import made
from phoenix_hypervisor.history import database
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.event import Event
from phoenix_hypervisor.watch.store import WHOLE, Store
from phoenix_hypervisor.watch.time_line import State, Stretch

A, B = lxc(101), lxc(102)


def ended(action: str, step: str) -> Event:
    return Event("finished", A, action, step, 1.0)


def test_of_a_folder_without_a_past_none_was_there(tmp_path: Path) -> None:
    assert made.before(tmp_path, "sim", {A, B}) == set()


@pytest.mark.parametrize(
    ("events", "was_there"),
    [
        ([ended("create", "create")], True),
        ([ended("create", "create"), ended("delete", "delete")], False),
        ([ended("create", "create"), ended("delete", "stop")], True),
        ([ended("replace", "delete")], True),
        ([ended("delete", "delete"), ended("create", "create")], True),
        ([Event("started", A, "create", "create", 1.0)], False),
    ],
)
def test_what_runs_did_last_counts(tmp_path: Path, events: list[Event], *, was_there: bool) -> None:
    for number, one in enumerate(events):
        keep(tmp_path, f"run{number}", [one])
    assert made.before(tmp_path, "sim", {A, B}) == ({A} if was_there else set())


def test_what_healing_deletes_is_still_missed(tmp_path: Path) -> None:
    keep(tmp_path, "run1", [ended("create", "create")])
    keep(tmp_path, "run2", [ended("delete", "delete")], command="phoenix watch: destroy lxc/101")
    assert made.before(tmp_path, "sim", {A}) == {A}
    keep(tmp_path, "run3", [ended("delete", "delete")], command="phoenix destroy web")
    assert made.before(tmp_path, "sim", {A}) == set()


def test_another_target_is_another_world(tmp_path: Path) -> None:
    keep(tmp_path, "run", [ended("create", "create")], target="proxmox https://pve:8006")
    assert made.before(tmp_path, "sim", {A}) == set()
    assert made.before(tmp_path, "proxmox", {A}) == {A}


def test_without_a_history_one_that_was_up_was_there(tmp_path: Path) -> None:
    now = time.time()
    Store.create(tmp_path).write(
        [],
        [
            ((A, WHOLE), Stretch(now - 600, now - 300, State.UP)),
            ((B, WHOLE), Stretch(now - 600, now - 300, State.DOWN)),
        ],
    )
    assert made.before(tmp_path, "sim", {A, B}) == {A}
    keep(tmp_path, "run", [ended("delete", "delete")])
    assert made.before(tmp_path, "sim", {A, B}) == set()


def test_what_can_not_be_read_is_missed(tmp_path: Path) -> None:
    file = database.path(tmp_path)
    file.parent.mkdir()
    file.write_bytes(b"no database" * 1000)
    assert made.before(tmp_path, "sim", {A}) == {A}
