"""What Incus and the kernel show, as seen guests and routes."""

import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.plan.worlds import STACK, plain

from phoenix_hypervisor.drivers.incus import instance, look, names
from phoenix_hypervisor.drivers.incus.client import Client
from phoenix_hypervisor.model.errors import Retryable
from phoenix_hypervisor.model.observed import Snapshot

WEB = plain(101)

ROUTE = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
phxbr0\t0000C90A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t0000000A\t00000000\t0001\t0\t0\t50\t000000FF\t0\t0\t0
wg0\t0700A8C0\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0
"""
IPV6_ROUTE = """\
fd420000000000000000000000000000 40 00000000000000000000000000000000 00 \
00000000000000000000000000000000 00000100 00000001 00000000 00000001   phxbr0
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 \
00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000001 80 00000000000000000000000000000000 00 \
00000000000000000000000000000000 00000000 00000003 00000000 80200001       lo
ff000000000000000000000000000000 08 00000000000000000000000000000000 00 \
00000000000000000000000000000000 00000100 00000003 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
"""


@pytest.mark.skipif(sys.byteorder != "little", reason="the sample is of a little-endian machine")
def test_routes(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(ROUTE)
    (tmp_path / "ipv6_route").write_text(IPV6_ROUTE)
    assert list(look.routes(tmp_path)) == [
        ("10.201.0.0/24", "phxbr0"),
        ("192.0.2.0/24", "eth0"),
        ("10.0.0.0/8", "tun0"),
        ("192.168.0.7/32", "wg0"),
        ("fd42::/64", "phxbr0"),
    ]


def test_a_machine_without_routes_or_without_ipv6(tmp_path: Path) -> None:
    assert list(look.routes(tmp_path)) == []
    (tmp_path / "route").write_text(ROUTE.splitlines()[0] + "\n")
    assert list(look.routes(tmp_path)) == []


def test_the_routes_of_this_machine_can_be_read() -> None:
    assert all("/" in subnet and interface for subnet, interface in look.routes())


def one(name: str = "lxc-101", **words: Any) -> dict[str, Any]:
    """An instance as `GET /1.0/instances?recursion=2` shows it."""
    marks = {names.STACK: "lab", names.ADDRESS: "lxc/101", names.STATE: names.COMPLETE}
    given = {
        "name": name,
        "status": "Running",
        "location": "none",
        "config": instance.config(WEB) | marks | {names.FINGERPRINT: "abc"},
        "devices": instance.devices(WEB, "phoenix", []),
        "snapshots": None,
        "state": None,
    }
    return given | words


def test_a_guest_of_ours() -> None:
    snapshots = [
        {"name": "lxc-101/base", "config": {names.FINGERPRINT: "abc"}},
        {"name": "plain", "config": {}},
    ]
    seen = look.guest(one(snapshots=snapshots), {}, STACK)
    assert seen is not None
    assert (seen.address, seen.name, seen.state, seen.stack) == (
        "lxc/101",
        "g101",
        "running",
        "lab",
    )
    assert (seen.complete, seen.fingerprint, seen.protected) == (True, "abc", False)
    assert seen.snapshots == (Snapshot("base", "abc"), Snapshot("plain", None))
    assert seen.fields == instance.projected(WEB, "phoenix")


@pytest.mark.parametrize(
    ("status", "paused"), [("Frozen", True), ("Freezing", True), ("Stopped", False)]
)
def test_one_that_is_paused_counts_as_stopped(status: str, *, paused: bool) -> None:
    seen = look.guest(one(status=status), {}, STACK)
    assert seen is not None
    assert (seen.state, seen.paused) == ("stopped", paused)


def test_a_guest_that_is_being_made() -> None:
    config = {**one()["config"], names.STATE: names.CREATING, names.FINGERPRINT: ""}
    seen = look.guest(one(config=config, status="Stopped"), {}, STACK)
    assert seen is not None
    assert (seen.complete, seen.fingerprint, seen.state) == (False, None, "stopped")


def test_somebody_elses_instance_of_a_wanted_name() -> None:
    seen = look.guest(one(config={}), {}, STACK)
    assert seen is not None
    assert (seen.address, seen.stack, seen.name) == ("lxc/101", None, "lxc-101")
    assert look.guest(one("web"), {}, STACK) is None


def test_what_is_strange_in_somebody_elses_instance_breaks_nothing() -> None:
    strange = {names.STACK: "other", names.FIREWALL: "{", "boot.autostart.delay": "soon"}
    device = {"type": "disk", "pool": "tank", "source": "block"}  # a block volume has no path
    seen = look.guest(one("vm-101", config=strange, devices={"x": device}), {}, STACK)
    assert seen is not None
    assert (seen.address, seen.stack, seen.fields) == (
        "vm/101",
        "other",
        {"volumes.x.pool": "tank"},
    )


def test_addresses_are_those_of_its_own_cards() -> None:
    def entry(address: str, scope: str = "global") -> dict[str, str]:
        return {
            "family": "inet6" if ":" in address else "inet",
            "address": address,
            "scope": scope,
        }

    state = {
        "network": {
            "lo": {"host_name": "", "addresses": [entry("127.0.0.1", "local")]},
            "docker0": {"host_name": "", "addresses": [entry("172.17.0.1")]},
            "eth0": {
                "host_name": "veth1",
                "addresses": [entry("fd00::5"), entry("10.0.0.5"), entry("fe80::1", "link")],
            },
        }
    }
    assert list(look.ip_addresses(state)) == ["10.0.0.5", "fd00::5"]
    assert list(look.ip_addresses({"network": None})) == []
    assert list(look.ip_addresses({})) == []


class Changing(Client):
    """A daemon that tells of an instance only its name while its state changes."""

    def __init__(self, unreadable: int) -> None:
        super().__init__(None, "lab")
        self.unreadable = unreadable

    async def listed(self, path: str, **_: Any) -> list[Any]:
        self.unreadable -= 1
        config: dict[str, str] | None = {} if self.unreadable < 0 else None
        return [{"name": "lxc-101", "status": "Error", "config": config}]


async def test_an_instance_that_can_not_be_read_just_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "_PAUSE_S", 0.01)
    assert [each["config"] for each in await look.instances(Changing(3))] == [{}]
    monkeypatch.setattr(look, "_UNREADABLE_S", 0.05)
    with pytest.raises(Retryable, match="can't read its own instances lxc-101") as caught:
        await look.instances(Changing(1000))
    assert "incus info --project lab lxc-101" in caught.value.hint
