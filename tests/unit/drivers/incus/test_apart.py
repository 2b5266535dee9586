"""What a restored instance keeps: what is named, and nothing that leads elsewhere."""

from typing import Any

import pytest

from phoenix_hypervisor.drivers.incus import apart

ROOT = {"type": "disk", "path": "/", "pool": "tank", "size": "8GiB"}
VOLUME = {
    "type": "disk",
    "pool": "tank",
    "source": "lxc-101-data",
    "path": "/data",
    "shift": "true",
}


def made(config: dict[str, str] | None = None, **devices: dict[str, str]) -> dict[str, Any]:
    return {"config": config or {}, "devices": {"root": ROOT, **devices}}


@pytest.mark.parametrize(
    "device",
    [
        {"type": "gpu", "id": "0"},
        {"type": "usb", "vendorid": "046d"},
        {"type": "pci", "address": "01:00.0"},
        {"type": "unix-block", "source": "/dev/sdb"},
        {"type": "proxy", "listen": "tcp:0.0.0.0:80", "connect": "tcp:127.0.0.1:80"},
        {"type": "disk", "source": "/srv/theirs", "path": "/srv"},
        {"type": "disk", "pool": "tank", "source": "theirs", "path": "/more"},
        {"type": "made-up-later"},
    ],
    ids=lambda device: "-".join(list(device.values())[:2]),
)
def test_a_device_that_leads_elsewhere_goes_and_is_told(device: dict[str, str]) -> None:
    found = made(odd=device)
    assert apart.devices(found) == {"root": ROOT}
    assert apart.volumes(found) == {}
    assert apart.left_out(found) == [f"odd ({device['type']})"]


def test_a_card_ends_in_the_air_and_a_volume_forgets_whose_it_was() -> None:
    card = {"type": "nic", "nictype": "bridged", "parent": "br0", "name": "eth0", "hwaddr": "02:00"}
    found = made(**{"eth0": card, "volume-data": VOLUME})
    assert apart.devices(found)["eth0"] == {"type": "nic", "nictype": "p2p", "name": "eth0"}
    assert apart.volumes(found) == {
        "volume-data": {"type": "disk", "pool": "tank", "path": "/data"}
    }
    assert apart.left_out(found) == []


def test_what_profiles_gave_it_counts_as_its_own() -> None:
    found = {
        "config": {},
        "devices": {},
        "expanded_config": {"security.nesting": "true", "boot.autostart": "true"},
        "expanded_devices": {"root": ROOT, "way": {"type": "proxy"}},
    }
    assert apart.devices(found) == {"root": ROOT}
    assert apart.config(found) == {"security.nesting": "true", "boot.autostart": "false"}
    assert apart.left_out(found) == ["way (proxy)"]


def test_keys_that_make_things_happen_go() -> None:
    keys = {
        "limits.memory": "1GiB",
        "environment.ROLE": "shop",
        "user.phoenix.stack": "home",
        "user.user-data": "#cloud-config",
        "cloud-init.user-data": "#cloud-config",
        "security.protection.delete": "true",
        "linux.kernel_modules": "br_netfilter",
        "snapshots.schedule": "@daily",
        "volatile.eth0.hwaddr": "02:00",
        "volatile.uuid": "x",
        "raw.idmap": "both 1000 1000",
        "raw.lxc": "lxc.hook.start=/x\nlxc.environment = A=b\nlxc.mount.auto=sys:rw\n",
    }
    found = apart.config(made(keys))
    assert found == {
        "limits.memory": "1GiB",
        "environment.ROLE": "shop",
        "user.phoenix.stack": "home",
        "volatile.uuid": "x",
        "raw.lxc": "lxc.environment = A=b\n",
        "boot.autostart": "false",
    }
    assert apart.left_out(made(keys)) == [
        "lxc.hook.start",
        "lxc.mount.auto",
        "cloud-init.user-data",
        "linux.kernel_modules",
        "raw.idmap",
        "security.protection.delete",
        "snapshots.schedule",
        "user.user-data",
    ]
