"""What features want to know of other guests, read from the desired state alone."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from phoenix_hypervisor.features._words import AddressOf
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.errors import ConfigError
from phoenix_hypervisor.model.feature import Flaw
from phoenix_hypervisor.model.replicas import group

Place = tuple[str | int, ...]

_LETS_IN = "{} lets its dependents in by address"


def find(wanted: int | str, desired: Desired) -> Guest:
    """The guest with that id or name. Raises `ConfigError` where there is none."""
    for guest in desired.guests.values():
        if wanted in (guest.id, str(guest.id), guest.name, guest.address):
            return guest
    for guest in desired.guests.values():
        if guest.replica is not None and guest.replica.name == wanted:
            names = ", ".join(one.name for one in group(guest, desired))
            raise ConfigError(f"{wanted!r} has replicas: name one of {names}")
    known = ", ".join(sorted(guest.name for guest in desired.guests.values()))
    raise ConfigError(f"there is no guest {wanted!r}; guests are: {known or 'none'}")


def static_ip(guest: Guest, why: str) -> str:
    """The guest's static address. Raises `ConfigError` with `why` where DHCP decides."""
    if guest.ip is None:
        raise ConfigError(
            f"{guest.address} ({guest.name}) has no static address, but {why}: "
            "give it one in network_config.ip"
        )
    return guest.ip


def unreachable(wanted: Mapping[Place, int | str], desired: Desired, why: str) -> Iterator[Flaw]:
    """Guests whose address an option at a place asks for, but that are not there or have none."""
    for place, name in wanted.items():
        try:
            static_ip(find(name, desired), why)
        except ConfigError as error:
            yield Flaw(error.message, place)


def reached(values: Iterable[object], desired: Desired) -> Iterator[tuple[Address, None]]:
    """The guests among options' values, as `Feature.reaches` tells them; unknown ones are flaws."""
    for value in values:
        if isinstance(value, AddressOf):
            with suppress(ConfigError):
                yield find(value.address_of, desired).address, None


def unknown_dependents(guest: Guest, desired: Desired) -> Iterator[Flaw]:
    """Dependents that `dependents` could not name."""
    for other in _dependents(guest, desired):
        try:
            static_ip(other, _LETS_IN.format(guest.name))
        except ConfigError as error:
            yield Flaw(error.message, ("network_config", "ip"), other.address)


def refuse(flaws: Iterable[Flaw]) -> None:
    """Raises `ConfigError` with the first flaw, for those who never asked for them before."""
    for flaw in flaws:
        raise ConfigError(flaw.message)


def _dependents(guest: Guest, desired: Desired) -> Iterator[Guest]:
    for other in desired.guests.values():
        if guest.address in other.dependencies and not other.is_template:
            yield other


def dependents(guest: Guest, desired: Desired) -> list[str]:
    """Static addresses of the guests that depend on this one, sorted.

    Raises `ConfigError` where a dependent has no static address, since nobody could let it in.
    """
    why = _LETS_IN.format(guest.name)
    return sorted(static_ip(other, why) for other in _dependents(guest, desired))
