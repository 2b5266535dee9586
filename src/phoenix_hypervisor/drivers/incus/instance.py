"""A guest in Incus's words, there and back: configuration keys and devices.

Source: the Incus documentation, "Instance options", "Devices", "Storage volumes".
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from phoenix_hypervisor.drivers import fields as words
from phoenix_hypervisor.drivers.incus import names
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Boot, Guest, Image, Json, Mount, Nic, Volume

_MIB = 1024**2
_GIB = 1024**3
_MAX_PRIORITY = 10_000
_NO_RAW = ("lxc.idmap", "lxc.apparmor.profile", "lxc.net.", "lxc.log.")
_OWNED = (
    "limits.memory",
    "limits.memory.swap",
    "limits.cpu",
    "security.privileged",
    "security.idmap.isolated",
    "security.nesting",
    "boot.autostart",
    "boot.autostart.priority",
    "boot.autostart.delay",
    "raw.lxc",
    names.NAME,
    names.FIREWALL,
    names.PROTECTED,
    names.UNPLUGGED,
)
_OWNED_PREFIXES = (names.NIC, names.VOLUME)

Config = dict[str, str]
Devices = dict[str, dict[str, str]]


def owned(key: str) -> bool:
    """Whether a configuration key is decided by the files, so that it goes when they drop it."""
    return key in _OWNED or key.startswith(_OWNED_PREFIXES)


def config(guest: Guest) -> Config:
    """The configuration keys that a guest asks for."""
    keys = {
        "limits.memory": f"{guest.memory_mb}MiB",
        "limits.cpu": str(guest.cores),
        "security.privileged": _bool(not guest.unprivileged),
        # User ids of its own: what breaks out of one guest does not own the others' files, and
        # all guests do not share one user's kernel keys (200).
        "security.idmap.isolated": _bool(guest.unprivileged),
        "security.nesting": _bool(guest.nesting),
        "boot.autostart": _bool(guest.boot.at_boot),
        names.NAME: guest.name,
        names.PROTECTED: _bool(guest.protected),
    }
    if guest.swap_mb is not None:
        keys["limits.memory.swap"] = f"{guest.swap_mb}MiB" if guest.swap_mb else "false"
    if guest.boot.order is not None:
        # Incus starts the highest priority first, Proxmox VE the lowest order.
        keys["boot.autostart.priority"] = str(max(_MAX_PRIORITY - guest.boot.order, 0))
    if guest.boot.delay_s is not None:
        keys["boot.autostart.delay"] = str(guest.boot.delay_s)
    if raw := [f"{k}={v}" for k, v in guest.raw if not k.startswith(_NO_RAW)]:
        keys["raw.lxc"] = "\n".join(raw) + "\n"
    if guest.firewall is not None and guest.firewall.enabled:
        keys[names.FIREWALL] = json.dumps(words.firewall_json(guest.firewall))
    for nic in guest.nics:
        keys[names.NIC + nic.name] = json.dumps(
            {"address": nic.address, "gateway": nic.gateway, "nameservers": list(nic.nameservers)}
        )
    for volume in guest.volumes:
        keys[names.VOLUME + volume.name] = json.dumps({"pool": volume.pool})
    return keys


def devices(guest: Guest, pool: str, managed_bridges: Iterable[str]) -> Devices:
    """The devices that a guest asks for; `pool` holds its root disk where it names none."""
    root = {"type": "disk", "path": "/", "pool": guest.pool or pool}
    if guest.disk_gb is not None:
        root["size"] = f"{guest.disk_gb}GiB"
    found: Devices = {names.ROOT: root}
    managed = set(managed_bridges)
    for nic in guest.nics:
        found[names.nic_device(nic.name)] = _nic(nic, nic.bridge in managed)
    for mount in guest.mounts:
        found[names.mount_device(mount.target)] = {
            "type": "disk",
            "source": mount.source,
            "path": mount.target,
            "readonly": _bool(mount.read_only),
            **({"shift": "true"} if guest.unprivileged else {}),
        }
    for volume in guest.volumes:
        found[names.volume_device(volume.name)] = {
            "type": "disk",
            "pool": volume_pool(guest, volume, pool),
            "source": names.volume(guest.address, volume.name),
            "path": volume.target,
        }
    return found


def volume_pool(guest: Guest, volume: Volume, pool: str) -> str:
    """The pool of a guest's volume; `pool` is the driver's own."""
    return volume.pool or guest.pool or pool


def uses_default_pool(guest: Guest) -> bool:
    """Whether something of the guest lies on the driver's own pool, which no file names."""
    return guest.pool is None


def places(instance: Mapping[str, Any]) -> dict[str, Json]:
    """The pools and bridges that somebody else's instance lies on; nothing else of it is read."""
    found: dict[str, Json] = {}
    devices: Devices = instance.get("expanded_devices") or instance.get("devices") or {}
    for name, device in devices.items():
        if "pool" in device:
            path = "pool" if device.get("path") == "/" else f"volumes.{name}.pool"
            found[path] = device["pool"]
        elif bridge := device.get("parent") or device.get("network"):
            found[f"network.{name}.bridge"] = bridge
    return found


def fields(instance: Mapping[str, Any], volumes: Mapping[tuple[str, str], str]) -> dict[str, Json]:
    """What an instance shows, in the vocabulary of `drivers.fields`.

    The instance is read back into a `Guest`, so that both sides of a comparison pass through the
    same words. `volumes` maps (pool, volume name) to the volume's configured size.
    """
    keys: Mapping[str, str] = instance["config"]
    devices: Devices = instance["devices"]
    root = next((d for d in devices.values() if d.get("path") == "/"), {})
    volume_names = names.volume_names(keys)
    swap, order = keys.get("limits.memory.swap"), keys.get("boot.autostart.priority")
    delay, size = keys.get("boot.autostart.delay"), root.get("size")
    guest = Guest(
        address=Address(keys.get(names.ADDRESS, "lxc/0")),
        kind="lxc",
        id=0,
        name=keys.get(names.NAME, ""),
        source=Image(""),
        memory_mb=_size(keys.get("limits.memory", "0")) // _MIB,
        cores=int(keys["limits.cpu"]) if keys.get("limits.cpu", "").isdigit() else 0,
        swap_mb=None if swap is None else _size(swap) // _MIB,
        pool=root.get("pool"),
        disk_gb=_size(size) // _GIB if size else None,
        nics=tuple(
            _seen_nic(d.get("name", n), d, keys) for n, d in devices.items() if d["type"] == "nic"
        ),
        mounts=tuple(
            Mount(d["source"], d["path"], d.get("readonly") == "true")
            for n, d in devices.items()
            if n.startswith("mount-")
        ),
        volumes=tuple(
            _seen_volume(volume_names.get(n, n.removeprefix("volume-")), d, volumes)
            for n, d in devices.items()
            if n.startswith("volume-")
        ),
        boot=Boot(
            at_boot=keys.get("boot.autostart") == "true",
            order=None if order is None else _MAX_PRIORITY - int(order),
            delay_s=None if delay is None else int(delay),
        ),
        unprivileged=keys.get("security.privileged") != "true",
        nesting=keys.get("security.nesting") == "true",
        raw=tuple(_raw_line(line) for line in keys.get("raw.lxc", "").splitlines() if "=" in line),
        protected=keys.get(names.PROTECTED) == "true",
    )
    told = keys.get(names.FIREWALL)
    return words.guest_fields(guest) | {"firewall": json.loads(told) if told else None}


def projected(guest: Guest, pool: str) -> dict[str, Json]:
    """`guest_fields` without what Incus leaves out, and with its defaults filled in."""
    shown = replace(
        guest,
        pool=guest.pool or pool,
        gpus=(),
        apparmor_profile=None,
        raw=tuple((k, v) for k, v in guest.raw if not k.startswith(_NO_RAW)),
    )
    return words.guest_fields(shown)


def remarks(guest: Guest) -> list[str]:
    """What Incus leaves out of a guest's words."""
    found = [
        f"{guest.address}: {key} is Proxmox VE's own way; Incus does it by itself"
        for key, _ in guest.raw
        if key.startswith(_NO_RAW)
    ]
    if left_out := words.only_proxmox(guest):
        found.append(f"{guest.address}: left out on incus: {', '.join(left_out)}")
    if guest.gpus:
        found.append(f"{guest.address}: GPUs are not handed to guests on incus yet")
    if guest.apparmor_profile not in (None, "generated"):
        found.append(f"{guest.address}: apparmor_profile is left to Incus")
    return found


def _seen_nic(name: str, device: Mapping[str, str], keys: Mapping[str, str]) -> Nic:
    told = json.loads(keys.get(names.NIC + name, "{}"))
    return Nic(
        name=name,
        bridge=device.get("parent") or device.get("network", ""),
        address=told.get("address"),
        gateway=told.get("gateway"),
        nameservers=tuple(told.get("nameservers", ())),
        mac=device.get("hwaddr"),
    )


def _seen_volume(
    name: str, device: Mapping[str, str], volumes: Mapping[tuple[str, str], str]
) -> Volume:
    size = volumes.get((device["pool"], device["source"]))
    return Volume(
        name=name,
        pool=device["pool"],
        size_gb=_size(size) // _GIB if size else None,
        target=device["path"],
    )


def _raw_line(line: str) -> tuple[str, str]:
    key, _, value = line.partition("=")
    return key.strip(), value.strip()


def _nic(nic: Nic, reserve: bool) -> dict[str, str]:
    device = {"type": "nic", "nictype": "bridged", "parent": nic.bridge, "name": nic.name}
    if reserve and nic.address and nic.address != "dhcp" and ":" not in nic.address:
        # Kept free by the bridge's DHCP server, which else might lease it to another guest.
        device["ipv4.address"] = nic.address.partition("/")[0]
    if nic.mac:
        device["hwaddr"] = nic.mac.lower()
    return device


def _size(text: str) -> int:
    units = {"KiB": 1024, "MiB": _MIB, "GiB": _GIB, "TiB": 1024 * _GIB}
    units |= {"kB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4, "B": 1}
    for unit, factor in units.items():
        if text.endswith(unit):
            return int(text.removesuffix(unit)) * factor
    return int(text) if text.isdigit() else 0


def _bool(value: bool) -> str:
    return "true" if value else "false"
