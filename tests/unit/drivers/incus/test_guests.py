"""What creates share, and how guests are stopped, without a daemon."""

import asyncio
from typing import Any

import pytest
from tests.unit.plan.worlds import STACK, desired, plain

from phoenix_hypervisor.drivers.incus import guests, handover, instance
from phoenix_hypervisor.drivers.incus.client import Client, OutOfTime
from phoenix_hypervisor.drivers.incus.guests import Guests
from phoenix_hypervisor.drivers.incus.handover import Handover
from phoenix_hypervisor.drivers.incus.images import Images
from phoenix_hypervisor.drivers.incus.inside import Inside
from phoenix_hypervisor.drivers.incus.names import STACK as STACK_KEY
from phoenix_hypervisor.drivers.incus.names import STATE as STATE_KEY
from phoenix_hypervisor.drivers.incus.names import UNPLUGGED
from phoenix_hypervisor.drivers.incus.volumes import Volumes
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import (
    Conflict,
    Denied,
    DriverError,
    Locked,
    UnknownOutcome,
    Unreachable,
)

WEB = plain(101)


def guests_of(client: Client) -> Guests:
    volumes = Volumes(client, STACK, "phoenix")
    return Guests(client, Inside(client), Images(client), volumes, STACK)


async def test_a_gathering_that_fails_or_is_cancelled_spoils_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = guests_of(Client(None, "lab"))
    calls = 0

    async def collect(suite: str, distribution: str) -> Handover:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.01)
        if calls == 1:
            raise OSError("no such file")
        return Handover({"/etc/pip.conf": suite.encode()}, ())

    monkeypatch.setattr(handover, "collect", collect)

    async def gather() -> Handover:
        return await asyncio.shield(made._gathering(WEB, desired(WEB)))

    with pytest.raises(OSError, match="no such file"):
        await gather()
    first, second = (asyncio.create_task(gather()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).files == {"/etc/pip.conf": b"trixie"}
    assert await gather() == await second
    assert (calls, first.cancelled()) == (2, True)


class Daemon(Client):
    """A daemon with one running guest, whose clean stop ends in an error."""

    def __init__(self, error: DriverError) -> None:
        super().__init__(None, "lab")
        self.error = error
        self.stops: list[tuple[int, bool]] = []

    async def get_with_etag(self, path: str) -> tuple[Any, str]:
        return {"status": "Running", "config": {STACK_KEY: STACK}}, ""

    async def send(self, method: str, path: str, body: Any = None, **_: Any) -> Any:
        assert (method, path) == ("PUT", "/1.0/instances/lxc-101/state")
        self.stops.append((body["timeout"], body["force"]))
        if not body["force"]:
            raise self.error


async def test_a_guest_that_does_not_stop_is_stopped_hard() -> None:
    daemon = Daemon(OutOfTime("Failed shutting down instance"))
    await guests_of(daemon).stop(WEB.address, lambda _: None)
    assert daemon.stops == [(90, False), (30, True)]


@pytest.mark.parametrize(
    "error", [Locked("busy"), UnknownOutcome("lost"), Denied("no"), DriverError("what?")]
)
async def test_no_other_failure_makes_a_stop_hard(error: DriverError) -> None:
    daemon = Daemon(error)
    with pytest.raises(type(error)):
        await guests_of(daemon).stop(WEB.address, lambda _: None)
    assert daemon.stops == [(90, False)]


class Making(Client):
    """A daemon that refuses a create since an instance of the name is there."""

    def __init__(self, config: dict[str, str]) -> None:
        super().__init__(None, "lab")
        self.config = config

    async def get(self, path: str, **_: Any) -> Any:
        assert path == "/1.0/instances/lxc-101"
        return {"config": self.config}

    async def send(self, method: str, path: str, body: Any = None, **_: Any) -> Any:
        raise Conflict("Instance “lxc-101” already exists")


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({STACK_KEY: STACK, STATE_KEY: "creating"}, Locked),
        ({STACK_KEY: STACK, STATE_KEY: "complete"}, Conflict),
        ({STACK_KEY: "other", STATE_KEY: "creating"}, Conflict),
        ({}, Conflict),
    ],
)
async def test_what_a_killed_run_had_asked_for_is_waited_for(
    config: dict[str, str], error: type[DriverError]
) -> None:
    """The daemon goes on with it; when it is there, the next try removes it."""
    with pytest.raises(error) as caught:
        await guests_of(Making(config))._make(WEB.address, {})
    assert type(caught.value) is error


class Plugs(Client):
    """A daemon that keeps a guest's configuration; the changes with these numbers fail, and after
    the first one it can't be asked for so often as it is `away`.
    """

    def __init__(self, *fail: int, away: int = 0) -> None:
        super().__init__(None, "lab")
        self.devices: dict[str, Any] = {"root": {"type": "disk"}, "eth0": {"mtu": "9"}}
        self.config = {STACK_KEY: STACK, "volatile.eth0.hwaddr": "10:66:6a:00:00:01"}
        self.sent: list[list[str]] = []
        self.fail = fail
        self.away = away
        self.marks: list[str] = []

    async def get(self, path: str, **_: Any) -> Any:
        return []  # no bridge is Incus's own

    async def get_with_etag(self, path: str) -> tuple[Any, str]:
        if self.sent and self.away:
            self.away -= 1
            raise Unreachable("the daemon begins anew")
        found = {"config": dict(self.config), "devices": dict(self.devices), "status": "Running"}
        return found, str(len(self.sent))

    async def send(
        self, method: str, path: str, body: Any = None, *, etag: str = "", **_: Any
    ) -> Any:
        assert (method, path, etag) == ("PUT", "/1.0/instances/lxc-101", str(len(self.sent)))
        self.sent.append(sorted(body["devices"]))
        if len(self.sent) in self.fail:
            raise UnknownOutcome("the bridge is away")
        self.devices = body["devices"]
        self.marks.append(body["config"].get(UNPLUGGED, ""))
        self.config = {
            key: value
            for key, value in body["config"].items()
            if "eth0" in self.devices or not key.startswith("volatile.eth0.")
        }


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ready(self: Inside, guest: Guest, tell: Tell, limit_s: float = 9.0) -> None:
        """It has its addresses."""

    monkeypatch.setattr(Inside, "ready", ready)
    monkeypatch.setattr(guests, "_AGAIN_S", 0.0)


@pytest.mark.usefixtures("waits")
async def test_a_card_is_taken_off_and_put_on_as_it_was() -> None:
    daemon = Plugs()
    before = dict(daemon.config)
    await guests_of(daemon).plug_again(WEB, ["eth0"], lambda _: None)
    assert daemon.sent == [["root"], ["eth0", "root"]]
    assert daemon.marks == ["eth0", ""]
    assert daemon.devices["eth0"] == {"mtu": "9"}
    assert daemon.config == before


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize("by", ["plug_again", "start"])
async def test_a_card_that_a_killed_run_left_away_is_made_anew(by: str) -> None:
    daemon = Plugs()
    del daemon.devices["eth0"]
    daemon.config[UNPLUGGED] = "eth0"
    made = guests_of(daemon)
    assert await made.taken_away(WEB, ["eth0"]) == []
    if by == "start":
        await made.start(WEB, lambda _: None)
    else:
        await made.plug_again(WEB, ["eth0"], lambda _: None)
    assert daemon.sent == [["eth0", "root"]]
    assert daemon.devices["eth0"]["parent"] == WEB.nics[0].bridge
    assert UNPLUGGED not in daemon.config


async def test_a_card_that_somebody_took_away_is_not_put_on() -> None:
    daemon = Plugs()
    del daemon.devices["eth0"]
    made = guests_of(daemon)
    assert await made.taken_away(WEB, ["eth0"]) == ["eth0"]
    with pytest.raises(Conflict, match="somebody took eth0 away"):
        await made.plug_again(WEB, ["eth0"], lambda _: None)
    assert daemon.sent == []


def test_an_apply_that_puts_a_card_on_takes_the_mark_away() -> None:
    assert instance.owned(UNPLUGGED)


@pytest.mark.usefixtures("waits")
async def test_putting_it_on_is_tried_again_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Plugs(2, 3, 4, 5, away=3)
    await guests_of(daemon).plug_again(WEB, ["eth0"], lambda _: None)
    assert sorted(daemon.devices) == ["eth0", "root"]
    monkeypatch.setattr(guests, "_SWAP_LIMIT_S", 0.0)
    daemon = Plugs(2)
    with pytest.raises(UnknownOutcome):
        await guests_of(daemon).plug_again(WEB, ["eth0"], lambda _: None)
    assert daemon.config[UNPLUGGED] == "eth0"


@pytest.mark.usefixtures("waits")
async def test_nobody_breaks_it_off_between_the_two() -> None:
    class Slow(Plugs):
        async def send(self, *words: Any, **more: Any) -> Any:
            await super().send(*words, **more)
            off.set()
            await asyncio.sleep(0.05)

    off, daemon = asyncio.Event(), Slow()
    task = asyncio.create_task(guests_of(daemon).plug_again(WEB, ["eth0"], lambda _: None))
    await off.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.3)
    assert sorted(daemon.devices) == ["eth0", "root"]
