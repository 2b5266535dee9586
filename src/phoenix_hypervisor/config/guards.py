"""Asks the features for model servers, other servers for proxies alone, and the users of both, and
guards the servers by firewalls.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from phoenix_hypervisor.config.desire.guarded import Unnamed, guarded
from phoenix_hypervisor.config.folder import FindReached, Folder
from phoenix_hypervisor.config.replicas import owners
from phoenix_hypervisor.config.sure import Sure
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, FeatureUse, Guest
from phoenix_hypervisor.model.engines import engines_of
from phoenix_hypervisor.model.errors import ConfigError
from phoenix_hypervisor.model.problem import Problem


@dataclass(frozen=True)
class Guards:
    """The desired state with the rules, what stands against them, and what they stand against."""

    desired: Desired
    problems: tuple[Problem, ...]


def guard(folder: Folder, desired: Desired, errors: Iterable[Problem] = ()) -> Guards:
    """Asks features about all guests. With `errors` in the files only what is sure is told."""
    known = folder.vocabulary
    engines = {}
    for address, guest in desired.guests.items():
        found = engines_of(guest, desired, known.engines) if guest.runs else ()
        if found:
            engines[address] = [engine.port for engine in found]
    sure = Sure(folder, tuple(errors))
    idle = tuple(_without_server(folder, engines, sure))
    ports = {
        address: [*engines.get(address, ()), *_for_users(folder, guest, desired)]
        for address, guest in desired.guests.items()
        if guest.runs
    }
    if not any(ports.values()):
        return Guards(desired, idle)
    reached = {
        address: [
            place
            for use in guest.features
            if use.name in known.reaches
            for place in _reached(known.reaches[use.name], use, guest, desired)
        ]
        for address, guest in desired.guests.items()
        if guest.runs
    }
    done = guarded(desired, ports, reached)
    shut_out = _shut_out(folder, desired, done.desired, sure.known_ways)
    unnamed = _unnamed(folder, done.unnamed) if sure.knows_all_options else ()
    return Guards(done.desired, (*idle, *unnamed, *shut_out))


def _for_users(folder: Folder, guest: Guest, desired: Desired) -> Iterator[int]:
    """Ports of a guest's features that are open for their users alone."""
    known = folder.vocabulary.listens
    for use in guest.features:
        for one in known[use.name](use.options, guest, desired) if use.name in known else ():
            if one.users_only:
                yield one.port


def _reached(
    find: FindReached, use: FeatureUse, guest: Guest, desired: Desired
) -> list[tuple[Address, int | None]]:
    """Nobody, where a feature can't say for a flaw that is told."""
    try:
        return list(find(use.options, guest, desired))
    except ConfigError:
        return []


def _without_server(
    folder: Folder, ports: Mapping[Address, object], sure: Sure
) -> Iterator[Problem]:
    """Guests that a route names for their model servers, and that have none."""
    for entry in folder.guests:
        for index, route in enumerate(entry.words.routes):
            wanted = route.llm.guests if route.llm else []
            if set(wanted) == {entry.id}:
                continue  # as where no guest is named: the route itself is told
            for number, guest_id in enumerate(wanted):
                other = folder.guest(guest_id)
                if other is None or other.rests or other.address in ports:
                    continue
                if {entry.address, other.address} <= sure.known_ways:
                    message = f"no model server runs in {other.label}"
                    hint = "name guests with one: a feature such as llamacpp, ollama or vllm"
                    place = ("routes", index, "llm", "guests", number)
                    yield entry.spot.error(place, message, hint)


def _unnamed(folder: Folder, unnamed: list[Unnamed]) -> Iterator[Problem]:
    entries = owners(folder)
    for one in unnamed:
        entry = entries[one.guest.address]
        message = (
            f"{entry.label} uses a server of {one.server.name}, whose firewall lets it in by its "
            "address; but it has no static one"
        )
        place = ("network_config", "ip") if entry.words.network_config else entry.head
        hint = (
            'set it, such as 10.0.0.5/24, or "firewall": {"enabled": false} on the server\'s guest'
        )
        yield entry.spot.error(place, message, hint)


def _shut_out(
    folder: Folder, before: Desired, after: Desired, sure: frozenset[Address]
) -> Iterator[Problem]:
    """Checks from outside of a port that only users reach now."""
    for entry in folder.guests:
        if entry.address not in sure:
            continue
        firewall = after.guests[entry.address].firewall
        if firewall is None or before.guests[entry.address].firewall is not None:
            continue  # its own rules may let the question in
        shut = {int(port) for rule in firewall.rules for port in rule.ports}
        for index, check in enumerate(entry.checks):
            port, elsewhere = getattr(check, "port", None), getattr(check, "address", None)
            if check.source == "outside" and port in shut and elsewhere is None:
                message = f"only those who use port {port} reach it: a firewall follows from routes"
                yield entry.spot.warning(("checks", index), message, 'add "from": "inside"')
