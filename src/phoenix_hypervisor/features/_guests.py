"""What features want to know of other guests, read from the desired state alone."""

from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.errors import ConfigError


def find(wanted: int | str, desired: Desired) -> Guest:
    """The guest with that id or name. Raises `ConfigError` where there is none."""
    for guest in desired.guests.values():
        if wanted in (guest.id, str(guest.id), guest.name, guest.address):
            return guest
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


def dependents(guest: Guest, desired: Desired) -> list[str]:
    """Static addresses of the guests that depend on this one, sorted.

    Raises `ConfigError` where a dependent has no static address, since nobody could let it in.
    """
    return sorted(
        static_ip(other, f"{guest.name} lets its dependents in by address")
        for other in desired.guests.values()
        if guest.address in other.dependencies and not other.is_template
    )
