"""What a proxy publishes: the routes of all guests, with the addresses of who answers. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from phoenix_hypervisor import features
from phoenix_hypervisor.features._guests import static_ip
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Guest, Route, RouteAuth
from phoenix_hypervisor.model.engines import engines_of
from phoenix_hypervisor.model.errors import ConfigError
from phoenix_hypervisor.model.replicas import group, is_first, stand_in
from phoenix_hypervisor.model.serving import Engine, LlmRoute


class NoServers(ConfigError):
    """None of the guests that a route names has a model server; who reads the files tells each."""


Upstream = tuple[Guest, Engine]
"""A model server with its guest."""


def published(proxy: bool | None, guest: Guest, desired: Desired) -> list[tuple[Guest, int, Route]]:
    """The routes that this proxy publishes, each with its guest and its index there; those of
    replicas with the first one.

    `proxy` is the option: None publishes unless another guest's says true.
    """
    if proxy is None:
        proxy = not any(
            use.name == "nginx" and getattr(use.options, "proxy", None)
            for other in desired.guests.values()
            if other.address != guest.address
            for use in other.features
        )
    if not proxy:
        return []
    return [
        (owner, index, route)
        for owner in desired.guests.values()
        for index, route in enumerate(owner.routes)
        if owner.runs and is_first(owner)
    ]


def upstreams(owner: Guest, llm: LlmRoute, desired: Desired) -> list[Upstream]:
    """The model servers behind an endpoint, each once; of replicas those of the first one."""
    known = features.available()
    asks = {name: known[name].engines for name in _names(desired, llm.guests)}
    found = [(owner, llm.engine)] if llm.engine else []
    for address in llm.guests:
        guest = desired.guests.get(address)
        if guest is not None and guest.runs:
            found += [(guest, engine) for engine in engines_of(guest, desired, asks)]
    unique: list[Upstream] = []
    for each in found:
        if not any(each[0].address == a.address and each[1] == b for a, b in unique):
            unique.append(each)
    return unique


def leads_to(route: Route, guest: Guest, owner: Guest, engine: Engine, desired: Desired) -> bool:
    """Whether a route of `guest` leads to the API of a model server of `owner`."""
    if route.llm is not None:
        behind = upstreams(guest, route.llm, desired)
        return any(stand_in(one, owner) and each == engine for one, each in behind)
    below = engine.path == route.path or engine.path.startswith(f"{route.path.rstrip('/')}/")
    return stand_in(guest, owner) and route.port == engine.port and below


def _names(desired: Desired, addresses: Sequence[Address]) -> set[str]:
    guests = (desired.guests.get(address) for address in addresses)
    return {use.name for guest in guests if guest for use in guest.features}


def reached(proxy: bool | None, guest: Guest, desired: Desired) -> Iterator[tuple[Address, int]]:
    """The guests and ports that this proxy connects to, all replicas among them."""
    for _, first, port in behind(proxy, guest, desired):
        for each in group(first, desired):
            yield each.address, port


def behind(
    proxy: bool | None, guest: Guest, desired: Desired
) -> Iterator[tuple[Route, Guest, int]]:
    """Routes that this proxy publishes, who answers each, and at which port; of replicas the first
    one.
    """
    for owner, _, route in published(proxy, guest, desired):
        if route.port is not None:
            yield route, owner, route.port
        if route.llm is not None:
            for one, engine in upstreams(owner, route.llm, desired):
                yield route, one, engine.port


def told(route: Route, owner: Guest, proxy: Guest, port: int, desired: Desired) -> dict[str, Any]:
    """A route as the inputs hold it; `port` is the proxy's own. Raises `ConfigError`."""
    where = f"{owner.name} publishes {route.host or ''}{route.path}"
    auth = route.auth
    if auth and auth.kind == "basic" and not auth.username:
        raise ConfigError(f"{where} with basic auth, but names no user")
    llm = None
    if route.llm is not None:
        llm = _endpoint(route.llm, owner, proxy, where, desired)
    upstream: dict[str, Any] = {"upstream": None}
    if route.llm is None and route.port is not None:
        if stand_in(owner, proxy) and route.port == port:
            raise ConfigError(f"{where} on port {route.port}, which is the proxy's own")
        upstream = _upstream(owner, proxy, route.port, where, desired)
    rate = route.rate_limit
    return {
        "host": route.host,
        "path": route.path,
        **upstream,
        **({"timeout_s": route.timeout_s} if route.timeout_s else {}),
        "auth": _auth(auth) if auth else None,
        "rate": {"requests": rate.requests, "per": rate.per, "burst": rate.burst, "by": rate.by}
        if rate
        else None,
        "llm": llm,
    }


def _auth(auth: RouteAuth) -> dict[str, Any]:
    return {
        "kind": auth.kind,
        "username": auth.username,
        "secret": auth.secret,
        "keys": dict(auth.keys),
    }


def _upstream(
    owner: Guest, proxy: Guest, port: int, where: str, desired: Desired
) -> dict[str, Any]:
    """Where to connect to; of replicas a name for all, and where each is."""
    found = []
    for each in group(owner, desired):
        same = each.address == proxy.address
        found.append(server("127.0.0.1" if same else static_ip(each, where), port))
    if owner.replica is None or len(found) == 1:
        return {"upstream": found[0]}
    return {"upstream": f"phoenix-{owner.replica.name}-{port}", "peers": found}


def server(address: str, port: int) -> str:
    """An address and a port as Nginx takes them."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _endpoint(
    llm: LlmRoute, owner: Guest, proxy: Guest, where: str, desired: Desired
) -> dict[str, Any]:
    found = upstreams(owner, llm, desired)
    if not found:
        named = [desired.guests[one].name for one in llm.guests if one in desired.guests]
        alone = llm.guests == (owner.address,)
        raise (ConfigError if alone else NoServers)(
            f"{where}, but no model server runs in {', '.join(named) or 'any guest'}: name guests "
            "with one in "
            "llm.guests, or the port and llm.models of one that no feature runs"
        )
    taken: dict[str, str] = {}
    for guest, engine in found:
        for model in engine.models:
            here = f"{guest.name} port {engine.port}"
            if model.name in taken:
                raise ConfigError(
                    f"{where} with two model servers for {model.name!r}: {taken[model.name]} "
                    f"and {here}; give it another name in one"
                )
            taken[model.name] = here
    return {
        "engines": [
            {
                **_upstream(guest, proxy, engine.port, where, desired),
                "path": engine.path,
                "models": [model.name for model in engine.models],
                "owner": engine.feature or guest.name,
                "secret": engine.api_key,
            }
            for guest, engine in found
        ],
        "timeout_s": llm.timeout_s,
        "body_mb": llm.max_body_mb,
    }
