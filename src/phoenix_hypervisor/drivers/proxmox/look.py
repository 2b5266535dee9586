"""Looking: guests, storages, bridges and privileges of a cluster, as `Observed`. Changes nothing.

One list of everything, then one request for each guest of the stack; more only for guests with a
firewall, with raw lines, with a snapshot that the files name, or with an address from DHCP. A
guest's agent is never asked.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from phoenix_hypervisor.drivers.proxmox import (
    cluster,
    container,
    firewall,
    ha,
    kinds,
    network,
    templates,
)
from phoenix_hypervisor.drivers.proxmox.api.client import Api, path
from phoenix_hypervisor.drivers.proxmox.api.texts import NoGuest
from phoenix_hypervisor.drivers.proxmox.cluster import Cluster, Listed
from phoenix_hypervisor.drivers.proxmox.marks import Tags
from phoenix_hypervisor.drivers.proxmox.permissions import Permissions, grant
from phoenix_hypervisor.drivers.proxmox.state import State, is_making, read, url, with_raw
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Capacity, Desired, Guest, Json
from phoenix_hypervisor.model.errors import DriverError
from phoenix_hypervisor.model.observed import (
    GuestState,
    Observed,
    SeenGuest,
    SeenResource,
    Snapshot,
)


@dataclass(frozen=True, slots=True)
class View:
    """What one look brought, for the driver's own use; `node` is where new guests go."""

    cluster: Cluster
    permissions: Permissions
    node: str


async def view(api: Api, node: str | None) -> View:
    """The cluster and what the user may do."""
    found, tree = await asyncio.gather(cluster.look(api), permissions(api))
    return View(found, tree, node or found.local)


async def permissions(api: Api) -> Permissions:
    """The user's tree of permissions; root@pam itself may do everything."""
    if api.is_root:
        return Permissions(everything=True)
    return Permissions(await api.get("/access/permissions") or {})


async def observe(api: Api, desired: Desired, stack: str, seen: View) -> Observed:
    """All guests, and the storages and bridges that the files name."""
    listed = seen.cluster.guests
    ours = [one for one in listed.values() if _concerns(one, desired, stack)]
    ours = await _as_they_run(api, ours, seen)
    managed = asyncio.gather(*(_guest(api, one, desired, stack, seen) for one in ours))
    bridges = _bridges(api, desired, seen)
    missing = _hidden(api, desired, seen)
    images = templates.outlook(api, desired, seen.cluster, seen.node)
    guests, found, unknown, facts = await asyncio.gather(managed, bridges, missing, images)
    shown = {one.address: _foreign(one) for one in listed.values()}
    shown |= {one.address: one for one in guests if isinstance(one, SeenGuest)}
    unseen = {
        one.address: why for one, why in zip(ours, guests, strict=True) if isinstance(why, str)
    }
    for address in unseen:
        shown.pop(address, None)
    storages, hidden = _storages(desired, seen, api.user)
    return Observed(
        guests=await _with_ha(api, shown, desired),
        resources=storages
        | {a: SeenResource(a, fields=f) for a, f in found.named.items() if f is not None},
        offered=(*_stores(seen), *found.names),
        capacity=Capacity(seen.cluster.memory_mb, seen.cluster.cores, None),
        unknown=unseen | unknown | hidden | _unseen_bridges(found.named, desired, seen, api.user),
        facts={
            "permissions": seen.permissions.as_json(),
            "user": api.user,
            "node": seen.node,
            "online": [*sorted(seen.cluster.online)],
            "quorate": seen.cluster.quorate,
            "templates": {str(address): told for address, told in facts.items()},
            "storages": [_fact(one) for one in seen.cluster.storages],
        },
    )


async def _as_they_run(api: Api, ours: list[Listed], seen: View) -> list[Listed]:
    nodes = sorted({one.node for one in ours if seen.cluster.is_online(one.node)})
    try:
        status = await cluster.power(api, nodes)
    except DriverError:
        return ours  # a node went away just now: each of its guests tells that
    return [replace(one, status=status.get(one.address, one.status)) for one in ours]


def _concerns(one: Listed, desired: Desired, stack: str) -> bool:
    """Whether more is to be read of a guest than the list shows."""
    return one.address in desired.guests or Tags.read(one.tags, one.vmid).stack == stack


async def _guest(
    api: Api, one: Listed, desired: Desired, stack: str, seen: View
) -> SeenGuest | str:
    """The guest, or why it can't be seen."""
    if not seen.cluster.is_online(one.node):
        return f"its node {one.node} is offline"
    if not seen.permissions.has(f"/vms/{one.vmid}", "VM.Audit"):
        return _lacks(api.user, f"/vms/{one.vmid}", "VM.Audit")
    try:
        state = await read(api, one)
    except NoGuest:
        now = (await cluster.look(api)).guests.get(one.address)
        if now is None:
            return "it vanished while it was looked at; try again"
        return await _guest(api, now, desired, stack, seen) if now.node != one.node else "it moves"
    except DriverError as error:
        return error.message
    if state.stack is None and await is_making(api, state):
        return replace(_foreign(one, state), stack=stack, complete=False)
    guest = desired.guests.get(one.address)
    # One that nobody manages is read as a whole too: it may be taken over (`adopt`).
    if state.stack != stack and (state.stack is not None or guest is None):
        return _foreign(one, state)
    return await whole(api, one, state, guest)


async def whole(api: Api, one: Listed, state: State, guest: Guest | None) -> SeenGuest:
    """All of a guest; `guest` is what the files ask for, which tells what counts."""
    if guest is not None and guest.kind == "lxc" and container.raw(guest):
        state = await with_raw(api, state)
    running = one.status == "running"
    filtered = await _firewall(api, state, guest)
    taken = await _snapshots(api, state, guest)
    fields = kinds.fields(state, guest) | {"firewall": filtered, "node": one.node}
    return SeenGuest(
        address=one.address,
        name=str(fields.get("name") or one.name),  # the list of everything lags behind
        state=_state(one),
        stack=state.stack,
        complete=state.complete,
        fields=fields,
        fingerprint=state.tags.fingerprint,
        snapshots=taken,
        addresses=tuple(await ips(api, state)) if running else (),
        protected=bool(fields.get("protected")),
        place=one.node,
        pending=state.pending,
        token=state.digest,
    )


async def ips(api: Api, state: State) -> list[str]:
    """A running guest's addresses: the fixed ones; of a container with DHCP those it has."""
    if state.address.startswith("vm/") or not network.asks_dhcp(state.config):
        return kinds.static_addresses(state)
    rows = await api.get(interfaces(state))
    return interface_addresses(rows or ())


def interfaces(state: State) -> str:
    """The path of what a running container tells of its cards."""
    return url(state.node, state.address, "interfaces")


def interface_addresses(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Global addresses from PVE's list of a container's interfaces, v4 first."""
    own = [row for row in rows if row.get("name") not in ("lo", "docker0")]
    found = [str(row.get(kind) or "") for kind in ("inet", "inet6") for row in own]
    return [
        each.partition("/")[0]
        for each in found
        if each and not each.startswith(("fe80", "169.254"))
    ]


async def _firewall(api: Api, state: State, guest: Guest | None) -> Json:
    asked = guest is not None and guest.firewall is not None and guest.firewall.enabled
    if not asked and not network.is_guarded(state.config):
        return None
    return await firewall.read(api, state.node, state.address)


async def _snapshots(api: Api, state: State, guest: Guest | None) -> tuple[Snapshot, ...]:
    """The snapshots of a guest whose files name one, and those that it stands for itself."""
    if guest is None or guest.snapshot_name is None:
        return ()
    rows = await api.get(url(state.node, state.address, "snapshot"))
    found = [Snapshot(name, value or None) for name, value in state.notes.frozen.items()]
    for row in rows:
        name = str(row["name"])
        if name == guest.snapshot_name:
            config = await api.get(url(state.node, state.address, "snapshot", name, "config"))
            tags = Tags.read(str(config.get("tags") or ""), state.vmid)
            found.append(Snapshot(name, tags.fingerprint))
        elif name != "current":
            found.append(Snapshot(name))
    return tuple(found)


def _state(one: Listed) -> GuestState:
    if one.status == "running":
        return "running"
    return "stopped" if one.status in ("stopped", "prelaunch") else "unknown"


def _foreign(one: Listed, state: State | None = None) -> SeenGuest:
    stack = state.stack if state else Tags.read(one.tags, one.vmid).stack
    return SeenGuest(
        address=one.address, name=one.name, state=_state(one), stack=stack, place=one.node
    )


async def _with_ha(
    api: Api, guests: dict[Address, SeenGuest], desired: Desired
) -> dict[Address, SeenGuest]:
    """With what the HA manager does; it is asked only where the files ask for it, or did."""
    if not any(guest.ha for guest in desired.guests.values()) and not any(
        "ha" in one.fields for one in guests.values()
    ):
        return guests
    known = await ha.read(api)
    for address, one in guests.items():
        if one.fields and ("ha" in one.fields or desired.guests.get(address)):
            fields = {**one.fields, "ha": known.get(address)}
            guests[address] = replace(one, fields=fields)
    return guests


def _storages(
    desired: Desired, seen: View, user: str
) -> tuple[dict[Address, SeenResource], dict[Address, str]]:
    """Storages that the files name: those that are there, and those that can't be seen."""
    found: dict[Address, SeenResource] = {}
    hidden: dict[Address, str] = {}
    names = {one.name for one in seen.cluster.storages}
    for address, pool in desired.pools.items():
        if pool.name in names:
            found[address] = SeenResource(address)
        elif not seen.permissions.has(f"/storage/{pool.name}", "Datastore.Audit"):
            hidden[address] = _lacks(user, f"/storage/{pool.name}", "Datastore.Audit")
    return found, hidden


def _lacks(user: str, where: str, privilege: str) -> str:
    """Why something can't be seen, with the command that mends it."""
    return f"{user} lacks {privilege} on {where}: `{grant(user, where, [privilege])}`"


def _stores(seen: View) -> list[Address]:
    """The storages that can hold a guest's disk."""
    fits = {one.name for one in seen.cluster.storages if one.content & {"rootdir", "images"}}
    return [addresses.storage(name) for name in sorted(fits)]


@dataclass(frozen=True, slots=True)
class _Bridges:
    """`named`: on which nodes each bridge of the files is; None: on none of those in use."""

    named: Mapping[Address, Mapping[str, Json] | None]
    names: Sequence[Address] = ()


async def _bridges(api: Api, desired: Desired, seen: View) -> _Bridges:
    if not desired.bridges:
        return _Bridges({})
    nodes = sorted(_nodes(desired, seen))
    lists = await asyncio.gather(
        *(api.get(path("nodes", node, "network"), type="any_bridge") for node in nodes)
    )
    by_node = {
        node: {str(row["iface"]) for row in rows} for node, rows in zip(nodes, lists, strict=True)
    }
    found: dict[Address, Mapping[str, Json] | None] = {}
    for address, bridge in desired.bridges.items():
        there: list[Json] = [node for node in nodes if bridge.name in by_node[node]]
        found[address] = {"nodes": there} if there else None
    return _Bridges(
        found, [addresses.bridge(name) for name in sorted(set().union(*by_node.values()))]
    )


def _unseen_bridges(
    found: Mapping[Address, object], desired: Desired, seen: View, user: str
) -> dict[Address, str]:
    """A bridge that a token may not use is not in its list: that does not mean it isn't there."""
    hidden: dict[Address, str] = {}
    for address, there in found.items():
        where = f"/sdn/zones/localnetwork/{desired.bridges[address].name}"
        if there is None and not seen.permissions.has(where, "SDN.Use"):
            hidden[address] = _lacks(user, where, "SDN.Use")
    return hidden


def _nodes(desired: Desired, seen: View) -> set[str]:
    """The nodes on which guests of the files are or will be, as far as they answer."""
    listed = seen.cluster.guests
    wanted = {
        guest.node or (listed[address].node if address in listed else seen.node)
        for address, guest in desired.guests.items()
    }
    return {node for node in wanted if seen.cluster.is_online(node)} or {seen.node}


async def _hidden(api: Api, desired: Desired, seen: View) -> dict[Address, str]:
    """Guests of the files that aren't in the list, but might be there, out of the user's sight."""
    absent = [address for address in desired.guests if address not in seen.cluster.guests]
    doubtful = [
        address
        for address in absent
        if not seen.permissions.has(f"/vms/{addresses.ident(address)}", "VM.Audit")
        and seen.cluster.at(int(addresses.ident(address))) is None
    ]
    taken = await asyncio.gather(*(cluster.is_taken(api, address) for address in doubtful))
    return {
        address: "the id is in use, by a guest out of sight: "
        + _lacks(api.user, f"/vms/{addresses.ident(address)}", "VM.Audit")
        for address, is_taken in zip(doubtful, taken, strict=True)
        if is_taken
    }


def _fact(one: cluster.Storage) -> Json:
    content: list[Json] = [*sorted(one.content)]
    return {
        "name": one.name,
        "node": one.node,
        "kind": one.kind,
        "content": content,
        "shared": one.shared,
        "active": one.active,
        "free_gb": one.free_gb,
    }
