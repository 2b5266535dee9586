"""What the product reckons of a rule set is what real nftables does with real packets."""

import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support import nft_rules

from phoenix_hypervisor.host._packet import Packet, Rules

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes namespaces")

SOURCES = ("10.0.0.7", "10.0.1.9", "192.168.5.5", "172.16.0.3", "203.0.113.8")
NODE = ("10.0.0.2", "192.168.5.2")
PORTS = (22, 80, 443, 3128, 5901, 8006, 9100)
ATTEMPTS = [(source, dest, port) for source in SOURCES for dest in NODE for port in PORTS]
_ADDRESSES = ("10.0.0.7", "10.0.0.0/24", "10.0.0.0/16", "192.168.5.0/24", "172.16.0.1-172.16.0.9",
              "203.0.113.8,10.0.1.9", "0.0.0.0/0", "10.0.1.0/25", "198.51.100.0/24")  # fmt: skip
_ALIASES = {"office": "10.0.0.0/24", "laptop": "203.0.113.8"}
_SETS = {
    "admins": ["10.0.0.0/16", "!10.0.1.0/24", "203.0.113.8"],
    "empty": list[str](),
    "named": ["office", "172.16.0.0/12"],
}
_DPORTS = ("22", "8006", "80,443", "1:1024", "5900:5999", "22,8006", "9000:9200", "ssh", "https")


@pytest.fixture(scope="module")
def wire() -> Iterator[nft_rules.Wire]:
    with nft_rules.wire(SOURCES, NODE, PORTS) as found:
        yield found


def _rule(dice: random.Random, groups: list[str]) -> dict[str, str]:
    kind = dice.random()
    if groups and kind < 0.15:
        rule = {"type": "group", "action": dice.choice(groups)}
    else:
        rule = {
            "type": "out" if kind > 0.95 else "in",
            "action": dice.choice(("ACCEPT", "ACCEPT", "DROP", "REJECT")),
        }
        places = (*_ADDRESSES, *_ALIASES, "dc/office", *(f"+{name}" for name in _SETS))
        if dice.random() < 0.7:
            rule["source"] = dice.choice(places)
        if dice.random() < 0.25:
            rule["dest"] = dice.choice(("10.0.0.2", "192.168.5.2/32", "10.0.0.0/8", "office"))
        what = dice.random()
        if what < 0.25:
            rule["macro"] = dice.choice(("SSH", "Web", "PMG", "Ping"))
        elif what < 0.8:
            rule |= {
                "proto": dice.choice(("tcp", "tcp", "tcp", "udp")),
                "dport": dice.choice(_DPORTS),
            }
        elif what < 0.9:
            rule["proto"] = dice.choice(("tcp", "udp", "icmp"))
    if dice.random() < 0.15:
        rule["iface"] = dice.choice(("vmbr0", "vmbr9"))
    return rule | {"enable": "0" if dice.random() < 0.1 else "1"}


def _world(seed: int) -> dict[str, Any]:
    dice = random.Random(seed)  # noqa: S311 - the same sets each time
    groups = {name: [_rule(dice, []) for _ in range(dice.randint(0, 4))] for name in ("web", "ops")}
    ipsets: dict[str, list[str]] = dict(_SETS)
    if dice.random() < 0.4:
        ipsets["management"] = dice.choice((["203.0.113.0/24"], ["office", "!10.0.0.7"]))
    if dice.random() < 0.25:
        ipsets["blacklist"] = dice.choice((["172.16.0.0/16"], ["10.0.0.0/8", "!10.0.1.9"]))
    aliases = _ALIASES | ({"local_network": "172.16.0.0/24"} if dice.random() < 0.2 else {})
    return {
        "node": [_rule(dice, list(groups)) for _ in range(dice.randint(0, 4))],
        "cluster": [_rule(dice, list(groups)) for _ in range(dice.randint(0, 8))],
        "policy": dice.choice(("DROP", "DROP", "REJECT", "ACCEPT")),
        "aliases": aliases,
        "ipsets": ipsets,
        "groups": groups,
        "local_network": dice.choice(("10.0.0.0/24", "192.168.5.0/24", "")),
    }


@pytest.mark.parametrize("seed", range(60))
def test_the_kernel_says_the_same(wire: nft_rules.Wire, seed: int) -> None:
    world = _world(seed)
    wire.load(world)
    reckoned = Rules(**world)
    expected = [
        reckoned.verdict(Packet(source, dest, port, "vmbr0")).action
        for source, dest, port in ATTEMPTS
    ]
    got = wire.outcomes(ATTEMPTS)
    differ = [
        (attempt, reckoned.verdict(Packet(*attempt, "vmbr0")), real)
        for attempt, want, real in zip(ATTEMPTS, expected, got, strict=True)
        if want != real
    ]
    assert differ == []


def test_the_sets_meet_every_outcome_and_every_reason() -> None:
    """Else the comparison above would say little."""
    found = {
        (verdict.action, verdict.why.partition(" ")[0])
        for seed in range(60)
        for attempt in ATTEMPTS
        for verdict in (Rules(**_world(seed)).verdict(Packet(*attempt, "vmbr0")),)
    }
    assert {action for action, _ in found} == {"ACCEPT", "DROP", "REJECT"}
    assert {("ACCEPT", "rule"), ("DROP", "rule"), ("REJECT", "rule")} <= found
    assert {("ACCEPT", "the"), ("DROP", "the"), ("REJECT", "the")} <= found


def test_what_is_not_known_counts_against_the_connection() -> None:
    def one(**rule: str) -> Rules:
        return Rules(cluster=[{"type": "in", "enable": "1", **rule}], policy="ACCEPT")

    packet = Packet("10.0.0.7", "", 22)
    assert one(action="DROP", iface="vmbr0").verdict(packet).action == "DROP"
    assert one(action="DROP", dest="10.0.0.2").verdict(packet).action == "DROP"
    assert one(action="REJECT", macro="Amanda").verdict(packet).action == "REJECT"
    closed = Rules(cluster=[{"type": "in", "action": "ACCEPT", "iface": "vmbr0"}], policy="DROP")
    assert not closed.verdict(packet).passes
    assert "the policy for incoming traffic, DROP" in closed.verdict(packet).why
