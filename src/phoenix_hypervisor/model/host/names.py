"""Names and certificates inside: DNS and a certificate authority."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One name with the address that answers for it."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class DnsServer:
    """The DNS server on the host. `zones` are answered here alone and asked nowhere else."""

    upstream: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuthorityNames:
    """What a certificate authority of one's own is called; None: as the feature chooses."""

    root: str | None = None
    dns_name: str | None = None
    provisioner: str | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """Names and certificates. `dns` None: no DNS server on the host itself.

    `records` are those that the files spell out, beside the guests' own names; `zones` all that
    the files name, also where a guest answers for them.
    """

    dns: DnsServer | None = None
    records: tuple[Record, ...] = ()
    zones: tuple[str, ...] = ()
    authority: AuthorityNames = AuthorityNames()
