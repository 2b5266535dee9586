"""Why a plan can't be carried out on this cluster: told before anything is changed; pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from phoenix_hypervisor.drivers import fields as words
from phoenix_hypervisor.drivers.proxmox import templates
from phoenix_hypervisor.drivers.proxmox.permissions import Permissions, grant
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, Change
from phoenix_hypervisor.model.desired import Boot, CloneOf, Desired, Guest
from phoenix_hypervisor.model.observed import Observed, SeenGuest

_MADE = (
    "VM.Allocate",
    "VM.Audit",
    "VM.Config.CPU",
    "VM.Config.Disk",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
)
_MACHINE = ("VM.Config.Cloudinit", "VM.Config.HWType")
_BY_FIELD = {
    "cores": "VM.Config.CPU",
    "memory_mb": "VM.Config.Memory",
    "swap_mb": "VM.Config.Memory",
    "network": "VM.Config.Network",
    "name": "VM.Config.Network",
    "firewall": "VM.Config.Network",
    "volumes": "VM.Config.Disk",
    "disk_gb": "VM.Config.Disk",
    "pool": "VM.Config.Disk",
    "node": "VM.Migrate",
    "cloud_init": "VM.Config.Cloudinit",
    "nesting": "VM.Allocate",
    "cpu": "VM.Config.CPU",
    "machine": "VM.Config.HWType",
    "pci": "VM.Config.HWType",
}
_BY_STEP = {
    "start": "VM.PowerMgmt",
    "stop": "VM.PowerMgmt",
    "snapshot": "VM.Snapshot",
    "delete": "VM.Allocate",
    "update": "VM.Config.Options",  # its notes
    "configure": "VM.Config.Options",
    "adopt": "VM.Config.Options",
    "record": "VM.Config.Options",
}


def find(desired: Desired, observed: Observed, changes: Sequence[Change]) -> list[str]:
    """Refusals: of the files as they are, then of these changes."""
    facts = observed.facts
    return [
        *_cluster(facts, changes),
        *(line for guest in desired.guests.values() for line in _guest(guest, observed, facts)),
        *_privileges(desired, observed, changes),
        *(line for change in changes for line in _lost(change, observed)),
        *(line for change in changes for line in _too_large(change, desired, observed)),
    ]


def _too_large(change: Change, desired: Desired, observed: Observed) -> Iterator[str]:
    """What no node could start: PVE refuses more cores, and takes a VM's memory whole."""
    guest, most = desired.guests.get(change.address), observed.capacity
    if guest is None or change.action is Action.DELETE:
        return
    if most.cores is not None and guest.cores > most.cores:
        yield f"{guest.address}: it wants {guest.cores} cores; no node has more than {most.cores}"
    if guest.kind == "vm" and most.memory_mb is not None and guest.memory_mb > most.memory_mb:
        yield (
            f"{guest.address}: it wants {guest.memory_mb} MiB of memory; "
            f"no node has more than {most.memory_mb}"
        )


def _cluster(facts: Mapping[str, Any], changes: Sequence[Change]) -> Iterator[str]:
    if changes and facts.get("quorate") is False:
        yield "the cluster has no quorum, so that nothing can be changed: `pvecm status` tells more"


def _guest(guest: Guest, observed: Observed, facts: Mapping[str, Any]) -> Iterator[str]:
    address = guest.address
    twin = addresses.vm(guest.id) if guest.kind == "lxc" else addresses.lxc(guest.id)
    if (seen := observed.guests.get(twin)) is not None:
        yield f"{address}: the id is taken by {twin} “{seen.name}”: ids are of all guests together"
    node = guest.node or facts.get("node")
    online = facts.get("online", [])
    there = observed.guests.get(address)
    if guest.node is not None and guest.node not in online:
        there_are = f"there are {_list(online)}"
        yield f"{address}: the node {guest.node} is not there, or offline; {there_are}"
        return
    if (reason := templates.reason(facts, address)) is not None and there is None:
        yield reason
    place = node if there is None else (guest.node or there.place)
    yield from _storages(guest, str(place), facts, is_new=there is None)
    if there is None:
        yield from _documents(guest, str(place), facts)
    for nic in guest.nics:
        bridge = observed.resources.get(addresses.bridge(nic.bridge))
        nodes = bridge.fields.get("nodes") if bridge is not None else None
        if isinstance(nodes, list) and place not in nodes:
            yield f"{address}: the bridge {nic.bridge} is not on its node {place}"


def _storages(guest: Guest, node: str, facts: Mapping[str, Any], *, is_new: bool) -> Iterator[str]:
    content = "rootdir" if guest.kind == "lxc" else "images"
    known = {
        (one["name"], one["node"]): one
        for one in facts.get("storages", [])
        if isinstance(one, dict)
    }
    names = {name for name, _ in known}
    for pool in _pools(guest):
        if pool not in names:
            continue  # told as a storage that is not there
        here = known.get((pool, node))
        if here is None:
            yield f"{guest.address}: the storage {pool} is not on its node {node}"
        elif not here["active"]:
            yield f"{guest.address}: the storage {pool} is not active on {node}"
        elif content not in here["content"]:
            told = ",".join(sorted([*here["content"], content]))
            yield (
                f"{guest.address}: the storage {pool} does not take {content}: "
                f"`pvesm set {pool} --content {told}`"
            )
        elif is_new and here["free_gb"] is not None and (guest.disk_gb or 0) > here["free_gb"]:
            yield (
                f"{guest.address}: {guest.disk_gb} GiB are wanted on {pool}, "
                f"which has {here['free_gb']:.0f} GiB left"
            )


def _documents(guest: Guest, node: str, facts: Mapping[str, Any]) -> Iterator[str]:
    """PVE's own words for cloud-init know a user, and then nobody gets in as root."""
    if guest.kind != "vm" or not (guest.user or guest.packages or guest.shares or guest.user_data):
        return
    here = [
        one for one in facts.get("storages", []) if isinstance(one, dict) and one["node"] == node
    ]
    if here and not any("snippets" in one["content"] for one in here):
        told = min(here, key=lambda one: (one["name"] != "local", one["kind"] != "dir"))
        content = ",".join(sorted([*told["content"], "snippets"]))
        yield (
            f"{guest.address}: no storage of {node} takes snippets, which bring its users, "
            f"packages and mounts into it: `pvesm set {told['name']} --content {content}`"
        )


def _privileges(desired: Desired, observed: Observed, changes: Sequence[Change]) -> Iterator[str]:
    """The missing ones of all changes together, a line for each path, with the command."""
    facts = observed.facts
    held = Permissions.from_json(facts.get("permissions"))
    missing: dict[str, set[str]] = {}
    for change in changes:
        if not addresses.is_guest(change.address):
            continue
        for path, privilege in _needs(change, desired, observed):
            if not held.has(path, privilege):
                missing.setdefault(path, set()).add(privilege)
    user = str(facts.get("user", ""))
    everywhere = {
        each for path, names in missing.items() if path.startswith("/vms/") for each in names
    }
    for path, names in sorted(_gathered(missing, everywhere).items()):
        told = ", ".join(sorted(names))
        yield f"{user} lacks {told} on {path}: `{grant(user, path, names)}`"


def _gathered(missing: Mapping[str, set[str]], everywhere: set[str]) -> dict[str, set[str]]:
    """Of many guests that all lack the same, the path above them."""
    of_guests = [path for path in missing if path.startswith("/vms/")]
    if len(of_guests) <= 1:
        return dict(missing)
    rest = {path: names for path, names in missing.items() if path not in of_guests}
    return {**rest, "/vms": everywhere}


def _needs(change: Change, desired: Desired, observed: Observed) -> Iterator[tuple[str, str]]:
    where = f"/vms/{addresses.ident(change.address)}"
    guest = desired.guests.get(change.address)
    yield from ((where, _BY_STEP[s.name]) for s in change.steps if s.name in _BY_STEP)
    if guest is None:
        return
    making = change.action in (Action.CREATE, Action.REPLACE)
    changed = () if making else change.fields
    groups = {words.split(field.path).group for field in changed}
    yield from ((where, _BY_FIELD.get(group, "VM.Config.Options")) for group in sorted(groups))
    if making:
        yield from _making(guest, where, desired, observed)
    if making or groups & {"pool", "volumes", "disk_gb"}:
        yield from ((f"/storage/{pool}", "Datastore.AllocateSpace") for pool in _pools(guest))
    if making or "network" in groups:
        yield from ((f"/sdn/zones/localnetwork/{n.bridge}", "SDN.Use") for n in guest.nics)
    if making or "pci" in groups:
        mappings = (device.mapping for device in guest.pci if device.mapping)
        yield from ((f"/mapping/pci/{mapping}", "Mapping.Use") for mapping in mappings)
    if "ha" in groups or (making and guest.ha is not None):
        yield "/", "Sys.Console"
    if (
        guest.kind == "vm"
        and guest.boot != Boot(guest.boot.at_boot)
        and (making or "boot" in groups)
    ):
        yield "/", "Sys.Modify"  # PVE::API2::Qemu: the start order of machines is the host's


def _making(
    guest: Guest, where: str, desired: Desired, observed: Observed
) -> Iterator[tuple[str, str]]:
    yield from ((where, privilege) for privilege in _MADE)
    yield from templates.needs(observed.facts, guest.address)
    if isinstance(guest.source, CloneOf):
        yield f"/vms/{addresses.ident(guest.source.address)}", "VM.Clone"
        if guest.node not in (None, _place(guest.source.address, desired, observed)):
            yield where, "VM.Migrate"  # it is made where its source is
    if guest.kind == "vm":
        yield from ((where, privilege) for privilege in _MACHINE)
        if guest.agent and any(nic.address == "dhcp" for nic in guest.nics):
            yield where, "VM.GuestAgent.Audit"  # which tells its addresses
    elif not guest.unprivileged:
        yield "/", "Sys.Modify"


def _place(address: Address, desired: Desired, observed: Observed) -> object:
    """The node where a guest is, or will be."""
    seen, wanted = observed.guests.get(address), desired.guests.get(address)
    if wanted is not None and wanted.node is not None:
        return wanted.node
    return seen.place if seen is not None else observed.facts.get("node")


def _pools(guest: Guest) -> list[str]:
    pools = {guest.pool, *(volume.pool for volume in guest.volumes)}
    return sorted(pool for pool in pools if pool is not None)


def _lost(change: Change, observed: Observed) -> Iterator[str]:
    """Making a guest anew takes its volumes along: they have no life of their own here."""
    seen = observed.guests.get(change.address)
    if change.action is Action.REPLACE and seen is not None and _volumes(seen):
        yield (
            f"{change.address}: it would be made anew, and on Proxmox VE its volumes "
            f"{_list(_volumes(seen))} would go with it: back them up and destroy it yourself, "
            "or take the change back"
        )


def _volumes(seen: SeenGuest) -> list[str]:
    return sorted(words.grouped(seen.fields, "volumes"))


def _list(names: Sequence[str]) -> str:
    return ", ".join(sorted(names)) or "none"
