"""Proxmox VE's firewall above the guests: data centre and node, as wanted."""

from collections.abc import Iterable

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.config.words.host_firewall import HostRule as RuleWords
from phoenix_hypervisor.model.host.firewall import Alias, ClusterFirewall, Group, HostRule, IpSet


def firewall(folder: Folder) -> ClusterFirewall:
    """What the hypervisor file says of it; in old ones it stands among the shared volumes."""
    words = folder.host.firewall or folder.host.shared_volumes.firewall
    if words is None:
        return ClusterFirewall()
    return ClusterFirewall(
        declared=True,
        enabled=words.enabled,
        policy_in=words.default_input_policy,
        policy_out=words.default_output_policy,
        rules=_rules(words.global_firewall_rules),
        node_rules=_rules(words.node_rules),
        aliases=tuple(Alias(name, address) for name, address in words.aliases.items()),
        ipsets=tuple(IpSet(name, tuple(entries)) for name, entries in words.ipsets.items()),
        groups=tuple(Group(name, _rules(rules)) for name, rules in words.groups.items()),
        operators=tuple(words.operators),
    )


def _rules(rules: Iterable[RuleWords]) -> tuple[HostRule, ...]:
    return tuple(
        HostRule(
            direction=rule.type,
            action=rule.action,
            group=rule.group,
            source=rule.source,
            dest=rule.dest,
            proto=rule.proto,
            ports=tuple(rule.port or ()),
            source_ports=tuple(rule.source_port or ()),
            macro=rule.macro,
            interface=rule.iface,
            comment=rule.comment,
        )
        for rule in rules
    )
