"""The node's own DNS servers: `dns/pve1`. They hold at once, and are no part of the interfaces."""

from typing import cast

from phoenix_hypervisor.host.part import Choice, Decided, Seen, Task, Wanted, differences
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Json
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import Unsupported
from phoenix_hypervisor.model.node import Node

_MOST = 3
"""As resolv.conf(5) and PVE's `/nodes/{node}/dns` have it."""
_KEYS = ("dns1", "dns2", "dns3")


class NameserversPart:
    """`/etc/resolv.conf` through Proxmox VE's API."""

    name = "nameservers"
    turn = 21

    async def look(self, node: Node, desired: Desired) -> Seen:
        """The servers in their order."""
        if not desired.host.setup.network.nameservers:
            return Seen()
        if not node.is_pve:
            raise Unsupported("the host's name servers are set on Proxmox VE alone")
        there = await node.get(f"/nodes/{node.name}/dns")
        servers: list[Json] = [str(there[key]) for key in _KEYS if there.get(key)]
        search = str(there.get("search") or "")
        address = _address(node.name)
        return Seen({address: {"servers": servers}}, facts={"node": node.name, "search": search})

    def decide(self, desired: Desired, seen: Seen, choice: Choice) -> Decided:
        """The first three that the files name, in their order."""
        del choice
        servers = desired.host.setup.network.nameservers
        if not servers:
            return Decided()
        wanted = Wanted(
            _address(str(seen.facts.get("node", "host"))), {"servers": list(servers[:_MOST])}
        )
        left = servers[_MOST:]
        notes = (f"a host asks {_MOST} name servers; left out: {', '.join(left)}",) if left else ()
        return Decided(tuple(differences([wanted], seen)), notes=notes)

    async def make(self, node: Node, task: Task, desired: Desired, tell: Tell) -> None:
        """One write; the search domain stays, or becomes the files' `domain_name`."""
        del tell
        there = await node.get(f"/nodes/{node.name}/dns")
        (change,) = task.fields
        servers = cast("list[str]", change.after)
        told = dict(zip(_KEYS, servers, strict=False))
        search = str(there.get("search") or desired.host.domain or "localdomain")
        await node.send("PUT", f"/nodes/{node.name}/dns", search=search, **told)


def _address(node: str) -> Address:
    return Address(f"dns/{node}")


PART = NameserversPart()
