"""What Proxmox VE's firewall above the guests is now.

Source: the Proxmox VE API documentation, /cluster/firewall and /nodes/{node}/firewall.
"""

import re
from typing import Any

from phoenix_hypervisor.host import _operator
from phoenix_hypervisor.host.part import Seen
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Json
from phoenix_hypervisor.model.node import Node

_LOCAL = re.compile(r"using (?:detected|user defined) local_network: (\S+)")


async def read(node: Node) -> Seen:
    """Options, rules, aliases, IP sets and groups; the node's subnet; the operator's ways in."""
    here, there = f"/nodes/{node.name}/firewall", "/cluster/firewall"
    options, own = await node.get(f"{there}/options"), await node.get(f"{here}/options")
    aliases: dict[str, Json] = {
        str(one["name"]).lower(): str(one["cidr"]) for one in await node.get(f"{there}/aliases")
    }
    ipsets: dict[str, Json] = {}
    for one in await node.get(f"{there}/ipset"):
        name = str(one["name"])
        entries: list[Json] = [_entry(row) for row in await node.get(f"{there}/ipset/{name}")]
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
        },
    )


def _entry(row: dict[str, Any]) -> str:
    left_out = str(row.get("nomatch") or "0") != "0"
    return ("!" if left_out else "") + str(row["cidr"])
