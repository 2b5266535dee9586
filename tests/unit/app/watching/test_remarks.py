"""What is told beside how guests are, while somebody watches."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.plan.worlds import desired, plain

from phoenix_hypervisor.app.watching import only_one, told_before
from phoenix_hypervisor.app.watching.remarks import remarks
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.watch import Maintenance, Once, Watch
from phoenix_hypervisor.model.watching import Happening, What
from phoenix_hypervisor.watch.alerting import Condition
from phoenix_hypervisor.watch.store import Store

A, B = lxc(101), lxc(102)


@pytest.fixture
def wanted(tmp_path: Path) -> Desired:
    return desired(plain(101), plain(102), folder=tmp_path)


def told(wanted: Desired) -> list[tuple[str, str]]:
    with only_one.hold(wanted.folder, "sim"):
        return [(one.kind, one.text) for one in remarks(wanted)]


def happened(wanted: Desired, *words: What) -> None:
    now = time.time()
    found = [Happening(now - 90 + n, what, A, f"{what} it is") for n, what in enumerate(words)]
    Store.create(wanted.folder).write([], [], found)


def test_a_maintenance_window(wanted: Desired) -> None:
    now = time.time()
    window = Maintenance(Once(now - 60, now + 60), (B,), "patches")
    away = replace(wanted, watch=Watch(maintenance=(window,)))
    assert told(away) == [("maintenance", "lxc/102: maintenance: patches")]
    assert remarks(away) == []  # nobody watches


def test_an_alert_with_its_reason_of_now(wanted: Desired) -> None:
    then = Happening(time.time() - 60, "alert", A, "a is down: refused", "page down lxc/101")
    Store.create(wanted.folder).write([], [], [then])
    assert told(wanted) == [("page", "a is down: refused")]
    present = Condition("down lxc/101", "page", A, then.at, "a is down: 502")
    told_before.keep(wanted.folder, [present])
    assert told(wanted) == [("page", "a is down: 502")]
    [one] = told_before.active(wanted.folder)
    assert (one.text, one.since) == ("a is down: 502", then.at)


def test_one_that_nobody_could_be_told_yet(wanted: Desired) -> None:
    Store.create(wanted.folder).write([], [], [])
    one = Condition("down lxc/101", "page", A, time.time() - 60, "a is down: refused")
    told_before.keep(wanted.folder, [one], {one.key})
    assert told(wanted) == [("page", "a is down: refused (nobody could be told yet)")]
    sent = Happening(time.time(), "alert", A, "a is down: refused", "page down lxc/101")
    Store.create(wanted.folder).write([], [], [sent])
    assert told(wanted) == [("page", "a is down: refused")]
    told_before.keep(wanted.folder, [])
    over = Happening(time.time(), "resolved", A, "a is down: refused", "page down lxc/101")
    Store.create(wanted.folder).write([], [], [over])
    assert told(wanted) == []


@pytest.mark.parametrize("words", [b"no json", b"[1]", b'{"down lxc/101": 1}'])
def test_damaged_words_of_now_leave_those_of_then(wanted: Desired, words: bytes) -> None:
    then = Happening(time.time() - 60, "alert", A, "a is down: refused", "page down lxc/101")
    Store.create(wanted.folder).write([], [], [then])
    (wanted.folder / ".phoenix" / "alerts.json").write_bytes(words)
    assert told(wanted) == [("page", "a is down: refused")]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("down", "held"), [("held", "lxc/101: held it is")]),
        (("down", "heal", "gave-up"), [("gave-up", "lxc/101: gave-up it is")]),
        (("down", "held", "heal"), []),
        (("down", "held", "up"), []),
        (("down", "held", "up", "down"), []),
        (("down", "gave-up", "up", "down", "held"), [("held", "lxc/101: held it is")]),
        (("held",), []),
    ],
)
def test_one_that_is_down_and_left_alone(
    wanted: Desired, words: tuple[What, ...], found: list[tuple[str, str]]
) -> None:
    happened(wanted, *words)
    assert told(wanted) == found


def test_giving_up_is_told_once(wanted: Desired) -> None:
    happened(wanted, "down", "gave-up")
    alert = Happening(time.time(), "alert", A, "a is not healed any more", "page gave-up lxc/101")
    Store.create(wanted.folder).write([], [], [alert])
    assert told(wanted) == [("page", "a is not healed any more")]
