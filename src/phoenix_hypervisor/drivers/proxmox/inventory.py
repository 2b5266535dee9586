"""Everything that is on a cluster, whoever made it: for `phoenix discover`. Changes nothing.

What a part of it can't be read for (a privilege, an offline node) is told in the notes, and the
rest is shown. Root on the node is used only to ask NVIDIA's driver, where there is such a card.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from phoenix_hypervisor.drivers.proxmox import cards, cluster, kinds, look, wording
from phoenix_hypervisor.drivers.proxmox.api.client import Api, path
from phoenix_hypervisor.drivers.proxmox.cluster import Listed
from phoenix_hypervisor.drivers.proxmox.look import View
from phoenix_hypervisor.drivers.proxmox.marks import Tags
from phoenix_hypervisor.drivers.proxmox.node.channels import Channels
from phoenix_hypervisor.drivers.proxmox.property import flag
from phoenix_hypervisor.drivers.proxmox.state import State, read, url, with_raw
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import GuestKind
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.inventory import (
    FoundBridge,
    FoundGuest,
    FoundPool,
    FoundTemplate,
    Inventory,
    Node,
)
from phoenix_hypervisor.model.observed import GuestState

_GIB = 1024**3
_MIB = 1024**2
_TEMPLATES: Mapping[str, GuestKind] = {"vztmpl": "lxc", "import": "vm"}
_STATES: Mapping[str, GuestState] = {"running": "running", "stopped": "stopped"}
T = TypeVar("T")
Row = Mapping[str, Any]


async def take(api: Api, channels: Channels, seen: View) -> Inventory:
    """One look at everything that the user may see."""
    return await _Looker(api, channels, seen).all()


@dataclass(slots=True)
class _Looker:
    api: Api
    channels: Channels
    seen: View
    notes: list[str] = field(default_factory=list)

    async def all(self) -> Inventory:
        rows = await self.api.get("/cluster/resources")
        online = [node for node in self.seen.cluster.nodes if self.seen.cluster.is_online(node)]
        for node in sorted(set(self.seen.cluster.nodes) - set(online)):
            self.notes.append(f"{node} is offline: its guests and storages are only named")
        nodes, templates, bridges, found = await asyncio.gather(
            self._nodes(rows),
            self._templates(),
            self._gathered(self._bridges(node) for node in online),
            self._gathered(cards.of_node(self.api, node, self.notes) for node in online),
        )
        volumes = [f"{one.pool}:{_content_of(one.kind)}/{one.name}" for one in templates]
        cores = {one.name: one.cores for one in nodes}
        guests = await self._guests(rows, volumes, cores)
        for node in online:
            found = await cards.with_nvidia(self.channels, node, found, self.notes)
        return Inventory(
            nodes=nodes,
            guests=guests,
            pools=tuple(_pools(rows)),
            bridges=tuple(bridges),
            cards=cards.with_users(found, guests),
            templates=templates,
            notes=tuple(dict.fromkeys(self.notes)),
        )

    async def _nodes(self, rows: Iterable[Row]) -> tuple[Node, ...]:
        listed = {str(row["node"]): row for row in rows if row.get("type") == "node"}
        return tuple(
            await asyncio.gather(
                *(self._node(name, listed.get(name, {})) for name in self.seen.cluster.nodes)
            )
        )

    async def _node(self, name: str, row: Row) -> Node:
        online = self.seen.cluster.is_online(name)
        told: Row = {}
        if online:
            told = await self._try(self.api.get(path("nodes", name, "version")), {})
        return Node(
            name=name,
            online=online,
            version=str(told.get("version", "")),
            cores=row.get("maxcpu"),
            memory_mb=_part(row.get("maxmem"), _MIB),
            used_memory_mb=_part(row.get("mem"), _MIB),
        )

    async def _guests(
        self, rows: Iterable[Row], volumes: list[str], cores: Mapping[str, int | None]
    ) -> tuple[FoundGuest, ...]:
        by_id = {int(row["vmid"]): row for row in rows if row.get("vmid")}
        listed = sorted(self.seen.cluster.guests.values(), key=lambda one: one.vmid)
        online = [node for node in cores if self.seen.cluster.is_online(node)]
        status: dict[Address, str] = await self._try(cluster.power(self.api, online), {})
        return tuple(
            await asyncio.gather(
                *(
                    self._guest(
                        one,
                        by_id.get(one.vmid, {}),
                        status.get(one.address, one.status),
                        volumes,
                        cores.get(one.node),
                    )
                    for one in listed
                )
            )
        )

    async def _guest(
        self, one: Listed, row: Row, status: str, volumes: list[str], cores: int | None
    ) -> FoundGuest:
        tags = Tags.read(one.tags, one.vmid)
        found = FoundGuest(
            name=one.name,
            kind="vm" if addresses.kind(one.address) == "vm" else "lxc",
            state=_STATES.get(status, "unknown"),
            address=one.address,
            node=one.node,
            memory_mb=_part(row.get("maxmem"), _MIB),
            cores=row.get("maxcpu"),
            disk_gb=_gib(row.get("maxdisk")),
            tags=tags.others,
            stack=tags.stack,
            is_template=one.template,
        )
        if not self.seen.cluster.is_online(one.node):
            return found
        try:
            return await self._whole(found, one, volumes, cores)
        except PhoenixError as error:
            self.notes.append(f"{one.address} can't be looked at: {error.message}")
            return found

    async def _whole(
        self, found: FoundGuest, one: Listed, volumes: list[str], cores: int | None
    ) -> FoundGuest:
        state = await read(self.api, one)
        if kinds.is_container(state):
            state = await with_raw(self.api, state)
        shown = await look.whole(self.api, one, state, None)
        fields = shown.fields
        worded = wording.of(
            state,
            fields,
            one.name,
            rules=await self._rules(state) if fields.get("firewall") else (),
            at_hand=volumes,
            node_cores=cores,
        )
        return FoundGuest(
            name=str(fields.get("name") or one.name),
            kind=found.kind,
            state=found.state,
            address=one.address,
            node=one.node,
            memory_mb=found.memory_mb,
            cores=found.cores,
            disk_gb=found.disk_gb,
            addresses=shown.addresses or tuple(kinds.static_addresses(state)),
            tags=state.tags.others,
            stack=state.stack,
            protected=shown.protected,
            is_template=state.is_template,
            words=worded.guest,
            unsaid=worded.unsaid,
            cards=wording.cards(state),
        )

    async def _rules(self, state: State) -> list[Row]:
        where = url(state.node, state.address, "firewall", "rules")
        rows: list[Row] = await self.api.get(where)
        return rows

    async def _bridges(self, node: str) -> list[FoundBridge]:
        where = path("nodes", node, "network")
        rows: list[Row] = await self._try(self.api.get(where, type="any_bridge"), [])
        return [
            FoundBridge(
                name=str(row["iface"]),
                node=node,
                cidr=row.get("cidr") or row.get("cidr6") or None,
                ports=tuple(str(row.get("bridge_ports") or row.get("ovs_ports") or "").split()),
            )
            for row in rows
        ]

    async def _templates(self) -> tuple[FoundTemplate, ...]:
        """Each shared storage is asked once."""
        asked: dict[tuple[str, str], tuple[str, str]] = {}
        for one in self.seen.cluster.storages:
            if one.active and self.seen.cluster.is_online(one.node):
                place = one.name if one.shared else f"{one.name} {one.node}"
                for content in sorted(one.content & set(_TEMPLATES)):
                    asked.setdefault((place, content), (one.name, one.node))
        lists = await asyncio.gather(
            *(self._content(*place, content) for (_, content), place in asked.items())
        )
        return tuple(one for each in lists for one in each)

    async def _content(self, pool: str, node: str, content: str) -> list[FoundTemplate]:
        where = path("nodes", node, "storage", pool, "content")
        rows: list[Row] = await self._try(self.api.get(where, content=content), [])
        return [
            FoundTemplate(
                name=str(row["volid"]).partition("/")[2],
                kind=_TEMPLATES[content],
                pool=pool,
                node=node,
                size_mb=_part(row.get("size"), _MIB),
            )
            for row in sorted(rows, key=lambda row: str(row["volid"]))
        ]

    async def _gathered(self, works: Iterable[Awaitable[list[T]]]) -> list[T]:
        return [one for each in await asyncio.gather(*works) for one in each]

    async def _try(self, work: Awaitable[Any], otherwise: Any) -> Any:
        """What the request gives; what is in the way becomes a note."""
        try:
            return await work or otherwise
        except PhoenixError as error:
            self.notes.append(error.message)
            return otherwise


def _pools(rows: Iterable[Row]) -> Iterable[FoundPool]:
    """One for each storage of a node; one for all nodes where it is shared."""
    by_name: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.get("type") == "storage":
            place = "" if row.get("shared") else str(row["node"])
            by_name.setdefault((str(row["storage"]), place), []).append(row)
    for (name, _), same in sorted(by_name.items()):
        first = same[0]
        size, used = first.get("maxdisk"), first.get("disk")
        yield FoundPool(
            name=name,
            kind=str(first.get("plugintype", "")),
            nodes=tuple(sorted(str(row["node"]) for row in same)),
            content=tuple(sorted(filter(None, str(first.get("content", "")).split(",")))),
            shared=flag(first.get("shared")),
            active=any(row.get("status") in ("available", "unknown") for row in same),
            size_gb=_gib(size),
            free_gb=_gib(size - used) if size and used is not None else None,
        )


def _content_of(kind: GuestKind) -> str:
    return next(content for content, each in _TEMPLATES.items() if each == kind)


def _part(amount: int | None, unit: int) -> int | None:
    return amount // unit if amount else None


def _gib(amount: float | None) -> float | None:
    return round(amount / _GIB, 1) if amount else None
