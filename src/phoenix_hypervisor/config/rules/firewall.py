"""Firewall rules that can't hold or that say the same twice."""

from collections.abc import Iterator, Sequence

from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.folder import HYPERVISOR, Folder, Spot
from phoenix_hypervisor.config.words.shared import FirewallRule
from phoenix_hypervisor.model.problem import Problem

_WORDS = ("source", "dest", "proto", "port")
_WITH_PORTS = ("tcp", "udp", "sctp")


def find(folder: Folder) -> Iterator[Problem]:
    """Rules that stand twice, and ports of protocols that have none."""
    for guest in folder.guests:
        if guest.words.firewall is not None:
            yield from _rules(guest.spot, ("firewall", "rules"), guest.words.firewall.rules)
    host = folder.spot(HYPERVISOR)
    for place, firewall in (
        (("firewall",), folder.host.firewall),
        (("shared_volumes", "firewall"), folder.host.shared_volumes.firewall),
    ):
        if firewall is not None:
            path: Pointer = (*place, "global_firewall_rules")
            yield from _rules(host, path, firewall.global_firewall_rules)
            yield from _rules(host, (*place, "node_rules"), firewall.node_rules)
            for name, rules in firewall.groups.items():
                yield from _rules(host, (*place, "groups", name), rules)


def _rules(spot: Spot, path: Pointer, rules: Sequence[FirewallRule]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, rule in enumerate(rules):
        place = (*path, index)
        raw = spot.raw(*spot.original(place)) or {}
        if any(word in raw and getattr(rule, word) is None for word in _WORDS):
            continue  # a word of it was wrong, so that the rest may say something else
        same = rule.model_dump_json(exclude={"comment"})
        if same in first:
            line = spot.line((*path, first[same]))
            message = f"this firewall rule says the same as the one in line {line}"
            yield spot.warning(place, message, "remove one of them")
        first.setdefault(same, index)
        if rule.port and rule.proto not in _WITH_PORTS:
            shown = f"`{rule.proto}` has no ports" if rule.proto else "a port needs a protocol"
            yield spot.error((*place, "port"), shown, 'add "proto": "tcp" or "udp"')
