"""What Proxmox VE's firewall above the guests is now.

Source: the Proxmox VE API documentation, /cluster/firewall and /nodes/{node}/firewall.
"""

import asyncio
import re
from typing import Any

from phoenix_hypervisor.host import _operator
from phoenix_hypervisor.host._firewall_objects import entry_of
from phoenix_hypervisor.host.part import Seen
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Json
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.node import Node

_LOCAL = re.compile(r"using (?:detected|user defined) local_network: (\S+)")


async def read(node: Node) -> Seen:
    """Options, rules, aliases, IP sets, groups; the node's subnet; ways in; the other nodes."""
    here, there = f"/nodes/{node.name}/firewall", "/cluster/firewall"
    options, own = await node.get(f"{there}/options"), await node.get(f"{here}/options")
    aliases: dict[str, Json] = {
        str(one["name"]).lower(): str(one["cidr"]) for one in await node.get(f"{there}/aliases")
    }
    ipsets: dict[str, Json] = {}
    for one in await node.get(f"{there}/ipset"):
        name = str(one["name"])
        entries: list[Json] = [entry_of(row) for row in await node.get(f"{there}/ipset/{name}")]
        ipsets[name] = entries
    groups: dict[str, Json] = {}
    for one in await node.get(f"{there}/groups"):
        groups[str(one["group"])] = await node.get(f"{there}/groups/{one['group']}")
    local = await node.run("pve-firewall localnet 2>/dev/null; true", "the node's own subnet")
    found = _LOCAL.search(local.out)
    mine = await _operator.connections(node)
    switch: dict[str, Json] = {
        "enabled": str(options.get("enable") or "0") != "0",
        "node.enabled": str(own.get("enable", 1)) != "0",
        "policy_in": str(options.get("policy_in") or "DROP"),
        "policy_out": str(options.get("policy_out") or "ACCEPT"),
    }
    return Seen(
        things={Address("firewall/options"): switch},
        facts={
            "node": node.name,
            "rules": list(await node.get(f"{there}/rules")),
            "node_rules": list(await node.get(f"{here}/rules")),
            "aliases": aliases,
            "ipsets": ipsets,
            "groups": groups,
            "local_network": found[1] if found else "",
            "mine": [one.as_json() for one in mine],
            **await _others(node),
        },
    )


async def _others(node: Node) -> dict[str, Any]:
    """The cluster's other nodes: what is their own, and why that of some can't be read."""
    rows = [row for row in await node.get("/cluster/status") if row.get("type") == "node"]
    others = [row for row in rows if row["name"] != node.name]
    asked = (_own(node, str(row["name"])) for row in others)
    found = await asyncio.gather(*asked, return_exceptions=True)
    read, unread = {}, {}
    for row, one in zip(others, found, strict=True):
        if isinstance(one, PhoenixError):
            unread[str(row["name"])] = one.message
        elif isinstance(one, BaseException):
            raise one
        else:
            read[str(row["name"])] = {**one, "address": str(row.get("ip") or "")}
    return {"others": read, "unread": unread}


async def _own(node: Node, name: str) -> dict[str, Any]:
    options = await node.get(f"/nodes/{name}/firewall/options")
    rules = list(await node.get(f"/nodes/{name}/firewall/rules"))
    return {"enabled": str(options.get("enable", 1)) != "0", "rules": rules}
