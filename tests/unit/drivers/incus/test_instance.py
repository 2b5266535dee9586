"""A guest in Incus's words, there and back."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from tests.unit.plan.random_worlds import guests
from tests.unit.plan.worlds import plain

from phoenix_hypervisor.drivers.incus import instance, names
from phoenix_hypervisor.model.desired import (
    Boot,
    Firewall,
    FirewallRule,
    Guest,
    Json,
    Mount,
    Nic,
    Volume,
)
from phoenix_hypervisor.plan.diff import diff

POOL = "phoenix"
SHARED = names.mount_device("/srv/shared")
FULL = plain(
    101,
    name="web.example.org",
    swap_mb=0,
    nics=(
        Nic("eth0", "vmbr0", "10.0.0.5/24", "10.0.0.1", ("10.0.0.1",), "02:00:0A:00:00:05"),
        Nic("eth1", "other"),
    ),
    mounts=(Mount("/mnt/shared", "/srv/shared", read_only=True),),
    volumes=(Volume("data", None, 4, "/var/lib/data"),),
    firewall=Firewall(enabled=True, rules=(FirewallRule("in", "ACCEPT", proto="tcp"),)),
    boot=Boot(at_boot=True, order=3, delay_s=5),
    nesting=True,
    raw=(("lxc.tty.max", "2"), ("lxc.idmap", "u 0 100000 65536")),
    protected=True,
)


def made(guest: Guest, bridges: tuple[str, ...] = ("vmbr0",)) -> dict[str, Any]:
    """What Incus shows of a guest that was made as its driver asks for."""
    return {
        "config": instance.config(guest),
        "devices": instance.devices(guest, POOL, bridges),
    }


def sizes(guest: Guest) -> dict[tuple[str, str], str]:
    """The sizes that Incus shows of the guest's volumes."""
    return {
        (v.pool or guest.pool or POOL, names.volume(guest.address, v.name)): (
            "" if v.size_gb is None else f"{v.size_gb}GiB"
        )
        for v in guest.volumes
    }


def seen(guest: Guest) -> dict[str, Json]:
    return instance.fields(made(guest), sizes(guest))


@settings(max_examples=200, deadline=None)
@given(guests())
def test_what_is_made_shows_no_difference(guest: Guest) -> None:
    assert diff(instance.projected(guest, POOL), seen(guest)) == ()


@settings(max_examples=100, deadline=None)
@given(guests(), guests())
def test_what_differs_is_seen(one: Guest, other: Guest) -> None:
    """The way back never makes two guests look the same that the plan must tell apart."""
    expected = diff(instance.projected(one, POOL), instance.projected(other, POOL))
    paths = {change.path for change in diff(instance.projected(one, POOL), seen(other))}
    assert paths >= {change.path for change in expected if change.before is not None}


def test_configuration_keys() -> None:
    assert instance.config(FULL) == {
        "limits.memory": "512MiB",
        "limits.memory.swap": "false",
        "limits.cpu": "1",
        "security.privileged": "false",
        "security.idmap.isolated": "true",
        "security.nesting": "true",
        "boot.autostart": "true",
        "boot.autostart.priority": "9997",
        "boot.autostart.delay": "5",
        "raw.lxc": "lxc.tty.max=2\n",
        "user.phoenix.name": "web.example.org",
        "user.phoenix.protected": "true",
        "user.phoenix.firewall": '{"policy_in": "DROP", "policy_out": "ACCEPT", '
        '"rules": [{"direction": "in", "action": "ACCEPT", "proto": "tcp"}]}',
        "user.phoenix.nic.eth0": '{"address": "10.0.0.5/24", "gateway": "10.0.0.1", '
        '"nameservers": ["10.0.0.1"]}',
        "user.phoenix.nic.eth1": '{"address": null, "gateway": null, "nameservers": []}',
        "user.phoenix.volume.data": '{"pool": null}',
    }


def test_devices() -> None:
    assert instance.devices(FULL, POOL, ["vmbr0"]) == {
        "root": {"type": "disk", "path": "/", "pool": "tank", "size": "8GiB"},
        "eth0": {
            "type": "nic",
            "nictype": "bridged",
            "parent": "vmbr0",
            "name": "eth0",
            "ipv4.address": "10.0.0.5",
            "hwaddr": "02:00:0a:00:00:05",
        },
        "eth1": {"type": "nic", "nictype": "bridged", "parent": "other", "name": "eth1"},
        SHARED: {
            "type": "disk",
            "source": "/mnt/shared",
            "path": "/srv/shared",
            "readonly": "true",
            "shift": "true",
        },
        "volume-data": {
            "type": "disk",
            "pool": "tank",
            "source": "lxc-101-data",
            "path": "/var/lib/data",
        },
    }


def test_every_key_of_ours_goes_when_the_files_drop_it() -> None:
    """An update keeps only what is not `owned`; the marks of ownership must stay."""
    assert [key for key in instance.config(FULL) if not instance.owned(key)] == []
    kept = (names.STACK, names.ADDRESS, names.STATE, names.FINGERPRINT, names.HANDOVER)
    assert [key for key in (*kept, "volatile.uuid", "image.os") if instance.owned(key)] == []


def test_addresses_are_only_reserved_where_incus_leases_them() -> None:
    for address in (None, "dhcp", "fd00::5/64"):
        guest = replace(FULL, nics=(Nic("eth0", "vmbr0", address),))
        assert "ipv4.address" not in instance.devices(guest, POOL, ["vmbr0"])["eth0"]
    assert "ipv4.address" not in instance.devices(FULL, POOL, [])["eth0"]


def test_a_privileged_guest_has_unshifted_mounts() -> None:
    devices = instance.devices(replace(FULL, unprivileged=False), POOL, [])
    assert "shift" not in devices[SHARED]


def test_the_files_silence_is_filled_with_the_drivers_pool() -> None:
    guest = plain(101, pool=None, disk_gb=None, volumes=(Volume("data", None, None, "/srv"),))
    root = instance.devices(guest, POOL, [])["root"]
    assert root == {"type": "disk", "path": "/", "pool": POOL}
    fields = instance.projected(guest, POOL)
    assert (fields["pool"], fields["volumes.data.pool"]) == (POOL, POOL)
    assert "disk_gb" not in fields


def test_what_incus_leaves_out_is_told_and_not_compared() -> None:
    guest = replace(FULL, gpus=(0,), apparmor_profile="unconfined")
    assert instance.remarks(guest) == [
        "lxc/101: lxc.idmap is Proxmox VE's own way; Incus does it by itself",
        "lxc/101: GPUs are not handed to guests on incus yet",
        "lxc/101: apparmor_profile is left to Incus",
    ]
    fields = instance.projected(guest, POOL)
    assert (fields["gpus"], "apparmor_profile" in fields) == ([], False)
    assert [path for path in fields if path.startswith("raw.")] == ["raw.lxc.tty.max"]
    assert instance.remarks(replace(FULL, raw=(), apparmor_profile="generated")) == []


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MiB", 512 * 1024**2),
        ("1GiB", 1024**3),
        ("2TiB", 2 * 1024**4),
        ("512MB", 512 * 1000**2),
        ("64kB", 64_000),
        ("100B", 100),
        ("4096", 4096),
        ("false", 0),
        ("50%", 0),
    ],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    shown = instance.fields({"config": {"limits.memory": text}, "devices": {}}, {})
    assert shown["memory_mb"] == size // 1024**2


def test_an_instance_that_phoenix_never_saw() -> None:
    """Made by hand, with values that the driver never writes: no reading may fail on it."""
    by_hand = {
        "config": {"limits.cpu": "0-3", "raw.lxc": "lxc.tty.max = 4\n# a comment\n\n"},
        "devices": {
            "eth0": {"type": "nic", "network": "incusbr0", "name": "eth0"},
            "root": {"type": "disk", "path": "/", "pool": "default"},
            "gpu": {"type": "gpu"},
            "data": {"type": "disk", "source": "/data", "path": "/data"},
        },
    }
    shown = instance.fields(by_hand, {})
    assert shown["network.eth0.bridge"] == "incusbr0"
    assert shown["raw.lxc.tty.max"] == "4"
    assert (shown["cores"], shown["memory_mb"], shown["pool"]) == (0, 0, "default")
    assert [path for path in shown if path.startswith(("mounts.", "volumes."))] == []


def test_mounts_whose_targets_differ_only_in_their_dashes() -> None:
    mounts = (Mount("/mnt/1", "/srv/a-b"), Mount("/mnt/2", "/srv/a/b"))
    guest = plain(101, mounts=mounts)
    assert diff(instance.projected(guest, POOL), seen(guest)) == ()


def test_a_card_that_is_called_root() -> None:
    devices = instance.devices(plain(101, nics=(Nic("root", "vmbr0"),)), POOL, [])
    assert [d["path"] for d in devices.values() if d["type"] == "disk"] == ["/"]


def test_names_that_incus_could_not_take_are_read_back() -> None:
    guest = plain(
        101,
        nics=(Nic("root", "vmbr0"), Nic("volume-a", "vmbr0"), Nic("eth 0", "vmbr0")),
        volumes=tuple(Volume(n, None, 1, f"/{n}") for n in ("a/b", "a-b", "ä b", "x" * 99)),
    )
    assert diff(instance.projected(guest, POOL), seen(guest)) == ()
    assert all(re.fullmatch(r"[a-zA-Z0-9._-]{1,60}", name) for name in made(guest)["devices"])
    assert len({names.volume(guest.address, v.name) for v in guest.volumes}) == 4


def test_of_somebody_elses_instance_only_its_places_are_read() -> None:
    by_hand = {
        "config": {"limits.memory": "much"},
        "devices": {},
        "expanded_devices": {
            "eth0": {"type": "nic", "network": "incusbr0"},
            "root": {"type": "disk", "path": "/", "pool": "default"},
            "block": {"type": "disk", "pool": "fast", "source": "x"},
            "gpu": {"type": "gpu"},
        },
    }
    assert instance.places(by_hand) == {
        "network.eth0.bridge": "incusbr0",
        "pool": "default",
        "volumes.block.pool": "fast",
    }
