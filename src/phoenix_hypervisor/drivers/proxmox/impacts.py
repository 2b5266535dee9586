"""What a change costs on Proxmox VE; pure.

Read in pve-container's `vmconfig_hotplug_pending` and qemu-server's: what PVE applies at once is
live, what it keeps as pending needs a restart. What really waits is read from `/pending`.
"""

from phoenix_hypervisor.drivers.fields import default_impact, split
from phoenix_hypervisor.model.change import FieldChange, Impact
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.observed import SeenGuest

_LIVE_OPTIONS = ("cpulimit", "cpuunits", "hookscript", "searchdomain", "tags")
_LIVE = ("ha", "description", "protected", "firewall")
_ON_DRIVE = ("address", "gateway", "nameservers")
"""Of a VM's card: what cloud-init tells it at its next start."""


def impact(guest: Guest, seen: SeenGuest, change: FieldChange) -> Impact:
    """The cost of one field's change."""
    path = split(change.path)
    if change.path in _LIVE:
        return Impact.LIVE
    if path.group == "options":
        return Impact.LIVE if path.leaf in _LIVE_OPTIONS else Impact.RESTART
    return _machine(guest, seen, change) if guest.kind == "vm" else _container(guest, seen, change)


def _container(guest: Guest, seen: SeenGuest, change: FieldChange) -> Impact:
    path = split(change.path)
    if path.group == "network":
        # Cards are plugged and addresses set while it runs; names of servers are a file inside.
        return Impact.RESTART if path.leaf == "nameservers" else Impact.LIVE
    if path.group == "gpus":
        before, after = _numbers(change.before), _numbers(change.after)
        return Impact.LIVE if before <= after else Impact.RESTART
    if change.path == "unprivileged":
        return Impact.DESTRUCTIVE  # the owners of all files on its disk would have to change
    if change.path in ("pool", "node") or (
        path.group == "volumes" and path.leaf == "pool" and change.before and change.after
    ):
        return Impact.RESTART  # its disks are moved, with all that is on them
    return default_impact(guest, seen.fields, change)


def _machine(guest: Guest, seen: SeenGuest, change: FieldChange) -> Impact:
    path = split(change.path)
    if path.group == "network":
        return Impact.RESTART if path.leaf in _ON_DRIVE else Impact.LIVE
    if change.path in ("pool", "node"):
        return Impact.LIVE  # moved while it runs
    if path.group == "cloud_init":
        # Users, keys, packages and mounts are brought in live; the network is read at a start.
        return Impact.RESTART if path.leaf == "network" else Impact.LIVE
    return default_impact(guest, seen.fields, change)


def _numbers(value: object) -> set[object]:
    return set(value) if isinstance(value, list) else set()
