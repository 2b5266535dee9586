"""The graph of a folder: guests, what they are cloned from, need, publish, and lie on."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import CloneOf, Desired, Guest, Image
from phoenix_hypervisor.plan.picture.graph import Edge, Graph, Node, NodeKind

_MOST_LINES_TO_A_BRIDGE = 12
"""With more guests on it, a bridge stands in their boxes only: lines would hide all others."""


@dataclass(frozen=True, slots=True)
class _World:
    """The files' guests, how many lie on each bridge, and which publish the others' routes."""

    guests: Mapping[Address, Guest]
    users: Counter[str]
    proxies: tuple[Address, ...]


def of_files(desired: Desired) -> Graph:
    """The graph of what the files ask for, whatever is there."""
    guests = sorted(desired.guests.values(), key=lambda guest: addresses.order(guest.address))
    users = Counter(bridge for guest in guests for bridge in {nic.bridge for nic in guest.nics})
    proxies = _proxies(guests)
    world = _World(desired.guests, users, proxies)
    found: list[Node] = [*_bridges(desired, users), *map(_guest, guests)]
    edges: dict[Edge, None] = {}
    drawn = {node.key for node in found}
    for guest in guests:
        for node, edge in _around(guest, world):
            if node is not None and node.key not in drawn:
                found.append(node)
                drawn.add(node.key)
            if edge.source != edge.target:
                edges[edge] = None
    found += _outside({end for e in edges for end in (e.source, e.target)} - drawn)
    counts = Counter(node.kind for node in found)
    told = ", ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in counts.items())
    return Graph(f"The stack {desired.stack}", told or "no guests", tuple(found), tuple(edges))


def _guest(guest: Guest) -> Node:
    source = guest.source
    made = [source.template] if isinstance(source, Image) else []
    features = [use.name for use in guest.features] + (["script"] if guest.script else [])
    nics = [f"{nic.bridge} {nic.address or 'no address'}" for nic in guest.nics]
    lines = (f"{guest.address} · {guest.memory_mb} MB", *made, ", ".join(features), *nics)
    kind: NodeKind = "template" if guest.is_template or guest.snapshot_name else "guest"
    return Node(guest.address, kind, guest.name, tuple(line for line in lines if line))


def _bridges(desired: Desired, users: Counter[str]) -> Iterator[Node]:
    for address, bridge in sorted(desired.bridges.items()):
        count = users[bridge.name]
        lines = [bridge.cidr or "", f"{count} guests" if count > _MOST_LINES_TO_A_BRIDGE else ""]
        yield Node(address, "bridge", bridge.name, tuple(line for line in lines if line))


def _around(guest: Guest, world: _World) -> Iterator[tuple[Node | None, Edge]]:
    """What stands around a guest, and the edges to it."""
    if isinstance(guest.source, CloneOf):
        yield None, Edge(guest.source.address, guest.address, "clone")
    for needed in guest.dependencies:
        yield None, Edge(needed, guest.address)
    for nic in guest.nics:
        if world.users[nic.bridge] <= _MOST_LINES_TO_A_BRIDGE:
            yield None, Edge(addresses.bridge(nic.bridge), guest.address, "network")
    for volume in guest.volumes:
        key = f"{guest.address} volume {volume.name}"
        size = f"{volume.size_gb} GB" if volume.size_gb else ""
        where = f"in {volume.pool}" if volume.pool else ""
        lines = (" ".join(part for part in (size, where) if part), f"at {volume.target}")
        node = Node(key, "volume", volume.name, tuple(line for line in lines if line))
        yield node, Edge(guest.address, key, "volume")
    for number, route in enumerate(guest.routes):
        owner = guest.replica.group if guest.replica else guest.address  # one for all replicas
        key = f"{owner} route {number}"
        guard = f", {route.auth.kind} auth" if route.auth else ""
        to = "model servers" if route.port is None else f"port {route.port}"
        node = Node(key, "route", f"{route.host or ''}{route.path}", (f"{to}{guard}",))
        yield node, Edge(guest.address, key, "route")
        for proxy in world.proxies:
            if proxy != guest.address:
                yield None, Edge(key, proxy, "route")


def _proxies(guests: list[Guest]) -> tuple[Address, ...]:
    """The guests whose Nginx publishes routes: those that are told to, else all that may."""
    told = {
        guest.address: getattr(use.options, "proxy", None)
        for guest in guests
        for use in guest.features
        if use.name == "nginx" and guest.runs
    }
    chosen = True if True in told.values() else None
    return tuple(address for address, proxy in told.items() if proxy is chosen)


def _outside(keys: set[str]) -> list[Node]:
    """What guests name but the files don't hold."""
    return [
        Node(key, "bridge" if key.startswith("bridge/") else "outside", key) for key in sorted(keys)
    ]
