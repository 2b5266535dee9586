"""What there is to be scraped and probed among the guests. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from phoenix_hypervisor import features
from phoenix_hypervisor.features._guests import Place, find, static_ip, unreachable
from phoenix_hypervisor.features._monitoring_options import MonitoringOptions, PhoenixMetrics
from phoenix_hypervisor.features._nginx_inputs import published
from phoenix_hypervisor.features._words import AddressOf
from phoenix_hypervisor.features.exporters import ExportersOptions, exporters
from phoenix_hypervisor.features.nginx import NginxOptions
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.errors import ConfigError
from phoenix_hypervisor.model.feature import Flaw
from phoenix_hypervisor.model.replicas import group
from phoenix_hypervisor.model.secret import Secret

LOCAL = "127.0.0.1"
_WITH_METRICS = ("llamacpp", "vllm")
_WHY = "{} watches it"


@dataclass(frozen=True, slots=True)
class Watched:
    """A port of a guest that is asked. `secret` is the token that it wants."""

    guest: Guest
    port: int
    secret: Secret | None = None
    feature: str = ""

    def told(self, guest: Guest) -> dict[str, Any]:
        """As the inputs of the guest that asks hold it. Raises `ConfigError`."""
        labels = {"guest": str(self.guest.address), "name": self.guest.name}
        return {
            "target": _at(self.guest, guest, self.port),
            "key": f"{self.guest.address.replace('/', '-')}-{self.port}",
            "labels": labels,
            "feature": self.feature,
            "secret": self.secret,
        }


@dataclass(frozen=True, slots=True)
class Probed:
    """A published path, asked at the proxy's address by the name that people use."""

    proxy: Guest
    owner: Guest
    port: int
    scheme: str
    host: str | None
    path: str
    guarded: bool

    def told(self, guest: Guest) -> dict[str, Any]:
        """As the inputs of the guest that asks hold it. Raises `ConfigError`.

        A route to replicas is of none of them, so that one that is down says nothing of it.
        """
        owner = {"guest": str(self.owner.address), "name": self.owner.name}
        if self.owner.replica is not None:
            owner = {"name": self.owner.replica.name}
        labels = {
            **owner,
            "proxy": str(self.proxy.address),
            "route": f"{self.host or '*'}{self.path}",
        }
        url = f"{self.scheme}://{_at(self.proxy, guest, self.port)}{self.path}"
        return {"url": url, "host": self.host, "guarded": self.guarded, "labels": labels}


def servers(desired: Desired) -> Iterator[Watched]:
    """Exporters of guests. `feature` is what one tells of, `node` for the guest itself."""
    for other in desired.guests.values():
        for use in other.features if other.runs else ():
            if isinstance(use.options, ExportersOptions):
                for one in exporters(use.options, other):
                    yield Watched(other, one.port, feature=one.of or "node")


def engines(guest: Guest, desired: Desired) -> Iterator[Watched]:
    """Model servers that tell metrics, as far as they can be reached from this guest."""
    known = features.available()
    for other in desired.guests.values():
        for use in other.features if other.runs else ():
            if use.name not in _WITH_METRICS:
                continue
            feature = known[use.name]
            closed = _closed(
                {one.port: one.address for one in feature.listens(use.options, other, desired)}
            )
            silent = {
                server.port
                for server in getattr(use.options, "all", ())
                if not getattr(server, "metrics", True)
            }
            for engine in feature.engines(use.options, other, desired):
                if engine.port in silent or (other is not guest and engine.port in closed):
                    continue
                yield Watched(other, engine.port, engine.api_key, use.name)


def probes(desired: Desired) -> Iterator[Probed]:
    """All routes that proxies publish; `*.example.com` has no name that could be asked."""
    for proxy in desired.guests.values():
        for use in proxy.features if proxy.runs else ():
            if not isinstance(use.options, NginxOptions):
                continue
            options = use.options
            secure = options.tls is not None
            port = options.tls.port if options.tls is not None else options.port
            for owner, _, route in published(options.proxy, proxy, desired):
                if route.host and route.host.startswith("*"):
                    continue
                scheme = "https" if secure else "http"
                guarded = route.auth is not None or route.llm is not None
                yield Probed(proxy, owner, port, scheme, route.host, route.path, guarded)


def phoenix(one: PhoenixMetrics, guest: Guest, desired: Desired) -> str:
    """Where Phoenix's own metrics are. Raises `ConfigError` where that guest is not there."""
    if isinstance(one.address, AddressOf):
        return _at(find(one.address.address_of, desired), guest, one.port)
    text = str(one.address)
    return f"[{text}]:{one.port}" if ":" in text else f"{text}:{one.port}"


def asked(
    options: MonitoringOptions, guest: Guest, desired: Desired
) -> Iterator[tuple[Guest, int]]:
    """The other guests of the files, with their ports, that this one connects to."""
    found = [(one.guest, one.port) for one in (*servers(desired), *engines(guest, desired))]
    if options.probe_routes:
        found += [(one.proxy, one.port) for one in probes(desired)]
    return (one for one in found if one[0].address != guest.address)


def inputs(options: MonitoringOptions, guest: Guest, desired: Desired) -> dict[str, Any]:
    """All targets. Raises `ConfigError`."""
    routes = list(probes(desired)) if options.probe_routes else []
    return {
        "stack": desired.stack,
        "phoenix": [phoenix(one, guest, desired) for one in options.phoenix],
        "servers": [one.told(guest) for one in servers(desired)],
        "engines": [one.told(guest) for one in engines(guest, desired)],
        "probes": [one.told(guest) for one in routes],
        "replicas": _replicas((one.owner for one in routes), desired),
        "open": is_open(options, guest),
    }


def _replicas(owners: Iterable[Guest], desired: Desired) -> dict[str, list[str]]:
    """The addresses of replicas that routes lead to, by the name that they have together."""
    return {
        owner.replica.name: [str(one.address) for one in group(owner, desired)]
        for owner in owners
        if owner.replica is not None
    }


def flaws(options: MonitoringOptions, guest: Guest, desired: Desired) -> Iterator[Flaw]:
    """All guests that can't be asked, each at its place, and what is there twice."""
    why = _WHY.format(guest.name)
    named: dict[Place, int | str] = {
        ("phoenix", number, "address"): one.address.address_of
        for number, one in enumerate(options.phoenix)
        if isinstance(one.address, AddressOf)
    }
    yield from unreachable(named, desired, why)
    for other in {one.address: one for one, _ in asked(options, guest, desired)}.values():
        try:
            static_ip(other, why)
        except ConfigError as error:
            yield Flaw(error.message, ("network_config", "ip"), other.address)
    names = [one.name for one in options.scrape]
    for number, name in enumerate(names):
        if name in names[:number]:
            hint = "each is a job of Prometheus, with a name of its own"
            yield Flaw(f"two scrapes are named {name!r}", ("scrape", number, "name"), hint=hint)
    places = [(one.address, one.port) for one in options.phoenix]
    for number, place in enumerate(places):
        if place in places[:number]:
            yield Flaw("this address and port is there twice", ("phoenix", number))


def is_open(options: MonitoringOptions, guest: Guest) -> Mapping[str, bool]:
    """Which of its servers listen on all addresses."""
    routed = {route.port for route in guest.routes}
    ports = {"prometheus": options.port, "alertmanager": options.alertmanager_port}
    if options.grafana is not None:
        ports["grafana"] = options.grafana.port
    return {
        name: port in routed if options.open is None else options.open
        for name, port in ports.items()
    }


def _closed(listened: Mapping[int, str | None]) -> set[int]:
    return {
        port
        for port, address in listened.items()
        if address and address != "*" and ip_address(address).is_loopback
    }


def _at(other: Guest, guest: Guest, port: int) -> str:
    address = LOCAL
    if other.address != guest.address:
        address = static_ip(other, _WHY.format(guest.name))
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
