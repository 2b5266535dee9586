"""Incus's events, as they were recorded from incusd 6.0.4."""

from typing import Any

import pytest

from phoenix_hypervisor.drivers.incus.events import read
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.watching import GuestChanged

ROOT = {"address": "@", "protocol": "unix", "username": "root"}
AT = 1795364138.531969


def event(action: str, name: str = "lxc-101", requestor: Any = ROOT) -> dict[str, Any]:
    told: dict[str, Any] = {
        "action": action,
        "name": name,
        "project": "phoenix",
        "source": f"/1.0/instances/{name}?project=phoenix",
    }
    if requestor is not None:
        told["requestor"] = requestor
    return {
        "location": "none",
        "metadata": told,
        "project": "phoenix",
        "timestamp": "2026-11-22T16:15:38.531969395Z",
        "type": "lifecycle",
    }


@pytest.mark.parametrize(
    ("action", "requestor", "state", "by"),
    [
        ("instance-shutdown", ROOT, "stopped", "root"),
        ("instance-shutdown", None, "stopped", None),
        ("instance-stopped", ROOT, "stopped", "root"),
        ("instance-resumed", ROOT, "running", "root"),
        ("instance-started", ROOT, "running", "root"),
        ("instance-restarted", ROOT, "running", "root"),
        ("instance-deleted", ROOT, "absent", "root"),
        ("instance-shutdown", {"protocol": "internal"}, "stopped", "nobody"),
    ],
)
def test_the_begin_and_end_of_a_guest_with_who_asked_for_it(
    action: str, requestor: Any, state: Any, by: str | None
) -> None:
    found = read(event(action, requestor=requestor))
    assert found is not None
    assert found == GuestChanged(Address("lxc/101"), state, found.at, by)
    assert found.at == pytest.approx(AT, abs=0.001)


def test_a_pause_counts_as_stopped_and_is_told_as_one() -> None:
    found = read(event("instance-paused", requestor=ROOT))
    assert found == GuestChanged(
        Address("lxc/101"), "stopped", found.at if found else 0, "root", paused=True
    )


@pytest.mark.parametrize(
    "other",
    [event("instance-exec"), event("instance-stopped", "somebody-elses"), {"type": "lifecycle"}],
)
def test_everything_else_is_left_out(other: dict[str, Any]) -> None:
    assert read(other) is None
