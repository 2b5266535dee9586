"""Asks the features for model servers and their users, and guards the servers by firewalls."""

from collections.abc import Iterator
from dataclasses import dataclass

from phoenix_hypervisor.config.desire.guarded import Unnamed, guarded
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.engines import engines_of
from phoenix_hypervisor.model.problem import Problem


@dataclass(frozen=True)
class Guards:
    """The desired state with the rules, what stands against them, and what they stand against."""

    desired: Desired
    problems: tuple[Problem, ...]


def guard(folder: Folder, desired: Desired) -> Guards:
    """For files that are right otherwise: it asks features about all guests."""
    known = folder.vocabulary
    ports = {}
    for address, guest in desired.guests.items():
        found = engines_of(guest, desired, known.engines) if guest.runs else ()
        if found:
            ports[address] = [engine.port for engine in found]
    if not ports:
        return Guards(desired, ())
    reached = {
        address: [
            place
            for use in guest.features
            if use.name in known.reaches
            for place in known.reaches[use.name](use.options, guest, desired)
        ]
        for address, guest in desired.guests.items()
        if guest.runs
    }
    done = guarded(desired, ports, reached)
    problems = (*_unnamed(folder, done.unnamed), *_shut_out(folder, desired, done.desired))
    return Guards(done.desired, problems)


def _unnamed(folder: Folder, unnamed: list[Unnamed]) -> Iterator[Problem]:
    entries = {entry.address: entry for entry in folder.guests}
    for one in unnamed:
        entry = entries[one.guest.address]
        message = (
            f"{entry.label} uses the model server of {one.server.name}, whose firewall lets it in "
            "by its address; but it has no static one"
        )
        place = ("network_config", "ip") if entry.words.network_config else entry.head
        hint = (
            'set it, such as 10.0.0.5/24, or "firewall": {"enabled": false} on the server\'s guest'
        )
        yield entry.spot.error(place, message, hint)


def _shut_out(folder: Folder, before: Desired, after: Desired) -> Iterator[Problem]:
    """Checks from outside of a port that only users reach now."""
    for entry in folder.guests:
        firewall = after.guests[entry.address].firewall
        if firewall is None or before.guests[entry.address].firewall is not None:
            continue  # its own rules may let the question in
        shut = {int(port) for rule in firewall.rules for port in rule.ports}
        for index, check in enumerate(entry.checks):
            port, elsewhere = getattr(check, "port", None), getattr(check, "address", None)
            if check.source == "outside" and port in shut and elsewhere is None:
                message = f"port {port} is a model server's, which only its users reach"
                yield entry.spot.warning(("checks", index), message, 'add "from": "inside"')
