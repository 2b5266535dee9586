"""A guest's firewall as nftables text, loaded inside the guest.

Inside, because Incus's own rules on a bridged card never filter between guests of one bridge.
Source of the grammar: nft(8).
"""

import re
from collections.abc import Iterator, Sequence
from ipaddress import ip_network

from phoenix_hypervisor.model.desired import Firewall, FirewallRule

PATH = "/etc/phoenix/firewall.nft"
UNIT_PATH = "/etc/systemd/system/phoenix-firewall.service"
UNIT = f"""\
[Unit]
Description=The firewall of this guest, as the Phoenix files declare it
DefaultDependencies=no
Before=network-pre.target
Wants=network-pre.target
ConditionPathExists={PATH}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {PATH}
ExecReload=/usr/sbin/nft -f {PATH}
ExecStop=-/usr/sbin/nft delete table inet phoenix

[Install]
WantedBy=sysinit.target
"""
_COMMENT_LIMIT = 127
_VERDICT = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "reject"}


def ruleset(firewall: Firewall) -> str:
    """The whole table; loading it replaces the one before in one transaction."""
    chains = "\n".join(
        _chain(hook, firewall, policy)
        for hook, policy in (("in", firewall.policy_in), ("out", firewall.policy_out))
    )
    # Added first, so that the delete never fails: older nft has no `destroy`.
    fresh = "add table inet phoenix\ndelete table inet phoenix\n"
    return f"{fresh}table inet phoenix {{\n{chains}}}\n"


def _chain(direction: str, firewall: Firewall, policy: str) -> str:
    hook, loop = ("input", "iif lo") if direction == "in" else ("output", "oif lo")
    lines = [
        f"type filter hook {hook} priority filter; policy accept;",
        "ct state established,related accept",
        f"{loop} accept",
        # Without neighbour discovery and the errors of ICMP no address works at all.
        "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, "
        "nd-router-solicit, packet-too-big } accept",
        "icmp type { destination-unreachable, time-exceeded, parameter-problem } accept",
    ]
    lines += [line for r in firewall.rules if r.direction == direction for line in _rule(r)]
    lines.append(_VERDICT[policy])
    body = "".join(f"    {line}\n" for line in lines)
    return f"  chain {hook} {{\n{body}  }}\n"


def _rule(rule: FirewallRule) -> list[str]:
    protocols = [rule.proto] if rule.proto else (["tcp", "udp"] if rule.ports else [None])
    return [line for parts in _addresses(rule) for line in _lines(rule, parts, protocols)]


def _addresses(rule: FirewallRule) -> Iterator[list[str]]:
    """The parts that match addresses, once for each family that all sides have."""
    sides = [("saddr", rule.source), ("daddr", rule.dest)]
    given = [(word, _by_family(value)) for word, value in sides if value]
    if not given:
        yield []
        return
    for family in ("ip", "ip6"):
        if all(family in found for _, found in given):
            yield [f"{family} {word} {_set(found[family])}" for word, found in given]


def _by_family(value: str) -> dict[str, list[str]]:
    """`10.0.0.5, 10.0.0.8-10.0.0.9, fd00::/8` by nft's words for the families."""
    found: dict[str, list[str]] = {}
    for one in (part.strip() for part in value.split(",")):
        version = ip_network(one.partition("-")[0], strict=False).version
        found.setdefault("ip" if version == 4 else "ip6", []).append(one)  # noqa: PLR2004
    return found


def _set(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{{ {', '.join(items)} }}"


def _lines(rule: FirewallRule, parts: list[str], protocols: Sequence[str | None]) -> list[str]:
    lines = []
    for proto in protocols:
        match = list(parts)
        if rule.ports:
            match.append(f"{proto} dport {{ {', '.join(rule.ports)} }}")
        elif proto in ("icmp", "icmpv6", "ipv6-icmp"):
            match.append("meta l4proto " + ("icmp" if proto == "icmp" else "ipv6-icmp"))
        elif proto:
            match.append(f"meta l4proto {proto}")
        lines.append(" ".join([*match, _VERDICT[rule.action], *_comment(rule.comment)]))
    return lines


def _comment(text: str) -> Iterator[str]:
    """What nft(8) can hold of a comment: no quotes, at most 128 bytes."""
    plain = re.sub(r"[^ !#-\[\]-~]", "", text)[:_COMMENT_LIMIT].strip()
    if plain:
        yield f'comment "{plain}"'
