"""Who is down since somebody wanted it, and who only since another one is."""

from dataclasses import replace

import pytest
from tests.unit.plan.worlds import desired, guest

from phoenix_hypervisor.app.watching.causes import Causes
from phoenix_hypervisor.app.watching.conditions import Conditions, Healing, of_guest
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.model.address import Address, lxc
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.observed import GuestState
from phoenix_hypervisor.model.watch import AlertWords
from phoenix_hypervisor.model.watching import GuestChanged, Health

NOW = 1_800_000_000.0
DB, API, WEB = lxc(101), lxc(102), lxc(103)
WORDS = AlertWords(after_s=0)


@pytest.fixture
def wanted() -> Desired:
    """Web depends on api, that on db."""
    api = replace(guest(102), dependencies=(DB,))
    return desired(guest(101), api, replace(guest(103), dependencies=(API,)))


def status(
    address: Address, health: Health, state: GuestState = "running", by: str | None = None
) -> GuestStatus:
    change = GuestChanged(address, "stopped", NOW - 60, by) if state == "stopped" else None
    return GuestStatus(address, "", state, health, NOW - 60, change=change, why="refused")


def test_one_that_depends_on_what_somebody_stopped_wakes_nobody(wanted: Desired) -> None:
    seen = [status(DB, "down", "stopped", "ada"), status(API, "down"), status(WEB, "down")]
    causes = Causes().now(wanted, seen, {}, NOW)
    assert set(causes) == {API, WEB}
    [told] = of_guest(seen[2], WORDS, NOW, "", causes[WEB])
    assert (told.severity, told.sure) == ("ticket", True)
    assert told.text == ("lxc/103 is down: refused (it depends on lxc/101, which ada stopped)")


def test_one_that_depends_on_what_broke_says_so_and_is_a_page_all_the_same(wanted: Desired) -> None:
    seen = [status(DB, "down", "stopped"), status(API, "up"), status(WEB, "down")]
    causes = Causes().now(wanted, seen, {}, NOW)
    [told] = of_guest(seen[2], WORDS, NOW, "", causes[WEB])
    assert told.severity == "page"
    assert told.text.endswith("(it depends on lxc/101, which is down)")


def test_what_healing_stopped_was_wanted_by_nobody(wanted: Desired) -> None:
    seen = [status(DB, "down", "stopped", "root"), status(WEB, "down")]
    causes = Causes().now(wanted, seen, {DB: "it is silent"}, NOW)
    assert not causes[WEB].known


async def test_for_an_hour_its_budget_is_known_too(
    wanted: Desired, monkeypatch: pytest.MonkeyPatch
) -> None:
    from phoenix_hypervisor.watch.alerting import Condition

    conditions = Conditions(wanted)
    burns = [Condition(f"budget {one}", "page", one, NOW, "too fast") for one in (DB, API, WEB)]
    monkeypatch.setattr(conditions, "_budgets", burns)

    def severities(seen: list[GuestStatus], now: float) -> list[str]:
        found = conditions.now(seen, now, Healing({}, {}))
        return [one.severity for one in found if one.key.startswith("budget")]

    up = [status(DB, "up"), status(API, "up"), status(WEB, "up")]
    assert severities(up, NOW) == ["page"] * 3
    stopped = [status(DB, "down", "stopped", "ada"), status(API, "down"), status(WEB, "up")]
    assert severities(stopped, NOW + 1) == ["ticket", "ticket", "page"]
    assert severities(up, NOW + 3600) == ["ticket", "ticket", "page"]
    assert severities(up, NOW + 3602) == ["page"] * 3


def test_a_ring_of_dependencies_ends(wanted: Desired) -> None:
    ring = {one.address: replace(one, dependencies=(API, WEB)) for one in wanted.guests.values()}
    seen = [status(API, "down"), status(WEB, "down")]
    assert set(Causes().now(replace(wanted, guests=ring), seen, {}, NOW)) == {API, WEB}
