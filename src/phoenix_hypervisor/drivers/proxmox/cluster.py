"""What a cluster holds, from the one call that lists it all: nodes, guests and storages.

Source: the Proxmox VE API documentation, `/cluster/resources` and `/cluster/status`.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from phoenix_hypervisor.drivers.proxmox.api.client import Api, path
from phoenix_hypervisor.drivers.proxmox.api.texts import NoGuest
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.errors import Conflict, DriverError

_KINDS: dict[str, Literal["lxc", "vm"]] = {"lxc": "lxc", "qemu": "vm"}


@dataclass(frozen=True, slots=True)
class Listed:
    """One guest as the list shows it."""

    address: Address
    vmid: int
    node: str
    status: str
    name: str = ""
    tags: str = ""
    template: bool = False
    lock: str | None = None


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage as one node has it. `free_gb` in GiB, None where PVE doesn't know it (yet)."""

    name: str
    node: str
    kind: str
    content: frozenset[str]
    shared: bool
    active: bool
    free_gb: float | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """One look. `online` has the nodes that answer; `local` is the one that was asked."""

    local: str
    nodes: tuple[str, ...]
    online: frozenset[str]
    guests: Mapping[Address, Listed] = field(default_factory=dict)
    storages: tuple[Storage, ...] = ()
    quorate: bool = True
    addresses: Mapping[str, str] = field(default_factory=dict)
    memory_mb: int | None = None
    cores: int | None = None

    def storage(self, name: str, node: str) -> Storage | None:
        """A storage on a node."""
        return next((s for s in self.storages if (s.name, s.node) == (name, node)), None)

    def at(self, vmid: int) -> Listed | None:
        """The guest with this id, of either kind: ids are of all guests together."""
        return next((one for one in self.guests.values() if one.vmid == vmid), None)

    def is_online(self, node: str) -> bool:
        """Whether a node answers."""
        return node in self.online


async def look(api: Api) -> Cluster:
    """Lists all that the user may see."""
    status = await api.get("/cluster/status")
    rows = await api.get("/cluster/resources")
    return read(status, rows)


def read(status: Iterable[Mapping[str, Any]], rows: Iterable[Mapping[str, Any]]) -> Cluster:
    """From the two answers. Of nodes `/cluster/status` tells: the list lags just after boot."""
    rows = list(rows)
    told = [row for row in status if row.get("type") == "node"]
    listed = [row for row in rows if row.get("type") == "node"]
    nodes = tuple(sorted({str(row["name"]) for row in told} | {str(r["node"]) for r in listed}))
    online = {str(row["name"]) for row in told if row.get("online")}
    local = next((str(row["name"]) for row in told if row.get("local")), nodes[0] if nodes else "")
    whole = next((row for row in status if row.get("type") == "cluster"), {})
    memory = [row["maxmem"] for row in listed if row.get("maxmem")]
    cores = [row["maxcpu"] for row in listed if row.get("maxcpu")]
    return Cluster(
        local=local,
        nodes=nodes,
        online=frozenset(online or {local}),
        guests={one.address: one for one in map(_listed, rows) if one is not None},
        storages=tuple(_storage(row) for row in rows if row.get("type") == "storage"),
        quorate=bool(whole.get("quorate", 1)),
        addresses={str(row["name"]): str(row["ip"]) for row in told if row.get("ip")},
        memory_mb=max(memory) // 1024**2 if memory else None,
        cores=max(cores) if cores else None,
    )


async def power(api: Api, nodes: Iterable[str]) -> dict[Address, str]:
    """Which guests of these nodes run now: the list of everything lags ten seconds behind."""
    asked = [(node, kind) for node in nodes for kind in _KINDS]
    lists = await asyncio.gather(*(api.get(path("nodes", *each)) for each in asked))
    return {
        Address(f"{_KINDS[kind]}/{row['vmid']}"): str(row.get("status", "unknown"))
        for (_, kind), rows in zip(asked, lists, strict=True)
        for row in rows or ()
    }


async def find(api: Api, address: Address) -> Listed:
    """Where a guest is now. Raises `NoGuest`, and `Conflict` where its id is another's."""
    vmid = int(addresses.ident(address))
    rows = await api.get("/cluster/resources", type="vm")
    found = next((one for one in map(_listed, rows) if one and one.vmid == vmid), None)
    if found is None:
        raise NoGuest(f"{address} is not there")
    if found.address != address:
        raise Conflict(f"{address}: the id {vmid} is taken by {found.address} “{found.name}”")
    return found


async def is_taken(api: Api, address: Address) -> bool:
    """Whether any guest has the id, also one out of the user's sight: that everybody is told."""
    try:
        await api.get("/cluster/nextid", vmid=addresses.ident(address))
    except DriverError:
        return True
    return False


def _listed(row: Mapping[str, Any]) -> Listed | None:
    kind = _KINDS.get(str(row.get("type")))
    if kind is None:
        return None
    vmid = int(row["vmid"])
    return Listed(
        address=Address(f"{kind}/{vmid}"),
        vmid=vmid,
        node=str(row["node"]),
        status=str(row.get("status", "unknown")),
        name=str(row.get("name", "")),
        tags=str(row.get("tags") or ""),
        template=bool(row.get("template")),
        lock=row.get("lock"),
    )


def _storage(row: Mapping[str, Any]) -> Storage:
    size, used = row.get("maxdisk"), row.get("disk")
    free = (size - used) / 1024**3 if size and used is not None else None
    return Storage(
        name=str(row["storage"]),
        node=str(row["node"]),
        kind=str(row.get("plugintype", "")),
        content=frozenset(filter(None, str(row.get("content", "")).split(","))),
        shared=bool(row.get("shared")),
        active=row.get("status") in ("available", "unknown"),
        free_gb=free,
    )
