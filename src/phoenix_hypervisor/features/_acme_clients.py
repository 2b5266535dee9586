"""Who asks an authority among the guests for certificates, read from the files.

An authority finds out whether a name is somebody's by asking at that name. So it must know the
address of each: they are written into its own /etc/hosts, and no DNS server is needed.
"""

from collections.abc import Iterator, Mapping

from phoenix_hypervisor.features._acme import owner
from phoenix_hypervisor.features.nginx import NginxOptions, certified
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.errors import ConfigError


def _clients(authority: Guest, desired: Desired) -> Iterator[tuple[Guest, list[str]]]:
    for guest in desired.guests.values():
        for use in guest.features:
            options = use.options
            if not isinstance(options, NginxOptions) or options.tls is None:
                continue
            acme = options.tls.acme
            if acme.source is None:
                continue
            try:
                asked = owner(acme.source, desired)
            except ConfigError:
                continue  # a flaw of that guest, told there
            if asked.address == authority.address:
                yield guest, certified(options, guest, desired)


def client_names(authority: Guest, desired: Desired) -> list[str]:
    """The names that guests ask this authority for."""
    return sorted({name for _, names in _clients(authority, desired) for name in names})


def client_hosts(authority: Guest, desired: Desired) -> dict[str, str]:
    """Those names with the addresses of who asks."""
    return {
        name: guest.ip
        for guest, names in _clients(authority, desired)
        for name in names
        if guest.ip is not None
    }


def known_names(guest: Guest, domain: str | None) -> list[str]:
    """What a guest is called by others: its name, and that in the domain."""
    name = guest.name.lower()
    return [name, *([f"{name}.{domain}"] if domain and "." not in name else [])]


def write_hosts(hosts: Mapping[str, str]) -> None:
    """Makes the names known in the guest. Must be called in a deploy function."""
    from pyinfra.operations import files

    files.block(
        name="Write names of those who ask for certificates into /etc/hosts",
        path="/etc/hosts",
        content="\n".join(f"{address} {name}" for name, address in sorted(hosts.items()))
        or "# none",
        marker="# {mark} who asks for certificates",
        try_prevent_shell_expansion=True,
    )
