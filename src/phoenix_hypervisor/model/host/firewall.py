"""Proxmox VE's firewall above the guests: data centre and node."""

from dataclasses import dataclass
from typing import Literal

Policy = Literal["ACCEPT", "DROP", "REJECT"]


@dataclass(frozen=True, slots=True)
class HostRule:
    """One rule, or with `group` all rules of a security group in its place.

    `source` and `dest` are addresses, subnets, a range, an alias or `+` and an IP set; `ports` and
    `source_ports` single ports or `low-high` ranges, empty for all; `macro` is Proxmox VE's name of
    a service.
    """

    direction: Literal["in", "out"] = "in"
    action: Policy = "ACCEPT"
    group: str | None = None
    source: str | None = None
    dest: str | None = None
    proto: str | None = None
    ports: tuple[str, ...] = ()
    source_ports: tuple[str, ...] = ()
    macro: str | None = None
    interface: str | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for an address or a subnet."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class IpSet:
    """A named set of addresses and subnets; one that begins with `!` is left out of the others."""

    name: str
    entries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """A security group: rules that others name as one."""

    name: str
    rules: tuple[HostRule, ...] = ()


@dataclass(frozen=True, slots=True)
class ClusterFirewall:
    """Rules above the guests'. `declared`: whether the files say anything of it.

    `rules` are the data centre's, `node_rules` the node's, which are asked first; `operators` are
    addresses from which the node must stay reachable, beside the one that applies.
    """

    declared: bool = False
    enabled: bool = True
    policy_in: Policy = "DROP"
    policy_out: Policy = "ACCEPT"
    rules: tuple[HostRule, ...] = ()
    node_rules: tuple[HostRule, ...] = ()
    aliases: tuple[Alias, ...] = ()
    ipsets: tuple[IpSet, ...] = ()
    groups: tuple[Group, ...] = ()
    operators: tuple[str, ...] = ()
