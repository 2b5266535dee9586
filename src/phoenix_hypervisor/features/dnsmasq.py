"""dnsmasq: a DNS server that knows the guests by name and asks others for the rest."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from phoenix_hypervisor.features import _dnsmasq_conf as text
from phoenix_hypervisor.features._dnsmasq_conf import Served
from phoenix_hypervisor.features._guests import Place, find, static_ip, unreachable
from phoenix_hypervisor.features._take import NewFile, differing, take
from phoenix_hypervisor.features._words import AddressOf, HostName, PlainHost, Port
from phoenix_hypervisor.features.nginx import NginxOptions, served_hosts
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Flaw, Inside
from phoenix_hypervisor.model.listen import Listen

Ip = IPv4Address | IPv6Address
Lines = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
LOOPBACK = "127.0.0.1"
_WHY = "{} names it"


class DnsmasqOptions(FeatureOptions):
    """Options of `dnsmasq`."""

    domain: PlainHost | None = Field(
        None, description="The guests' domain. Default: the hypervisor's `domain_name`."
    )
    upstream: tuple[Ip | AddressOf, ...] = Field(
        (), description="Who answers the rest. Default: the guest's own `nameservers`."
    )
    records: dict[HostName, Ip | AddressOf] = Field(
        {}, description="More names, each with an address or a guest; `*.x` is x and all below it."
    )
    zones: tuple[PlainHost, ...] = Field(
        (), description="Zones that are answered here alone, beside the domain."
    )
    routes: bool = Field(
        True, description="Names that `nginx` serves lead to its guest, also from inside."
    )
    listen: tuple[Ip, ...] = Field(
        (), description="Addresses to listen on. Default: the guest's static ones, and 127.0.0.1."
    )
    port: Port = Field(53, description="The port, over UDP and TCP.")
    extra: Lines = Field("", description="Own lines for dnsmasq's configuration.")


class Dnsmasq(Feature[DnsmasqOptions]):
    """Names of guests for guests, in a guest or on the host."""

    name = "dnsmasq"
    options = DnsmasqOptions
    units = (text.UNIT,)
    host_files = (text.CONF, text.HOSTS, text.UNIT_FILE)
    host_turn = 60

    def for_host(self, desired: Desired) -> DnsmasqOptions | None:
        """Where the hypervisor file has a `dns_server`: on the host's addresses that guests see."""
        dns = desired.host.setup.names.dns
        if dns is None:
            return None
        inner = [ip_interface(b.cidr).ip for b in desired.bridges.values() if b.cidr]
        return DnsmasqOptions(
            upstream=tuple(map(ip_address, dns.upstream)),
            zones=dns.zones,
            listen=(IPv4Address(LOOPBACK), *dict.fromkeys(inner)),
        )

    def flaws(self, options: DnsmasqOptions, guest: Guest, desired: Desired) -> Sequence[Flaw]:
        """Guests without an address, no address to listen on, and a server that asks itself."""
        return list(_flaws(options, guest, desired))

    def inputs(self, options: DnsmasqOptions, guest: Guest, desired: Desired) -> Mapping[str, Any]:
        """All names with their addresses, and whom to ask for others."""
        names = desired.host.setup.names
        return {
            "domain": options.domain or desired.host.domain,
            "zones": list(names.zones),
            "listen": _listen(options, guest),
            "upstream": _upstream(options, guest, desired),
            "records": {name: list(found) for name, found in _records(options, desired).items()},
        }

    def listens(self, options: DnsmasqOptions, guest: Guest, desired: Desired) -> Sequence[Listen]:
        """Its port at each of its addresses, over UDP and TCP."""
        return [
            Listen(options.port, ("port",), address=address, protocol=protocol)
            for address in _listen(options, guest)
            for protocol in ("tcp", "udp")
        ]

    def checks(self, options: DnsmasqOptions, guest: Guest) -> Sequence[Mapping[str, Any]]:
        """It takes questions over TCP too (RFC 7766)."""
        return ({"tcp": {"port": options.port}},)

    def deploy(self, options: DnsmasqOptions, inside: Inside) -> None:
        """Runs it as a unit of our own: the package's would listen everywhere at once."""
        from phoenix_hypervisor.features import _system

        told = inside.inputs
        served = Served(
            listen=tuple(told["listen"]),
            port=options.port,
            domain=told["domain"],
            zones=tuple(dict.fromkeys([*told["zones"], *options.zones])),
            upstream=tuple(told["upstream"]),
            extra=options.extra,
        )
        _system.install("dnsmasq-base", "iproute2")
        _system.folder(text.FOLDER)
        files = [
            NewFile(text.CONF, text.conf(served, told["records"])),
            NewFile(text.HOSTS, text.hosts(told["records"])),
            NewFile(text.UNIT_FILE, text.unit()),
        ]
        restart = [file.path for file in differing(files)] != [text.HOSTS]
        take(
            "DNS configuration",
            files,
            accept=text.accept(served.listen, options.port, restart=restart),
            undo=f"systemctl daemon-reload; systemctl restart {text.UNIT}",
        )
        _system.service(text.UNIT)


def _listen(options: DnsmasqOptions, guest: Guest) -> list[str]:
    if options.listen:
        return [str(address) for address in options.listen]
    own = [nic.address.partition("/")[0] for nic in guest.nics if nic.address not in (None, "dhcp")]
    return [LOOPBACK, *own]


def _upstream(options: DnsmasqOptions, guest: Guest, desired: Desired) -> list[str]:
    """Named ones; else those that the guest itself asks, but for its own addresses."""
    if options.upstream:
        return [_address(one, desired, _WHY.format(guest.name)) for one in options.upstream]
    own = {LOOPBACK, "::1", *_listen(options, guest)}
    asked = dict.fromkeys(server for nic in guest.nics for server in nic.nameservers)
    return [server for server in asked if server not in own]


def _address(one: Ip | AddressOf, desired: Desired, why: str) -> str:
    if isinstance(one, AddressOf):
        return static_ip(find(one.address_of, desired), why)
    return str(one)


def _records(options: DnsmasqOptions, desired: Desired) -> dict[str, dict[str, None]]:
    """Names in small letters, each with its addresses; the files' own words come first."""
    domain = options.domain or desired.host.domain
    found: dict[str, dict[str, None]] = {}
    for guest in desired.guests.values():
        if guest.ip is not None and guest.runs:
            name = guest.name.lower()
            for whole in (f"{name}.{domain}" if domain and "." not in name else name, name):
                found.setdefault(whole, {})[guest.ip] = None
    if options.routes:
        for name, address in _proxied(desired):
            if name not in found:
                found[name] = {address: None}
    spelled: dict[str, dict[str, None]] = {}
    for record in desired.host.setup.names.records:
        spelled.setdefault(record.name, {})[record.address] = None
    for name, one in options.records.items():
        spelled[name.lower()] = {_address(one, desired, f"dnsmasq.records has {name}"): None}
    return found | spelled


def _proxied(desired: Desired) -> Iterator[tuple[str, str]]:
    for guest in desired.guests.values():
        for use in guest.features if guest.runs and guest.ip else ():
            if isinstance(use.options, NginxOptions):
                for name in served_hosts(use.options, guest, desired):
                    yield name, guest.ip or ""


def _flaws(options: DnsmasqOptions, guest: Guest, desired: Desired) -> Iterator[Flaw]:
    wanted: dict[Place, int | str] = {
        ("records", name): one.address_of
        for name, one in options.records.items()
        if isinstance(one, AddressOf)
    }
    wanted |= {
        ("upstream", index): one.address_of
        for index, one in enumerate(options.upstream)
        if isinstance(one, AddressOf)
    }
    missing = list(unreachable(wanted, desired, _WHY.format(guest.name)))
    yield from missing
    if not options.listen and guest.ip is None:
        hint = "set network_config.ip to a static address, or dnsmasq.listen"
        yield Flaw(f"{guest.name} has no static address to answer at", (), hint=hint)
    told = {flaw.at for flaw in missing}
    own = set(_listen(options, guest))
    for index, one in enumerate(options.upstream):
        if ("upstream", index) not in told and _address(one, desired, "") in own:
            yield Flaw("the DNS server would ask itself", ("upstream", index))
