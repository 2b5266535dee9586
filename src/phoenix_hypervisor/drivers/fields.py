"""The words in which guests are compared, shared by the drivers so that one plan fits them all.

A field is a dotted path to a JSON value:

    name, memory_mb, swap_mb, cores, pool, disk_gb, unprivileged, nesting, apparmor_profile,
    gpus, protected, firewall, boot.at_boot|order|delay_s,
    network.<nic>.bridge|address|gateway|nameservers|mac, mounts.<target>.source|read_only,
    volumes.<name>.pool|size_gb|target, raw.<key>

A value that the files leave open is left out and so never compared. Of the groups in `GROUPS`
everything that is seen is compared, but for the size of a volume that is still wanted: a key there
that is not wanted is one that was removed from the files, so a driver shows in them only what was
asked for (no generated MAC, no default pool).
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from phoenix_hypervisor.model.change import FieldChange, Impact
from phoenix_hypervisor.model.desired import (
    Firewall,
    FirewallRule,
    Guest,
    Json,
    Mount,
    Nic,
    Volume,
)
from phoenix_hypervisor.model.observed import Fields

GROUPS = ("network", "mounts", "volumes", "raw")
"""Prefixes under which a seen key that is not wanted is a removal."""

_LIVE = {"memory_mb", "swap_mb", "cores", "firewall", "protected"}
_HOTPLUG_ONLY = {"memory_mb", "cores"}


class Path(NamedTuple):
    """A field's path in its parts: `network.eth0.mac` is (`network`, `eth0`, `mac`).

    Targets of mounts and raw keys may hold dots themselves; `item` keeps them. Plain fields have
    neither item nor leaf (`boot.order` has only a leaf), raw keys have no leaf.
    """

    group: str
    item: str = ""
    leaf: str = ""


def split(path: str) -> Path:
    """Takes a field's path apart."""
    group, _, rest = path.partition(".")
    if group == "raw":
        return Path(group, rest)
    if group in GROUPS:
        item, _, leaf = rest.rpartition(".")
        return Path(group, item, leaf)
    return Path(group, "", rest)


def grouped(fields: Fields, group: str) -> dict[str, dict[str, Json]]:
    """The fields of one group by item: `{"eth0": {"bridge": "vmbr0", "address": …}}`."""
    found: dict[str, dict[str, Json]] = {}
    for path, value in fields.items():
        parts = split(path)
        if parts.group == group:
            found.setdefault(parts.item, {})[parts.leaf] = value
    return found


def guest_fields(guest: Guest) -> dict[str, Json]:
    """The fields of a guest as it is wanted, in plain JSON values."""
    fields: dict[str, Json] = {
        "name": guest.name,
        "memory_mb": guest.memory_mb,
        "swap_mb": guest.swap_mb,
        "cores": guest.cores,
        "pool": guest.pool,
        "disk_gb": guest.disk_gb,
        "unprivileged": guest.unprivileged,
        "nesting": guest.nesting,
        "apparmor_profile": guest.apparmor_profile,
        "boot.at_boot": guest.boot.at_boot,
        "boot.order": guest.boot.order,
        "boot.delay_s": guest.boot.delay_s,
        "gpus": list(guest.gpus),
        "protected": guest.protected,
    }
    for nic in guest.nics:
        fields |= nic_fields(nic)
    for mount in guest.mounts:
        fields |= mount_fields(mount)
    for volume in guest.volumes:
        fields |= volume_fields(replace(volume, pool=volume.pool or guest.pool))
    # No firewall is a state of its own, which must be told from rules that are still there.
    return _given(fields) | raw_fields(guest.raw) | {"firewall": firewall_json(guest.firewall)}


def nic_fields(nic: Nic) -> dict[str, Json]:
    """The fields of one network card."""
    prefix = f"network.{nic.name}"
    return _given(
        {
            f"{prefix}.bridge": nic.bridge,
            f"{prefix}.address": nic.address,
            f"{prefix}.gateway": nic.gateway,
            f"{prefix}.nameservers": list(nic.nameservers) or None,
            f"{prefix}.mac": nic.mac.lower() if nic.mac else None,
        }
    )


def mount_fields(mount: Mount) -> dict[str, Json]:
    """The fields of one bind mount."""
    prefix = f"mounts.{mount.target}"
    return {f"{prefix}.source": mount.source, f"{prefix}.read_only": mount.read_only}


def volume_fields(volume: Volume) -> dict[str, Json]:
    """The fields of one volume."""
    prefix = f"volumes.{volume.name}"
    return _given(
        {
            f"{prefix}.pool": volume.pool,
            f"{prefix}.size_gb": volume.size_gb,
            f"{prefix}.target": volume.target,
        }
    )


def raw_fields(pairs: Iterable[tuple[str, str]]) -> dict[str, Json]:
    """The fields of raw options; a key given several times (`lxc.mount.entry`) has a list."""
    values: dict[str, list[Json]] = {}
    for key, value in pairs:
        values.setdefault(f"raw.{key}", []).append(value)
    return {path: each[0] if len(each) == 1 else each for path, each in values.items()}


def only_proxmox(guest: Guest) -> list[str]:
    """Words of a guest that only Proxmox VE knows, for what other targets tell beside a plan."""
    owners = any(m.owner_uid is not None or m.owner_gid is not None for m in guest.mounts)
    found = {
        "node": guest.node,
        "ha": guest.ha,
        "description": guest.description,
        "pct_options": guest.options,
        "id_maps": guest.id_maps,
        "pci": guest.pci,
        "the owners of its mount_points": owners,
    }
    return [word for word, value in found.items() if value]


def firewall_json(firewall: Firewall | None) -> Json:
    """The packet filter as JSON; None where there is none or it is off."""
    if firewall is None or not firewall.enabled:
        return None
    return {
        "policy_in": firewall.policy_in,
        "policy_out": firewall.policy_out,
        "rules": [_rule(rule) for rule in firewall.rules],
    }


def default_impact(guest: Guest, seen: Fields, change: FieldChange) -> Impact:
    """What a change costs on a target with containers that take new limits while they run."""
    path = split(change.path)
    if path.group == "volumes":
        return _volume_impact(guest, seen, change)
    if path.group == "mounts":
        return Impact.RESTART if path.item in grouped(seen, "mounts") else Impact.LIVE
    if path.group == "network":
        return Impact.LIVE if path.leaf == "nameservers" else Impact.RESTART
    if change.path == "pool":
        return Impact.DESTRUCTIVE
    if change.path == "disk_gb":
        return Impact.DESTRUCTIVE if _shrinks(change) else Impact.LIVE
    if guest.kind == "vm" and change.path in _HOTPLUG_ONLY:
        return Impact.RESTART
    return Impact.LIVE if change.path in _LIVE or path.group == "boot" else Impact.RESTART


def _volume_impact(guest: Guest, seen: Fields, change: FieldChange) -> Impact:
    path = split(change.path)
    if path.item not in grouped(seen, "volumes"):
        return Impact.LIVE
    if path.item not in {volume.name for volume in guest.volumes}:
        return Impact.DESTRUCTIVE
    if path.leaf == "size_gb":
        return Impact.DESTRUCTIVE if _shrinks(change) else Impact.LIVE
    if path.leaf == "pool" and change.before is not None and change.after is not None:
        return Impact.DESTRUCTIVE
    return Impact.RESTART


def _shrinks(change: FieldChange) -> bool:
    before, after = change.before, change.after
    return isinstance(before, int) and isinstance(after, int) and after < before


def _given(fields: Mapping[str, Json]) -> dict[str, Json]:
    return {path: value for path, value in fields.items() if value is not None}


def _rule(rule: FirewallRule) -> Json:
    shown: dict[str, Json] = {
        "direction": rule.direction,
        "action": rule.action,
        "source": rule.source,
        "dest": rule.dest,
        "proto": rule.proto,
        "ports": list(rule.ports),
        "comment": rule.comment,
    }
    return {key: value for key, value in shown.items() if value}
