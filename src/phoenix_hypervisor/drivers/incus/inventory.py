"""What is on this machine's Incus, whoever made it: for `phoenix discover`. Changes nothing.

Guests are those of the project; pools and bridges are of the whole daemon.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from phoenix_hypervisor.drivers.incus import images, machine, names
from phoenix_hypervisor.drivers.incus.client import Client, at
from phoenix_hypervisor.drivers.incus.look import instances, ip_addresses
from phoenix_hypervisor.drivers.incus.resources import Resources
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.inventory import (
    FoundBridge,
    FoundGuest,
    FoundPool,
    FoundTemplate,
    Inventory,
    Node,
)

_GIB = 1024**3
_UNWRITTEN = "only guests of Proxmox VE can be written as files: those here are made from files"
Row = Mapping[str, Any]


async def take(client: Client, resources: Resources, kept: images.Images) -> Inventory:
    """One look at all of it."""
    notes: list[str] = []
    guests, there, server, pools, aliases = await asyncio.gather(
        instances(client),
        resources.observe(),
        client.get("/1.0", project=None),
        client.listed("/1.0/storage-pools", project=None),
        kept.aliases(),
    )
    found_pools = await asyncio.gather(*(_pool(client, one, notes) for one in pools))
    bridges = [each for each in there.values() if addresses.kind(each.address) == "bridge"]
    environment = server.get("environment") or {}
    name = str(environment.get("server_name", ""))
    return Inventory(
        nodes=(
            Node(
                name=name,
                version=f"Incus {environment.get('server_version', '')}".strip(),
                cores=machine.cores(),
                memory_mb=machine.memory_mb(),
                used_memory_mb=machine.used_memory_mb(),
            ),
        ),
        guests=tuple(_guest(one) for one in sorted(guests, key=lambda one: str(one["name"]))),
        pools=tuple(found_pools),
        bridges=tuple(
            FoundBridge(names.host_of(one.address), name, _text(one.fields.get("cidr")))
            for one in sorted(bridges, key=lambda one: one.address)
        ),
        templates=tuple(FoundTemplate(alias, "lxc", "images", name) for alias in sorted(aliases)),
        notes=tuple(notes),
    )


def _guest(one: Row) -> FoundGuest:
    keys: Mapping[str, str] = one.get("expanded_config") or one["config"]
    own: Mapping[str, str] = one["config"]
    return FoundGuest(
        name=own.get(names.NAME, str(one["name"])),
        kind="vm" if one.get("type") == "virtual-machine" else "lxc",
        state="running" if one["status"] in ("Running", "Ready") else "stopped",
        address=names.address(str(one["name"])),
        node=str(one.get("location") or "").removeprefix("none"),
        memory_mb=_memory(keys.get("limits.memory", "")),
        cores=int(keys["limits.cpu"]) if keys.get("limits.cpu", "").isdigit() else None,
        addresses=tuple(ip_addresses(one.get("state") or {})),
        stack=own.get(names.STACK),
        protected=own.get(names.PROTECTED) == "true",
        unsaid=(_UNWRITTEN,),
    )


async def _pool(client: Client, one: Row, notes: list[str]) -> FoundPool:
    name = str(one["name"])
    space: Row = {}
    try:
        told = await client.get(at("storage-pools", name, "resources"), project=None)
        space = told.get("space") or {}
    except PhoenixError as error:
        notes.append(f"the room of storage/{name} can't be seen: {error.message}")
    total, used = space.get("total"), space.get("used")
    return FoundPool(
        name=name,
        kind=str(one["driver"]),
        active=one.get("status") != "Unavailable",
        size_gb=round(total / _GIB, 1) if total else None,
        free_gb=round((total - used) / _GIB, 1) if total and used is not None else None,
    )


def _memory(text: str) -> int | None:
    number = text.removesuffix("MiB")
    if number.isdigit():
        return int(number)
    number = text.removesuffix("GiB")
    return int(number) * 1024 if number.isdigit() else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
