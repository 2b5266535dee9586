"""A restored guest in PVE's words: what it keeps of its configuration. Pure.

Only what is named here is kept; what a later release invents goes, until somebody looked at it. So
a restored guest has disks of its own and cards with their link down, and no folder, device, hook or
disk of the node or of the guest that it is a copy of.

Source: pct.conf(5), qm.conf(5); PVE::LXC::Create (sanitize_and_merge_config).
"""

import math
from collections.abc import Mapping

from phoenix_hypervisor.drivers import apart
from phoenix_hypervisor.drivers.proxmox import container
from phoenix_hypervisor.drivers.proxmox.property import flag, indexed, parse, size_gb, text

_CONTAINER = frozenset(
    {
        "arch",
        "cmode",
        "console",
        "cores",
        "cpulimit",
        "cpuunits",
        "description",
        "digest",
        "entrypoint",
        "env",
        "features",
        "hostname",
        "lxc",
        "memory",
        "nameserver",
        "ostype",
        "searchdomain",
        "swap",
        "tags",
        "timezone",
        "tty",
        "unprivileged",
    }
)
_MACHINE = frozenset(
    {"acpi", "affinity", "agent", "arch", "balloon", "bios", "boot", "bootdisk", "cicustom"}
    | {"cipassword", "citype", "ciupgrade", "ciuser", "cores", "cpu", "cpulimit", "cpuunits"}
    | {"description", "digest", "freeze", "hotplug", "hugepages", "ipconfig", "keyboard", "kvm"}
    | {"localtime", "machine", "memory", "meta", "name", "nameserver", "numa", "ostype", "reboot"}
    | {"scsihw", "searchdomain", "shares", "smbios", "sockets", "sshkeys", "startdate", "tablet"}
    | {"tags", "tdf", "vcpus", "vga", "vmgenid", "watchdog"}
)
"""Of a virtual machine; numbered ones without their number."""
_DISKS = ("scsi", "virtio", "sata", "ide", "efidisk", "tpmstate")
_SWITCHED_OFF = ("onboot", "protection")
_BY_TOKEN = ("mp", "net", "onboot", "protection", "startup", *_DISKS)


def given(config: Mapping[str, str]) -> dict[str, str]:
    """Disks and cards that a container is restored with. Folders of the node are left out."""
    found: dict[str, str] = {}
    for key, value in {"rootfs": config.get("rootfs", ""), **indexed(config, "mp")}.items():
        parts = parse(value, "volume")
        storage, colon, _ = parts.pop("volume", "").partition(":")
        if not colon or value.startswith("/"):
            continue
        size = math.ceil(size_gb(parts.pop("size", None)) or 1)
        found[key] = text({**parts, "volume": f"{storage}:{size}"}, "volume")
    for key, value in indexed(config, "net").items():
        card = parse(value)
        card.pop("hwaddr", None)  # two with one address would take each other's packets
        found[key] = text({**card, "link_down": "1"})
    return found


def unplugged(config: Mapping[str, object]) -> dict[str, str]:
    """The cards of a restored machine whose link is still up, with it down."""
    cards = {key: parse(value) for key, value in indexed(config, "net").items()}
    return {
        key: text({**card, "link_down": "1"})
        for key, card in cards.items()
        if not flag(card.get("link_down"))
    }


def foreign(config: Mapping[str, object], vmid: int, *, is_container: bool) -> list[str]:
    """The keys of a restored guest that have to go before it may start."""
    stays = _stays if is_container else _stays_in_machine
    return sorted(key for key in config if not stays(key, str(config[key]), vmid))


def own_lines(config: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """The raw options of LXC that it keeps."""
    return tuple(pair for pair in container.raw_pairs(config) if apart.stays(pair[0]))


def foreign_lines(config: Mapping[str, object]) -> list[str]:
    """The names of those that have to go."""
    return [key for key, _ in container.raw_pairs(config) if not apart.stays(key)]


def by_root(key: str) -> bool:
    """Whether this is taken off by root@pam: of some keys nobody else may, not even a token."""
    return not key.startswith(_BY_TOKEN)


def _stays(key: str, value: str, vmid: int) -> bool:
    kind = key.rstrip("0123456789")
    if kind == "net":
        return flag(parse(value).get("link_down"))
    if key == "rootfs" or kind == "mp":
        return _is_own(value, vmid)
    if key in _SWITCHED_OFF:
        return not flag(value)
    return key in _CONTAINER


def _stays_in_machine(key: str, value: str, vmid: int) -> bool:
    kind = key.rstrip("0123456789")
    if kind == "net":
        return flag(parse(value).get("link_down"))
    if kind in _DISKS:
        return _is_own(value, vmid) or value.startswith("none,")
    if kind == "serial":
        return value == "socket"
    if key in _SWITCHED_OFF:
        return not flag(value)
    return kind in _MACHINE


def _is_own(value: str, vmid: int) -> bool:
    """By its name, as every storage names a volume: subvol-9900-disk-0, vm-9900-disk-0.raw."""
    parts = parse(value, "volume")
    volume = parts.get("volume", parts.get("file", ""))
    # A path of the host may have a colon too.
    return not volume.startswith("/") and f"-{vmid}-" in volume.partition(":")[2]
