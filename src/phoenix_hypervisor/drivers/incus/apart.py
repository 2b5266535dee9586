"""A restored instance in Incus's words: what it keeps of its configuration and devices. Pure.

Only what is named here is kept; what a later Incus invents goes, until somebody looked at it. So a
restored guest has its root disk, volumes of its own and cards that lead nowhere, and no folder,
device, port or schedule of the guest that it is a copy of.

Source: the Incus documentation, "Instance options" and "Devices".
"""

from collections.abc import Mapping
from typing import Any

from phoenix_hypervisor.drivers import apart
from phoenix_hypervisor.drivers.incus import names
from phoenix_hypervisor.drivers.incus.instance import Config, Devices

_KEYS = (
    names.PREFIX,
    "environment.",
    "image.",
    "limits.",
    "linux.sysctl.net.",
    "security.idmap.isolated",
    "security.idmap.size",
    "security.nesting",
    "security.privileged",
    "security.syscalls.",
    "volatile.",
)
_RAW = "raw.lxc"
_ROOT = ("type", "path", "pool", "size")
_CARD = {"type": "nic", "nictype": "p2p"}
"""A cable whose other end lies on this machine, plugged into nothing."""


def config(made: Mapping[str, Any]) -> Config:
    """Its keys, without its cards' MACs; it never starts by itself."""
    own: Config = made.get("expanded_config") or made["config"]
    found = {
        key: value
        for key, value in own.items()
        if key.startswith(_KEYS) and not (key.startswith("volatile.") and key.endswith(".hwaddr"))
    }
    lines = [line for line in own.get(_RAW, "").splitlines() if _stays(line)]
    if lines:
        found[_RAW] = "\n".join(lines) + "\n"
    return found | {"boot.autostart": "false"}


def devices(made: Mapping[str, Any]) -> Devices:
    """Its root disk, and cards. Volumes come later, each once there is one of its own."""
    found: Devices = {}
    for name, device in _all(made).items():
        if device["type"] == "disk" and device.get("path") == "/":
            found[name] = {key: device[key] for key in _ROOT if key in device}
        elif device["type"] == "nic":
            found[name] = {**_CARD, "name": device.get("name", name)}
    return found


def volumes(made: Mapping[str, Any]) -> Devices:
    """The devices of volumes that are in the backup, without what is the original's."""
    return {
        name: {"type": "disk", "pool": device["pool"], "path": device["path"]}
        for name, device in made["devices"].items()
        if _is_volume(name, device)
    }


def left_out(made: Mapping[str, Any]) -> list[str]:
    """What of it is not kept, for people: devices by name, raw options by key."""
    kept = {*devices(made), *volumes(made)}
    gone = [f"{name} ({one['type']})" for name, one in _all(made).items() if name not in kept]
    own: Config = made.get("expanded_config") or made["config"]
    lines = own.get(_RAW, "").splitlines()
    gone += [_key(line) for line in lines if line.strip() and not _stays(line)]
    return gone + sorted(set(own) - set(config(made)) - {_RAW, *_quiet(own)})


def _all(made: Mapping[str, Any]) -> Devices:
    found: Devices = made.get("expanded_devices") or made["devices"]
    return found


def _is_volume(name: str, device: Mapping[str, str]) -> bool:
    return name.startswith("volume-") and device.get("type") == "disk" and "pool" in device


def _quiet(own: Config) -> list[str]:
    """Keys that nobody misses."""
    return [key for key in own if key.startswith(("volatile.", "boot."))]


def _key(line: str) -> str:
    return line.partition("=")[0].strip()


def _stays(line: str) -> bool:
    return apart.stays(_key(line))
