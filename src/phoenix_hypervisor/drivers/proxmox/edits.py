"""What is written to a guest that is there: only the keys that differ, and who may write them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from phoenix_hypervisor.drivers import fields as words
from phoenix_hypervisor.drivers.proxmox import container, kinds, machine
from phoenix_hypervisor.drivers.proxmox.container import Config, Keys
from phoenix_hypervisor.drivers.proxmox.marks import Notes
from phoenix_hypervisor.drivers.proxmox.property import indexed, parse
from phoenix_hypervisor.drivers.proxmox.state import State
from phoenix_hypervisor.model.desired import Guest

_KEYS = {
    "name": ("hostname", "name"),
    "memory_mb": ("memory",),
    "swap_mb": ("swap",),
    "cores": ("cores", "sockets"),
    "boot": ("onboot", "startup"),
    "protected": ("protection",),
    "nesting": ("features",),
    "firewall": ("net",),
    "network": ("net", "nameserver", "ipconfig", "searchdomain"),
    "mounts": ("mp",),
    "volumes": ("mp",),
    "gpus": ("dev",),
    "pci": ("hostpci", "machine"),
    "cloud_init": (),
}
"""The keys that a changed field may write; numbered ones by their prefix."""
_PARTS = ("net", "mp", "rootfs", "dev", "features", "startup", "hostpci", "ipconfig", "scsi")


@dataclass(frozen=True, slots=True)
class Edits:
    """Keys to write (None: to delete): those of the API, and those that only root may write."""

    plain: Keys
    root: Keys


def between(guest: Guest, state: State, paths: Collection[str] | None) -> Edits:
    """The edits that bring a guest to what is wanted; `paths`: only what these fields may write."""
    wanted = kinds.wanted(guest, state.config, state.notes)
    differing = {
        key: value
        for key, value in wanted.items()
        if not _same(key, value, state.config.get(key))
        if paths is None or _may_write(key, paths)
        if paths is None or value is not None or _may_go(key, state, paths)
    }
    root = {key for key in differing if _root_only(guest, key, differing[key], state)}
    return Edits(
        plain={key: value for key, value in differing.items() if key not in root},
        root={key: value for key, value in differing.items() if key in root},
    )


def of_mounts(edits: Edits) -> bool:
    """Whether mounts or volumes of a container are among them."""
    return any(key.rstrip("0123456789") == "mp" for key in (*edits.plain, *edits.root))


def notes(guest: Guest, state: State, stack: str) -> Notes:
    """The notes of a guest as it is: what is asked for now, and which key is which volume's."""
    known = container.volume_keys(guest, state.config, state.notes) if guest.kind == "lxc" else {}
    asked = set()
    if guest.kind == "lxc" and container.raw(guest):
        asked.add("raw")
    asked |= {"mounts"} if guest.mounts else set()
    asked |= {"ha"} if guest.ha is not None else set()
    asked |= {"description"} if guest.description else set()
    before = state.notes
    cleared = "description" in before.asked and not guest.description
    return replace(
        before,
        text=guest.description or ("" if cleared else before.text),
        stack=stack,
        making=False,
        volumes=known,
        macs=tuple(sorted(nic.name for nic in guest.nics if nic.mac)),
        asked=tuple(sorted(asked)),
    )


def freed(state: State, volumes: Collection[str]) -> list[str]:
    """The `unused[n]` keys under which PVE keeps volumes that were taken off just now."""
    return [key for key, value in indexed(state.config, "unused").items() if value in volumes]


def volumes_of(config: Config, keys: Iterable[str]) -> set[str]:
    """The storage volumes (`local:101/vm-101-disk-1.raw`) behind these mount keys."""
    found = [parse(str(config.get(key, "")), "volume").get("volume", "") for key in keys]
    return {volume for volume in found if volume and not volume.startswith("/")}


def _may_write(key: str, paths: Collection[str]) -> bool:
    for path in paths:
        group = words.split(path)
        if group.group == "options":
            prefixes: tuple[str, ...] = (path.partition(".")[2],)
        else:
            prefixes = _KEYS.get(path, _KEYS.get(group.group, (group.group,)))
        if any(key == each or key.rstrip("0123456789") == each for each in prefixes):
            return True
    return False


def _may_go(key: str, state: State, paths: Collection[str]) -> bool:
    """A volume only goes where the plan said so: not one that somebody added since."""
    there = str(state.config.get(key, ""))
    if not key.startswith("mp") or there.startswith("/"):
        return True
    names = {noted: name for name, noted in state.notes.volumes.items()}
    name = names.get(key, parse(there, "volume").get("mp", ""))
    return any(words.split(path)[:2] == ("volumes", name) for path in paths)


def _root_only(guest: Guest, key: str, value: str | None, state: State) -> bool:
    if guest.kind == "vm":
        return machine.root_only(key, value, state.config)
    unprivileged = str(state.config.get("unprivileged", "0")) == "1"
    return container.root_only(key, value, state.config, unprivileged=unprivileged)


def _same(key: str, wanted: str | None, there: object) -> bool:
    if wanted is None or there is None:
        return (wanted or "") == ("" if there is None else str(there))
    if key.rstrip("0123456789") in _PARTS:
        return parse(wanted, "") == parse(str(there), "")
    return wanted == str(there)
