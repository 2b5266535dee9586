"""A packet filter's rule in Proxmox VE's words: the same for guests, nodes and the data centre.

Source: PVE::API2::Firewall::Rules.
"""

from collections.abc import Mapping, Sequence
from typing import Any

_KEYS = ("type", "action", "source", "dest", "proto", "dport", "sport", "macro", "iface", "comment")


def parameters(
    *,
    direction: str,
    action: str,
    source: str | None,
    dest: str | None,
    proto: str | None,
    ports: Sequence[str],
    comment: str,
    source_ports: Sequence[str] = (),
    macro: str | None = None,
    interface: str | None = None,
) -> dict[str, str]:
    """What is written of a rule that is on. Ports need a protocol: TCP where none is named.

    `direction` may be `group`, with the security group's name as `action`; ports are single ones or
    `low-high` ranges.
    """
    given = {
        "type": direction,
        "action": action,
        "enable": "1",
        "source": source,
        "dest": dest,
        "proto": proto or ("tcp" if ports or source_ports else None),
        "dport": _ports(ports),
        "sport": _ports(source_ports),
        "macro": macro,
        "iface": interface,
        "comment": comment.strip(),
    }
    return {key: value for key, value in given.items() if value}


def told(row: Mapping[str, Any]) -> dict[str, str]:
    """A rule that is there, in the shape of `parameters`."""
    kept = {key: str(row[key]).strip() for key in _KEYS if row.get(key) not in (None, "")}
    return {**kept, "enable": "0" if str(row.get("enable", 1)) == "0" else "1"}


def _ports(ports: Sequence[str]) -> str:
    return ",".join(port.replace("-", ":") for port in ports)
