"""Alerts reach a real web hook, once and in time, whatever the hook does; nobody waits for it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from tests.support.receivers import Hook, hook

from phoenix_hypervisor.app.notifying import Notifier, notifiers
from phoenix_hypervisor.app.watching.alerts import Alerts
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.redact import Redactor
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.model.watch import AlertTarget, AlertWords, Severity
from phoenix_hypervisor.model.watching import Happening
from phoenix_hypervisor.watch.alerting import Condition

NOW = 1_800_000_000.0
WORDS = AlertWords(group_s=0)


@pytest.fixture
def served() -> Iterator[Hook]:
    with hook() as found:
        yield found


def down(ident: int = 101, severity: Severity = "page") -> Condition:
    address = lxc(ident)
    return Condition(f"down {address}", severity, address, NOW - 30, f"{address} is down")


def to(**urls: str | tuple[str, Severity]) -> list[Notifier]:
    """Targets by their URLs, each a named secret."""
    full = {name: url if isinstance(url, tuple) else (url, "ticket") for name, url in urls.items()}
    targets = tuple(
        AlertTarget(name, Secret(name=name), severity) for name, (_, severity) in full.items()
    )
    reveal: Callable[[str], str] = lambda name: full[name][0]  # noqa: E731
    return notifiers(AlertWords(targets), reveal, Redactor())


async def got(served: Hook) -> dict[str, Any]:
    """The next message, as soon as it is there."""
    return await asyncio.to_thread(served.got.get, timeout=20)


class Kept(list[Happening]):
    """What is recorded, for those who wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self._more = asyncio.Event()

    def append(self, one: Happening) -> None:
        super().append(one)
        self._more.set()

    async def of(self, count: int) -> None:
        """Waits until there are so many."""
        async with asyncio.timeout(20):
            while len(self) < count:
                self._more.clear()
                await self._more.wait()


async def test_bad_news_and_good_news_in_their_order(served: Hook) -> None:
    kept = Kept()
    alerts = Alerts("lab", WORDS, to(ops=served.url()), kept.append)
    await alerts.update([down(101), down(102)], NOW)
    first = await got(served)
    assert (first["title"], first["type"]) == ("[lab] 2 new", "failure")
    assert first["message"].splitlines() == [
        "page: lxc/101 is down (for 30 s)",
        "page: lxc/102 is down (for 30 s)",
    ]
    await alerts.update([down(101), down(102)], NOW + 1)
    await alerts.update([down(102)], NOW + 30)
    last = await got(served)
    assert last["title"] == "[lab] resolved: lxc/101 is down"
    assert last["type"] == "success"
    await alerts.close()
    assert served.asked.qsize() == 2
    assert [(one.what, one.step) for one in kept] == [
        ("alert", "page down lxc/101"),
        ("alert", "page down lxc/102"),
        ("resolved", "page down lxc/101"),
    ]


async def test_each_is_told_what_concerns_them(served: Hook) -> None:
    targets = to(ops=(served.url("ops"), "page"), all=served.url("all"))
    alerts = Alerts("lab", WORDS, targets, lambda _: None)
    await alerts.update([down(101, "ticket"), down(102)], NOW)
    told = {one["path"]: one["message"] for one in (await got(served), await got(served))}
    await alerts.close()
    assert "lxc/101" not in told["/ops"]
    assert "lxc/102" in told["/ops"]
    assert "lxc/101" in told["/all"]


async def test_what_waits_for_its_target_is_known(served: Hook) -> None:
    kept = Kept()
    alerts = Alerts("lab", WORDS, to(ops="json://127.0.0.1:1"), kept.append)
    await alerts.update([down(101)], NOW)
    assert alerts.untold == {"down lxc/101"}
    alerts.configure(WORDS, to(ops=served.url()))
    await alerts.close()
    assert [one["message"] for one in (await got(served),)] == ["page: lxc/101 is down (for 30 s)"]
    assert alerts.untold == set()


async def test_what_concerns_nobody_is_kept_all_the_same() -> None:
    kept = Kept()
    alerts = Alerts("lab", WORDS, to(ops=("json://127.0.0.1:1", "page")), kept.append)
    await alerts.update([down(101, "ticket")], NOW)
    assert [one.what for one in kept] == ["alert"]
    await alerts.close()


async def test_what_could_not_be_sent_is_sent_later_together_with_what_came_since(
    served: Hook,
) -> None:
    kept = Kept()
    served.answers = [500, 500]
    alerts = Alerts("lab", WORDS, to(ops=served.url()), kept.append, first_pause_s=0.05)
    await alerts.update([down(101)], NOW)
    assert await asyncio.to_thread(served.asked.get, timeout=20) == 500
    await alerts.update([down(101), down(102)], NOW + 1)
    told = await got(served)
    assert told["title"] == "[lab] 2 new"
    await kept.of(3)
    trouble, *alerted = kept
    assert trouble.what == "trouble"  # once, though it failed twice
    assert "`ops` was not told" in trouble.text
    assert [one.what for one in alerted] == ["alert", "alert"]
    await alerts.close()


async def test_a_target_that_hangs_holds_up_neither_the_watcher_nor_the_others(
    served: Hook,
) -> None:
    with hook() as other:
        served.held.clear()
        kept = Kept()
        targets = to(slow=served.url(), fast=other.url())
        alerts = Alerts("lab", WORDS, targets, kept.append)
        began = time.monotonic()
        for second in range(1000):
            await alerts.update([down(101 + n) for n in range(second % 50)], NOW + second)
        assert time.monotonic() - began < 5
        assert (await got(other))["type"] == "failure"
        await kept.of(1)  # the fast one has it: it counts as told
        assert served.got.empty()
        served.held.set()
        await alerts.close()
        assert (await got(served))["title"].startswith("[lab] ")


async def test_what_waits_is_bounded_and_says_how_much_is_missing(
    served: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phoenix_hypervisor.app.watching.alerts._WAITING", 10)
    served.answers = [500]
    alerts = Alerts("lab", WORDS, to(ops=served.url()), lambda _: None, first_pause_s=0.2)
    for ident in range(101, 126):
        await alerts.update([down(one) for one in range(101, ident + 1)], NOW)
    told = await got(served)
    assert told["message"].splitlines()[-1] == "15 earlier ones could not be told"
    assert told["title"] == "[lab] 10 new"
    await alerts.close()


async def test_a_new_watcher_takes_up_what_was_told(served: Hook) -> None:
    kept = Kept()
    first = Alerts("lab", WORDS, to(ops=served.url()), kept.append)
    await first.update([down(101), down(102)], NOW)
    await got(served)
    await first.close()
    second = Alerts("lab", WORDS, to(ops=served.url()), kept.append)
    second.restore(reversed(kept))
    await second.update([down(102)], NOW + 60)
    assert (await got(served))["title"] == "[lab] resolved: lxc/101 is down"
    await second.close()
    assert served.asked.qsize() == 2


async def test_changed_files_take_over_what_waits(served: Hook) -> None:
    words = AlertWords(group_s=0)
    alerts = Alerts("lab", words, to(ops="json://127.0.0.1:1"), lambda _: None, first_pause_s=0.3)
    await alerts.update([down()], NOW)
    alerts.configure(words, to(ops=served.url()))
    assert (await got(served))["title"] == "[lab] lxc/101 is down"
    alerts.configure(words, [])
    await alerts.update([], NOW + 10)
    await alerts.close()
    assert served.got.empty()


@pytest.mark.parametrize("fails", [False, True])
async def test_the_end_tries_once_more_and_not_for_ever(served: Hook, fails: bool) -> None:
    served.answers = [500, 500] if fails else [500]
    kept = Kept()
    alerts = Alerts("lab", WORDS, to(ops=served.url()), kept.append, first_pause_s=3600)
    await alerts.update([down()], NOW)
    await kept.of(1)
    ending: Awaitable[None] = alerts.close()
    await asyncio.wait_for(ending, 20)
    assert [one.what for one in kept] == ["trouble", *([] if fails else ["alert"])]
