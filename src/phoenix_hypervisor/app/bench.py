"""Finds the model server to measure: by its URL, or among the folder's guests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from phoenix_hypervisor import features
from phoenix_hypervisor.features.nginx import leading_to
from phoenix_hypervisor.model.desired import Desired, Guest, Route
from phoenix_hypervisor.model.engines import engines_of
from phoenix_hypervisor.model.errors import UsageError
from phoenix_hypervisor.model.serving import Engine, ModelKind
from phoenix_hypervisor.verify.llm.exchange import Way
from phoenix_hypervisor.verify.llm.inside import Inside
from phoenix_hypervisor.verify.llm.outside import Outside
from phoenix_hypervisor.verify.llm.question import Server
from phoenix_hypervisor.verify.place import GuestPlace

if TYPE_CHECKING:
    from phoenix_hypervisor.app.session import Session

Via = Literal["route", "port", "inside"]

_PORTS = {"http": 80, "https": 443}
_LOCAL = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Found:
    """A server with the way to it; `told` is that in words, `model` what is asked for there."""

    server: Server
    way: Way
    told: str
    model: str | None
    kind: ModelKind


def by_url(url: str, api_key: str | None, *, verify_tls: bool) -> Server:
    """The server at a URL; without a path its API begins at /v1. Raises `UsageError`."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise UsageError(f"{url} is no URL: {error}") from error
    if parts.scheme not in _PORTS or not host or parts.query or parts.fragment or parts.username:
        raise UsageError(
            f"{url} is not where a model server answers", hint="write it as http://10.0.0.5:8080/v1"
        )
    return Server(
        address=host,
        port=port or _PORTS[parts.scheme],
        tls=parts.scheme == "https",
        verify_tls=verify_tls,
        path=parts.path.rstrip("/") or "/v1",
        api_key=api_key,
    )


@asynccontextmanager
async def of_stack(
    session: "Session",
    word: str | None,
    *,
    model: str | None,
    via: Via | None,
    api_key: str | None,
    at_once: int,
    timeout_s: float,
) -> AsyncIterator[Found]:
    """The model server of a guest (None: the only one there is) and the way to it.

    `via` None: through its route where it has one, else at its port. `api_key` stands in for what
    the files say. Raises `UsageError`.
    """
    if not session.driver.has_inside:
        raise UsageError(
            "the simulated node has no model server", hint="choose a real target, or give a URL"
        )
    guest, engine = _engine(session, word, model)
    chosen = model or (engine.models[0].name if engine.models else None)
    kinds: dict[str, ModelKind] = {one.name: one.kind for one in engine.models}
    kind = kinds.get(chosen or "", "chat")
    routes = list(leading_to(guest, engine, session.desired))
    if via == "route" and not routes:
        raise UsageError(
            f"no route leads to {guest.name}:{engine.port}", hint="--via port asks it directly"
        )
    if via == "route" or (via is None and routes):
        proxy, port, route = routes[0]
        async with _place(session, proxy, at_once) as place:
            server = Server(
                address=place.address,
                port=port,
                host=route.host,
                path=_path(route, engine),
                api_key=api_key or _key(session, route, engine),
            )
        name = f"{route.host or server.address}{server.path}"
        yield Found(server, Outside(), f"{name} of {proxy.name}", chosen, kind)
        return
    own = engine.api_key.reveal(session.secrets.lookup) if engine.api_key else None
    async with _place(session, guest, at_once) as place:
        address = _LOCAL if via == "inside" else place.address
        server = Server(address, engine.port, path=engine.path, api_key=api_key or own)
        if via == "inside":
            told = f"{engine.feature} on port {engine.port}, inside {guest.name}"
            yield Found(server, Inside(place, timeout_s), told, chosen, kind)
            return
        told = f"{engine.feature} of {guest.name} on {address}:{engine.port}"
        yield Found(server, Outside(), told, chosen, kind)


def _place(session: "Session", guest: Guest, at_once: int) -> GuestPlace:
    return GuestPlace(
        session.driver,
        guest.address,
        session.secrets.lookup,
        ip=guest.ip,
        run=session.run_id,
        shells=at_once,
    )


def _engines(desired: Desired) -> list[tuple[Guest, Engine]]:
    asks = {name: feature.engines for name, feature in features.available().items()}
    return [
        (guest, engine)
        for guest in desired.guests.values()
        if guest.runs
        for engine in engines_of(guest, desired, asks)
    ]


def _engine(session: "Session", word: str | None, model: str | None) -> tuple[Guest, Engine]:
    everything = _engines(session.desired)
    there = "; ".join(f"{guest.name}: {_named(engine)}" for guest, engine in everything)
    hint = f"model servers are: {there}" if there else "no guest of the files has a model server"
    found = everything
    if word is not None:
        addresses = session.resolve([word])
        found = [(guest, engine) for guest, engine in found if guest.address in addresses]
        if not found:
            raise UsageError(f"{word} has no model server", hint=hint)
    if model is not None:
        found = [
            (guest, engine)
            for guest, engine in found
            if not engine.models or model in [one.name for one in engine.models]
        ]
        if not found:
            raise UsageError(f"no model server has {model!r}", hint=hint)
    if not found:
        raise UsageError("there is no model server to measure", hint=f"{hint}, or give a URL")
    # A guest that is named gets its first; among all of the stack nothing is guessed.
    if len(found) > 1 and word is None:
        raise UsageError("there are several model servers", hint=f"name one; {hint}")
    return found[0]


def _named(engine: Engine) -> str:
    names = ", ".join(one.name for one in engine.models) or "models of its own"
    return f"{engine.feature} on port {engine.port} with {names}"


def _path(route: Route, engine: Engine) -> str:
    return (route.path.rstrip("/") or "/") if route.llm is not None else engine.path


def _key(session: "Session", route: Route, engine: Engine) -> str | None:
    """What the route asks for; a plain one without a guard hands on what its engine asks for."""
    secret = None if route.llm is not None else engine.api_key
    if route.auth is not None:
        secret = route.auth.keys[0][1] if route.auth.keys else route.auth.secret
    return secret.reveal(session.secrets.lookup) if secret else None
