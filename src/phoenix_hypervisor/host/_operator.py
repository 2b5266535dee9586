"""Where the operator's own connections come from, as the node itself sees them."""

from dataclasses import dataclass
from typing import cast

from phoenix_hypervisor.model.desired import Json
from phoenix_hypervisor.model.node import Node

API_PORT = 8006
"""Where Proxmox VE's API listens on the node, whatever leads there."""
SSH_PORT = 22
_LOOK = """printf 'ssh %s\\n' "${SSH_CONNECTION-}"
ss -Htn state established 2>/dev/null | sed 's/^/tcp /'
ip -o addr show 2>/dev/null | sed 's/^/ip /'
"""


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection: from `peer` to the node's address `server`, which `interface` holds."""

    peer: str
    server: str
    port: int
    interface: str = ""

    def as_json(self) -> Json:
        """For the facts of a look."""
        return {
            "peer": self.peer,
            "server": self.server,
            "port": self.port,
            "interface": self.interface,
        }


def from_json(value: Json) -> tuple[Connection, ...]:
    """Those that `as_json` told."""
    rows = cast("list[dict[str, str | int]]", value or [])
    return tuple(
        Connection(str(row["peer"]), str(row["server"]), int(row["port"]), str(row["interface"]))
        for row in rows
    )


async def connections(node: Node) -> tuple[Connection, ...]:
    """The operator's connections over the network: by SSH, and to the API.

    Who else is at the API can't be told from the operator, unless SSH says the operator's address:
    then all are given. None where the operator is on the node itself.
    """
    said = await node.run(_LOOK, "where the operator's own connection comes from")
    return parse(said.out)


def parse(text: str) -> tuple[Connection, ...]:
    """Reads what `_LOOK` printed: SSH_CONNECTION (ssh(1)), `ss -Htn` and `ip -o addr`."""
    by_ssh: Connection | None = None
    at_api: list[Connection] = []
    holds: dict[str, str] = {}
    for line in text.splitlines():
        kind, *words = line.split()
        if kind == "ssh" and len(words) == 4:  # noqa: PLR2004 - client, its port, server, its port
            by_ssh = Connection(_plain(words[0]), _plain(words[2]), int(words[3]))
        elif kind == "tcp" and len(words) >= 4:  # noqa: PLR2004 - two queues, two ends
            (server, own), (peer, _) = _end(words[2]), _end(words[3])
            if own == str(API_PORT) and not _is_loopback(peer):
                at_api.append(Connection(peer, server, API_PORT))
        elif kind == "ip" and len(words) >= 4:  # noqa: PLR2004 - number, name, family, address
            holds[words[3].partition("/")[0]] = words[1].partition("@")[0]
    if by_ssh is not None:
        mine = [one for one in at_api if one.peer == by_ssh.peer]
        found = [by_ssh, *(mine or [Connection(by_ssh.peer, by_ssh.server, API_PORT)])]
    else:
        found = at_api
    placed = (Connection(c.peer, c.server, c.port, holds.get(c.server, "")) for c in found)
    return tuple(dict.fromkeys(placed))


def _end(text: str) -> tuple[str, str]:
    address, _, port = text.rpartition(":")
    return _plain(address), port


def _plain(address: str) -> str:
    """Without brackets and zone, and IPv4 as itself, not as `::ffff:10.0.0.1`."""
    bare = address.strip("[]").partition("%")[0]
    return bare.removeprefix("::ffff:") if "." in bare else bare


def _is_loopback(address: str) -> bool:
    return address == "::1" or address.startswith("127.")
