"""Promises against measurements in a real file; shares and budgets were computed by hand."""

import json
import math
from pathlib import Path

import pytest
from tests.unit.plan.worlds import desired, guest

from phoenix_hypervisor.app import objectives
from phoenix_hypervisor.app.objectives import Objective
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.check import Slo
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.errors import DataUnreadable
from phoenix_hypervisor.model.watching import Answer, Health
from phoenix_hypervisor.watch import database
from phoenix_hypervisor.watch.store import WHOLE, Store
from phoenix_hypervisor.watch.time_line import State, Stretch

HOUR, DAY = 3600, 86400
NOW = 1_790_000_000 // DAY * DAY + 12 * HOUR
WEB, DB = lxc(101), lxc(102)


@pytest.fixture
def wanted(tmp_path: Path) -> Desired:
    guests = [
        guest(101, features=(), slo=Slo(99.9, 200.0)),
        guest(102, features=()),
        guest(103, features=(), snapshot_name="base"),
    ]
    return desired(*guests, folder=tmp_path)


def answer(at: float, *, slow: bool = False, failed: bool = False, health: Health = "up") -> Answer:
    health = "down" if failed else health
    return Answer(WEB, "http", "http", at, health, latency_ms=10, slow=slow)


def measured(wanted: Desired, now: float = NOW) -> dict[str, Objective]:
    return {one.guest: one for one in objectives.measured(wanted, now)}


def test_nothing_was_ever_watched(wanted: Desired) -> None:
    found = measured(wanted)
    assert list(found) == [WEB, DB]  # a template promises nothing
    kept = found[WEB].windows["30d"]
    assert (kept.watched, kept.totals.availability, kept.in_time) == (0, None, None)
    assert kept.budget is not None
    assert (kept.budget.left, kept.budget.kept) == (1, None)
    assert not found[WEB].broken
    assert found[DB].windows["30d"].budget is None


def test_an_hour_with_a_fault(wanted: Desired) -> None:
    store = Store.create(wanted.folder)
    begin = NOW - HOUR
    store.write(
        [answer(begin + n, slow=n == 0) for n in range(20)]
        + [answer(begin + 30 + n, failed=True) for n in range(5)],
        [
            ((WEB, WHOLE), Stretch(begin, begin + 3000, State.UP)),
            ((WEB, WHOLE), Stretch(begin + 3000, begin + 3018, State.DOWN)),
            ((WEB, WHOLE), Stretch(begin + 3018, begin + 3300, State.PLANNED)),
            ((WEB, WHOLE), Stretch(begin + 3300, NOW, State.UP)),
        ],
    )
    web = measured(wanted)[WEB]
    hour, month = web.windows["1h"], web.windows["30d"]
    assert hour.watched == 1
    assert hour.totals.availability == pytest.approx(3300 / 3318)
    assert hour.budget is not None
    assert hour.budget.allowed_s == pytest.approx(3.318)  # of 3600 s but the 282 planned ones
    assert hour.budget.kept is False
    assert month.watched == pytest.approx(1 / 720)
    assert month.budget is not None
    assert month.budget.left_s == pytest.approx((30 * DAY - 282) / 1000 - 18)
    assert month.budget.kept is None
    assert not web.broken  # the promise is about 30 days
    assert web.rate == pytest.approx(18 / 3600 / 0.001)
    assert (month.answers, month.slow, month.in_time) == (20, 1, True)


def test_a_broken_promise_of_availability(wanted: Desired) -> None:
    store = Store.create(wanted.folder)
    store.write([], [((WEB, WHOLE), Stretch(NOW - HOUR, NOW, State.DOWN))])
    web = measured(wanted)[WEB]
    assert web.broken
    assert web.burning is not None
    assert web.burning.rule.severity == "page"
    assert web.burning.rate == pytest.approx(1000)


def test_a_broken_promise_of_latency(wanted: Desired) -> None:
    store = Store.create(wanted.folder)
    store.write([answer(NOW - 100 + n, slow=n < 2) for n in range(20)], [])
    web = measured(wanted)[WEB]
    assert web.windows["30d"].in_time is False
    assert web.broken
    assert web.windows["30d"].budget is not None
    assert web.windows["30d"].budget.kept is None


@pytest.mark.parametrize(
    ("counts", "other", "kept"),
    [
        ((50, 50, 0), "planned", False),
        ((50, 50, 0), "unknown", False),
        ((4, 96, 0), "planned", True),
        ((0, 380, 20), "planned", True),
        ((20, 370, 20), "unknown", False),
    ],
)
def test_only_answers_while_it_was_up_are_in_time_or_late(
    wanted: Desired, counts: tuple[int, int, int], other: Health, kept: bool
) -> None:
    late, quick, failed_late = counts
    answers = [answer(NOW - 1000 + n, slow=n < late) for n in range(late + quick)]
    answers += [answer(NOW - 500 + n, slow=True, failed=True) for n in range(failed_late)]
    answers += [answer(NOW - 400 + n / 10, health=other) for n in range(900)]
    Store.create(wanted.folder).write(answers, [])
    month = measured(wanted)[WEB].windows["30d"]
    assert (month.answers, month.slow, month.in_time) == (late + quick, late, kept)


def test_the_document_is_json_whatever_was_promised(tmp_path: Path) -> None:
    wanted = desired(guest(101, features=(), slo=Slo(100.0)), folder=tmp_path)
    store = Store.create(tmp_path)
    store.write([], [((WEB, WHOLE), Stretch(NOW - HOUR, NOW, State.DOWN))])
    found = objectives.measured(wanted, NOW)
    assert found[0].rate == math.inf
    told = json.loads(json.dumps(objectives.document(found), allow_nan=False))
    [web] = told["guests"]
    assert not told["ok"]
    assert web["broken"]
    assert web["burn_rate"] is None
    assert web["burning"] == "page"
    assert (web["windows"]["30d"]["left"], web["windows"]["30d"]["left_s"]) == (None, -3600)
    assert web["windows"]["30d"]["kept"] is False


def test_a_damaged_file_is_told(wanted: Desired) -> None:
    Store.create(wanted.folder).close()
    file = database.path(wanted.folder)
    for one in file.parent.glob("watch.sqlite3-*"):
        one.unlink()
    data = bytearray(file.read_bytes())
    data[4096:] = b"\x77" * (len(data) - 4096)
    file.write_bytes(data)
    with pytest.raises(DataUnreadable):
        objectives.measured(wanted, NOW)
