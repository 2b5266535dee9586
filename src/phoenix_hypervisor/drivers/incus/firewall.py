"""A guest's firewall as nftables text, loaded inside the guest.

Inside, because Incus's own rules on a bridged card never filter between guests of one bridge.
Source of the grammar: nft(8).
"""

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
    parts = []
    for word, value in (("saddr", rule.source), ("daddr", rule.dest)):
        if value:
            family = "ip6" if ip_network(value, strict=False).version == 6 else "ip"  # noqa: PLR2004
            parts.append(f"{family} {word} {value}")
    protocols = [rule.proto] if rule.proto else (["tcp", "udp"] if rule.ports else [None])
    lines = []
    for proto in protocols:
        match = list(parts)
        if rule.ports:
            match.append(f"{proto} dport {{ {', '.join(rule.ports)} }}")
        elif proto in ("icmp", "icmpv6", "ipv6-icmp"):
            match.append("meta l4proto " + ("icmp" if proto == "icmp" else "ipv6-icmp"))
        elif proto:
            match.append(f"meta l4proto {proto}")
        lines.append(" ".join([*match, _VERDICT[rule.action]]))
    return lines
