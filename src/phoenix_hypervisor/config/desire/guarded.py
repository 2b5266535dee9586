"""Firewalls that follow from routes: a server is reached only by those who are to use it.

Which servers: those for models, and what is open only since a route leads there, with no login
of its own.

Who may: proxies that publish it, guests that depend on its guest, guests whose features connect to
it, and its guest itself. The guest's own rules come first, so they decide where they say something
else; a `firewall` with `"enabled": false` keeps all of this away. A server that nobody of the files
uses is left open: only people can be meant to use it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Firewall, FirewallRule, Guest

MARK = "phoenix: from routes"
"""The comment of the rules that are made here."""

Ports = Mapping[Address, Iterable[int]]
"""Ports of such servers by their guest."""
Reached = Mapping[Address, Iterable[tuple[Address, int | None]]]
"""By a guest: the guests and ports that its features connect to; None: any of the guest's."""


@dataclass(frozen=True)
class Unnamed:
    """A guest that nobody can let in, since it has no static address, and whom it would reach."""

    guest: Guest
    server: Guest


@dataclass
class Guarded:
    """The desired state with the rules, and guests that they can't name."""

    desired: Desired
    unnamed: list[Unnamed] = field(default_factory=list)


def guarded(desired: Desired, ports: Ports, reached: Reached) -> Guarded:
    """Adds the rules to the firewalls of all guests with such servers."""
    found = Guarded(desired)
    guests = dict(desired.guests)
    for address, open_ports in ports.items():
        guest = guests[address]
        if guest.firewall is not None and not guest.firewall.enabled:
            continue
        rules: list[FirewallRule] = []
        for port in sorted(set(open_ports)):
            users = _users(desired, guest, port, reached)
            if not users:
                continue
            others = [user for user in users if user.address != address]
            found.unnamed += [Unnamed(one, guest) for one in others if one.ip is None]
            rules += _rules(port, sorted({one.ip for one in others if one.ip}, key=_order))
        if rules:
            guests[address] = replace(guest, firewall=_with(guest.firewall, rules))
    found.desired = replace(desired, guests=guests)
    return found


def _users(desired: Desired, server: Guest, port: int, reached: Reached) -> list[Guest]:
    return [
        guest
        for guest in desired.guests.values()
        if not guest.is_template
        if server.address in guest.dependencies
        or not {(server.address, port), (server.address, None)}.isdisjoint(
            reached.get(guest.address, ())
        )
    ]


def _rules(port: int, addresses: list[str]) -> Iterator[FirewallRule]:
    """Those who may, a rule for each family of addresses, since Proxmox VE mixes none; no more."""
    for version in (4, 6):
        some = [one for one in addresses if ip_address(one).version == version]
        if some:
            yield FirewallRule("in", "ACCEPT", ",".join(some), None, "tcp", (str(port),), MARK)
    yield FirewallRule("in", "REJECT", None, None, "tcp", (str(port),), MARK)


def _with(firewall: Firewall | None, rules: list[FirewallRule]) -> Firewall:
    if firewall is None:
        return Firewall(True, tuple(rules), policy_in="ACCEPT", policy_out="ACCEPT")
    # `adopt` writes what it finds, also what was made here: it is made anew.
    own = (rule for rule in firewall.rules if rule.comment != MARK)
    return replace(firewall, rules=(*own, *rules))


def _order(address: str) -> tuple[int, int]:
    read = ip_address(address)
    return read.version, int(read)
