"""What is wrong now: by how guests are, by what was recorded, and by their budgets."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.plan.worlds import desired, guest

from phoenix_hypervisor.app import objectives
from phoenix_hypervisor.app.watching import conditions as module
from phoenix_hypervisor.app.watching import told_before
from phoenix_hypervisor.app.watching.conditions import Conditions, Healing, of_guest
from phoenix_hypervisor.app.watching.patient import FullDisks
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.check import Slo
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.observed import GuestState
from phoenix_hypervisor.model.watch import AlertWords
from phoenix_hypervisor.model.watching import Answer, GuestChanged, Happening, Health
from phoenix_hypervisor.watch import database
from phoenix_hypervisor.watch.alerting import Alerting, Condition
from phoenix_hypervisor.watch.judge import UNANSWERED
from phoenix_hypervisor.watch.store import WHOLE, Store
from phoenix_hypervisor.watch.time_line import State, Stretch

NOW = 1_800_000_000 // 3600 * 3600.0
WEB = lxc(101)
WORDS = AlertWords(after_s=30, unknown_s=300)
WELL = Healing({}, {})


@pytest.fixture
def wanted(tmp_path: Path) -> Desired:
    return desired(guest(101, features=(), slo=Slo(99.9)), folder=tmp_path)


def status(health: Health, since: float, state: GuestState = "running") -> GuestStatus:
    why = "" if health == "up" else "http :80/ refused"
    return GuestStatus(WEB, "web", state, health, since, (), why)


async def wrong(
    conditions: Conditions, statuses: list[GuestStatus], now: float, healing: Healing | None
) -> list[Condition]:
    await conditions.measure(now)
    return conditions.now(statuses, now, healing)


def kinds(found: object) -> list[tuple[str, bool]]:
    return [(one.key, one.sure) for one in found]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("health", "for_s", "found"),
    [
        ("up", 1000, []),
        ("down", 29, [("down lxc/101", False)]),
        ("down", 30, [("down lxc/101", True)]),
        ("planned", 1000, [("down lxc/101", False), ("unknown lxc/101", False)]),
        ("unknown", 299, [("down lxc/101", False), ("unknown lxc/101", False)]),
        ("unknown", 300, [("down lxc/101", False), ("unknown lxc/101", True)]),
    ],
)
def test_how_a_guest_is(health: Health, for_s: float, found: list[tuple[str, bool]]) -> None:
    assert kinds(of_guest(status(health, NOW - for_s), WORDS, NOW)) == found


def test_the_text_says_what_is_wrong() -> None:
    [told] = of_guest(status("down", NOW - 60), WORDS, NOW)
    assert (told.severity, told.since) == ("page", NOW - 60)
    assert told.text == "lxc/101 (web) is down: http :80/ refused"


def test_one_that_somebody_stopped_wakes_nobody() -> None:
    change = GuestChanged(WEB, "stopped", NOW - 60, by="root")
    by_hand = GuestStatus(WEB, "web", "stopped", "down", NOW - 60, (), "it is stopped", change)
    [told] = of_guest(by_hand, WORDS, NOW)
    assert told.severity == "ticket"
    assert told.text == "lxc/101 (web) is down: it is stopped (root asked for it)"


def test_one_that_was_never_made_is_not_missed() -> None:
    never = replace(status("unknown", NOW - 9000, "absent"), made=False)
    assert list(of_guest(never, WORDS, NOW)) == []


@pytest.mark.parametrize("by", ["root", None])
def test_one_that_is_paused_wakes_nobody(by: str | None) -> None:
    change = GuestChanged(WEB, "stopped", NOW - 60, by=by, paused=True) if by else None
    paused = GuestStatus(
        WEB, "web", "stopped", "down", NOW - 60, (), "it is paused", change, paused=True
    )
    [told] = of_guest(paused, WORDS, NOW)
    assert told.severity == "ticket"
    assert told.text == f"lxc/101 (web) is down: it is paused ({by or 'somebody'} asked for it)"


@pytest.mark.parametrize(
    ("state", "why", "told"),
    [
        ("stopped", "it is stopped", "502"),
        ("running", UNANSWERED, "502"),
        ("running", "refused", "refused"),
    ],
)
def test_what_a_step_of_healing_does_is_not_the_reason(
    state: GuestState, why: str, told: str
) -> None:
    change = GuestChanged(WEB, state, NOW - 2, by="root")
    found = GuestStatus(WEB, "web", state, "down", NOW - 60, (), why, change)
    [down] = of_guest(found, WORDS, NOW, "502")
    assert (down.severity, down.text) == ("page", f"lxc/101 (web) is down: {told}")


@pytest.mark.parametrize(
    ("state", "severity"), [("stopped", "ticket"), ("absent", "page"), ("running", "page")]
)
def test_who_asked_for_it_is_who_stopped_it(state: GuestState, severity: str) -> None:
    change = GuestChanged(WEB, state, NOW - 9000, by="root")
    stopped = GuestStatus(WEB, "web", "stopped", "down", NOW - 60, (), "it is stopped", change)
    if state == "absent":
        stopped = replace(stopped, state="absent")
    [told] = of_guest(stopped, WORDS, NOW)
    assert told.severity == severity
    assert ("root" in told.text) == (severity == "ticket")


async def test_healing_that_gave_up_until_the_guest_is_up(wanted: Desired) -> None:
    async def among(health: Health, healing: Healing | None) -> list[tuple[str, bool]]:
        found = await wrong(Conditions(wanted), [status(health, NOW - 60)], NOW, healing)
        return [one for one in kinds(found) if one[0].startswith("gave-up")]

    gave_up = Healing({}, {WEB: (NOW - 30, "6 steps")})
    assert await among("down", WELL) == []
    assert await among("down", gave_up) == [("gave-up lxc/101", True)]
    assert await among("unknown", gave_up) == [("gave-up lxc/101", False)]
    assert await among("up", gave_up) == []
    assert await among("down", None) == [("gave-up lxc/101", False)]
    [told] = [
        one
        for one in await wrong(Conditions(wanted), [status("down", NOW - 60)], NOW, gave_up)
        if one.key.startswith("gave-up")
    ]
    assert (told.severity, told.since) == ("page", NOW - 30)
    assert told.text == "lxc/101 (web) is not healed any more: 6 steps"


async def test_a_giving_up_of_an_earlier_life_is_in_no_record_that_counts(wanted: Desired) -> None:
    store = Store.create(wanted.folder)
    store.write([], [], [Happening(NOW - 300_000, "gave-up", WEB, "all steps were tried")])
    found = await wrong(Conditions(wanted), [status("down", NOW - 10)], NOW, WELL)
    assert "gave-up lxc/101" not in {one.key for one in found}


async def test_a_full_disk_is_told_of_a_guest_that_is_up(wanted: Desired) -> None:
    healing = Healing({WEB: FullDisks(NOW - 5, ("/", "/data"))}, {})
    found = await wrong(Conditions(wanted), [status("up", NOW)], NOW, healing)
    [full] = [one for one in found if one.key == "full lxc/101"]
    assert (full.severity, full.since, full.sure) == ("page", NOW - 5, True)
    assert full.text == "the disk of lxc/101 (web) takes nothing more: /, /data"


@pytest.mark.parametrize("healing", [None, Healing({WEB: FullDisks(NOW, sure=False)}, {})])
async def test_what_was_told_of_a_full_disk_is_not_over_before_somebody_looked(
    wanted: Desired, healing: Healing | None
) -> None:
    told = Happening(NOW - 100, "alert", WEB, "the disk takes nothing more: /", "page full lxc/101")
    alerting = Alerting(group_s=10, remind_s=3600)
    alerting.restore([told])
    conditions = Conditions(wanted)
    for second in range(0, 60, 5):
        found = await wrong(conditions, [status("up", NOW)], NOW + second, healing)
        assert alerting.update(found, NOW + second) == []
    changes = []
    for second in range(60, 90, 5):
        found = await wrong(conditions, [status("up", NOW)], NOW + second, WELL)
        changes += alerting.update(found, NOW + second)
    assert [one.kind for one in changes] == ["resolved"]


async def test_a_budget_that_burns_and_one_of_which_little_is_known(wanted: Desired) -> None:
    store = Store.create(wanted.folder)
    assert kinds(await wrong(Conditions(wanted), [], NOW, WELL)) == [("budget lxc/101", False)]
    store.write([], [((WEB, WHOLE), Stretch(NOW - 3600, NOW - 400, State.UP))])
    assert kinds(await wrong(Conditions(wanted), [], NOW, WELL)) == [("budget lxc/101", False)]
    store.write([], [((WEB, WHOLE), Stretch(NOW - 400, NOW - 200, State.UP))])
    assert kinds(await wrong(Conditions(wanted), [], NOW, WELL)) == [("budget lxc/101", False)]
    store.write([], [((WEB, WHOLE), Stretch(NOW - 200, NOW, State.DOWN))])
    [burns] = await wrong(Conditions(wanted), [], NOW, WELL)
    assert (burns.key, burns.severity, burns.sure) == ("budget lxc/101", "page", True)
    # 200 of 3600 s in the hour, against a thousandth.
    assert burns.text.startswith("lxc/101 (g101) uses up its error budget of 99.9 % too fast")
    assert "55.6 times as fast as allowed in the last 60 min" in burns.text


async def test_answers_slower_than_promised_are_a_ticket(tmp_path: Path) -> None:
    wanted = desired(guest(101, features=(), slo=Slo(None, 2000.0)), folder=tmp_path)
    store = Store.create(tmp_path)

    def answered(count: int, *, slow: bool) -> None:
        at = (NOW - 60 + n for n in range(count))
        store.write([Answer(WEB, "llm", "llm", t, "up", "", 2500.0, slow=slow) for t in at], [], [])

    [few] = await wrong(Conditions(wanted), [], NOW, WELL)
    assert (few.key, few.sure) == ("slow lxc/101", False)
    assert few.text == "lxc/101 (g101) answers slower than promised"
    answered(19, slow=False)
    answered(2, slow=True)
    [told] = await wrong(Conditions(wanted), [], NOW, WELL)
    assert (told.key, told.severity, told.sure) == ("slow lxc/101", "ticket", True)
    assert told.text == (
        "lxc/101 (g101) answers slower than promised: 10% of its answers of the last hour took "
        "more than 2000 ms"
    )
    answered(21, slow=False)
    assert await wrong(Conditions(wanted), [], NOW, WELL) == []


async def test_a_budget_that_is_well(wanted: Desired) -> None:
    Store.create(wanted.folder).write([], [((WEB, WHOLE), Stretch(NOW - 600, NOW, State.UP))])
    assert await wrong(Conditions(wanted), [], NOW, WELL) == []


async def test_a_file_that_can_not_be_read_ends_nothing(wanted: Desired) -> None:
    store = Store.create(wanted.folder)
    store.write(
        [],
        [((WEB, WHOLE), Stretch(NOW - 600, NOW, State.DOWN))],
    )
    gave_up = Healing({}, {WEB: (NOW, "6 steps")})
    conditions = Conditions(wanted)
    before = await wrong(conditions, [status("down", NOW - 60)], NOW, gave_up)
    assert {one.key for one in before if one.sure} == {
        "down lxc/101",
        "gave-up lxc/101",
        "budget lxc/101",
    }
    store.close()
    database.path(wanted.folder).write_bytes(b"no database" * 1000)
    after = await wrong(conditions, [status("down", NOW - 60)], NOW + 120, gave_up)
    assert {one.key: one.sure for one in after} == {
        "down lxc/101": True,
        "gave-up lxc/101": True,
        "budget lxc/101": False,
    }


async def test_a_first_look_at_a_file_that_can_not_be_read_ends_no_alert(wanted: Desired) -> None:
    Store.create(wanted.folder).close()
    database.path(wanted.folder).write_bytes(b"no database" * 1000)
    found = await wrong(Conditions(wanted), [status("up", NOW - 60)], NOW, WELL)
    assert kinds(found) == [("budget lxc/101", False)]


def test_what_was_told_and_is_not_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)
    assert told_before.active(tmp_path) == []
    Store.create(tmp_path).write(
        [],
        [],
        [
            Happening(NOW - 90, "alert", WEB, "web is down", "page down lxc/101"),
            Happening(NOW - 80, "down", WEB, "refused"),
            Happening(NOW - 70, "alert", "", "nothing is known of vm/201", "ticket unknown vm/201"),
            Happening(NOW - 60, "resolved", WEB, "web is down", "page down lxc/101"),
            Happening(NOW - 40 * 86400, "alert", WEB, "long ago", "page budget lxc/101"),
        ],
    )
    [only] = told_before.active(tmp_path)
    assert (only.key, only.severity, only.since) == ("unknown vm/201", "ticket", NOW - 70)


async def test_guests_are_told_of_while_a_disk_hangs_and_budgets_are_not_sure(
    wanted: Desired, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = threading.Event()
    monkeypatch.setattr(module, "_READ_S", 0.05)
    monkeypatch.setattr(objectives, "measured", lambda *_: hangs.wait(20) and [])
    conditions = Conditions(wanted)
    measuring = asyncio.create_task(conditions.measure(NOW))
    await asyncio.sleep(0)
    found = {"down lxc/101": True, "budget lxc/101": False}
    down = [status("down", NOW - 60)]
    for at in (NOW, NOW + 61, NOW + 122):
        assert dict(kinds(conditions.now(down, at, WELL))) == found
        await measuring
        measuring = asyncio.create_task(conditions.measure(at + 61))
    hangs.set()
    await measuring
    while dict(kinds(conditions.now(down, NOW, WELL))) != {"down lxc/101": True}:
        await asyncio.sleep(0.01)
        conditions.use(wanted)
        await conditions.measure(NOW)


async def test_of_one_that_was_destroyed_nothing_is_wrong(wanted: Desired) -> None:
    gone = replace(status("unknown", NOW - 60, "absent"), made=False)
    healing = Healing({WEB: FullDisks(NOW, sure=False)}, {WEB: (NOW, "6 steps")})
    assert await wrong(Conditions(wanted), [gone], NOW, healing) == []
    assert kinds(await wrong(Conditions(wanted), [], NOW, healing)) == [("budget lxc/101", False)]
