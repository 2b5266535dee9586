"""Words of the packet filter above the guests: of the data centre and of the node."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from phoenix_hypervisor.config.ip import ip_interface
from phoenix_hypervisor.config.words.base import Words, wrong
from phoenix_hypervisor.config.words.shared import Direction, FirewallRule, Policy
from phoenix_hypervisor.config.words.values import (
    BridgeName,
    Ips,
    NoComments,
    PortRanges,
    networks,
    shaped,
    split,
)

_OBJECT = r"[A-Za-z][A-Za-z0-9_-]+"
_HINT = "a letter first, then letters, digits, - and _"
_PLACE = re.compile(rf"(\+?(dc/)?{_OBJECT})")
AliasName = Annotated[str, shaped(rf"{_OBJECT[:-1]}{{1,63}}", "the name of an alias", _HINT)]
IpSetName = Annotated[str, shaped(rf"{_OBJECT[:-1]}{{1,63}}", "the name of an IP set", _HINT)]
GroupName = Annotated[
    str, shaped(rf"{_OBJECT[:-1]}{{1,17}}", "the name of a security group", f"{_HINT}, at most 18")
]
Macro = Annotated[
    str, shaped(r"[A-Z][A-Za-z0-9]+", "a macro of Proxmox VE", "such as SSH, Web or Ping")
]


def _place(text: str) -> str:
    return text if _PLACE.fullmatch(text) else networks(text)


Place = Annotated[str, AfterValidator(_place)]
"""Addresses, subnets, a range, an alias, or `+` and an IP set."""


def _entry(text: str) -> str:
    bare = text.removeprefix("!")
    if _PLACE.fullmatch(bare) and not bare.startswith("+"):
        return text
    try:
        ip_interface(bare)
    except ValueError:
        hint = "an address, a subnet or an alias; with ! before it, it is left out"
        raise wrong(f"`{text}` is not an entry of an IP set", hint) from None
    return text


def _subnet(text: str) -> str:
    try:
        ip_interface(text)
    except ValueError:
        hint = "such as 10.0.0.1 or 10.0.0.0/24"
        raise wrong(f"`{text}` is not an address or subnet", hint) from None
    return text


Subnet = Annotated[str, AfterValidator(_subnet)]
Entries = Annotated[list[Annotated[str, AfterValidator(_entry)]], BeforeValidator(split)]


class HostRule(FirewallRule):
    """One rule above the guests: with `group`, all rules of a security group in its place."""

    type: Direction = Field("in", description="The direction: `in` or `out`.")
    action: Policy = Field("ACCEPT", description="`ACCEPT`, `DROP` or `REJECT`.")
    group: GroupName | None = Field(
        None, description="A security group, whose rules stand in this one's place."
    )
    source: Place | None = Field(
        None,
        description="Where the traffic comes from: addresses, an alias, or `+` and an IP set.",
    )
    dest: Place | None = Field(
        None, description="Where the traffic goes to: addresses, an alias, or `+` and an IP set."
    )
    source_port: PortRanges | None = Field(None, description="Ports that the traffic comes from.")
    macro: Macro | None = Field(
        None, description="Proxmox VE's name of a service, instead of protocol and port: `SSH`."
    )
    iface: BridgeName | None = Field(None, description="The host's card or bridge, as `vmbr0`.")

    @model_validator(mode="before")
    @classmethod
    def _says_what_to_do(cls, value: object) -> object:
        if isinstance(value, dict) and not value.get("group"):
            lacks = [f"`{word}`" for word in ("type", "action") if not value.get(word)]
            if lacks:
                raise wrong(f"a rule needs {' and '.join(lacks)}", "such as in and ACCEPT")
        return value


class HostFirewall(Words):
    """The packet filter of the host."""

    enabled: bool = Field(True, description="Whether the rules hold.")
    default_input_policy: Policy = Field("DROP", description="For incoming traffic.")
    default_output_policy: Policy = Field("ACCEPT", description="For outgoing traffic.")
    global_firewall_rules: list[HostRule] = Field(
        default_factory=list,
        description="Rules of the data centre, for all its nodes; the first one that fits decides.",
    )
    node_rules: list[HostRule] = Field(
        default_factory=list,
        description="Rules of this node alone, which are asked before those of the data centre.",
    )
    aliases: Annotated[dict[AliasName, Subnet], NoComments] = Field(
        default_factory=dict, description="Names for addresses and subnets."
    )
    ipsets: Annotated[dict[IpSetName, Entries], NoComments] = Field(
        default_factory=dict,
        description="Named sets of addresses, subnets and aliases; one with ! is left out. Proxmox "
        "VE lets `management` in where no rule says otherwise, and `blacklist` never.",
    )
    groups: Annotated[dict[GroupName, list[HostRule]], NoComments] = Field(
        default_factory=dict, description="Security groups: rules that others name by `group`."
    )
    operators: Ips = Field(
        default_factory=list,
        description="Addresses from which SSH and the API must stay reachable, beside the one that "
        "you apply from: rules that would lock them out are refused.",
    )
