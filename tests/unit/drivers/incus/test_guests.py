"""What creates share, and how guests are stopped, without a daemon."""

import asyncio
from typing import Any

import pytest
from tests.unit.plan.worlds import STACK, desired, plain

from phoenix_hypervisor.drivers.incus import handover
from phoenix_hypervisor.drivers.incus.client import Client, OutOfTime
from phoenix_hypervisor.drivers.incus.guests import Guests
from phoenix_hypervisor.drivers.incus.handover import Handover
from phoenix_hypervisor.drivers.incus.images import Images
from phoenix_hypervisor.drivers.incus.inside import Inside
from phoenix_hypervisor.drivers.incus.names import STACK as STACK_KEY
from phoenix_hypervisor.drivers.incus.names import STATE as STATE_KEY
from phoenix_hypervisor.drivers.incus.volumes import Volumes
from phoenix_hypervisor.model.errors import Conflict, Denied, DriverError, Locked, UnknownOutcome

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
