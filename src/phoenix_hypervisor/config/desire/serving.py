"""What a guest serves and how that is proved: routes, checks and ports, of both spellings."""

from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.config.words.lxc import Container
from phoenix_hypervisor.config.words.routes import LlmRoute as LlmWords
from phoenix_hypervisor.config.words.routes import RateLimit as RateWords
from phoenix_hypervisor.config.words.routes import Route as RouteWords
from phoenix_hypervisor.config.words.routes import RouteAuth as AuthWords
from phoenix_hypervisor.model.check import Check, Slo
from phoenix_hypervisor.model.desired import Route, RouteAuth
from phoenix_hypervisor.model.route import RateLimit
from phoenix_hypervisor.model.serving import Engine, LlmRoute, ServedModel


def routes(folder: Folder, entry: AnyEntry) -> tuple[Route, ...]:
    """The guest's routes; a `traefik_service` is one more, unless a route says the same."""
    found = [_route(folder, entry, words) for words in entry.words.routes]
    service = entry.words.traefik_service
    if service is not None:
        domain = folder.host.domain_name
        host = f"{service.name}.{domain}" if domain else service.name
        if not any(route.host == host for route in found):
            found.append(Route(host, "/", service.port))
    return tuple(found)


def place_of_route(entry: AnyEntry, place: Pointer) -> Pointer:
    """Where the route at `("routes", index, …)` of the desired guest stands in the files."""
    written = len(entry.words.routes)
    if len(place) > 1 and isinstance(place[1], int) and place[1] >= written:
        return ("traefik_service",)
    return place


def _route(folder: Folder, entry: AnyEntry, words: RouteWords) -> Route:
    llm = None
    path = words.path
    if words.llm is not None:
        llm = _llm(folder, entry, words.llm, words.port)
        path = words.path if "path" in words.model_fields_set else "/v1"
    auth = _auth(words.auth)
    rate = _rate(words.rate_limit, auth)
    return Route(words.host, path, words.port, auth, rate, llm, words.timeout_s)


def _llm(folder: Folder, entry: AnyEntry, words: LlmWords, port: int | None) -> LlmRoute:
    engine = None
    if port is not None:
        models = tuple(ServedModel(model.name, model.kind) for model in words.models)
        engine = Engine("", port, models, words.api_key, words.engine_path)
    named = (folder.guest(wanted) for wanted in words.guests)
    guests = tuple(dict.fromkeys(guest.address for guest in named if guest is not None))
    if engine is None and not words.guests:
        guests = (entry.address,)
    return LlmRoute(guests, engine, words.timeout_s, words.max_body_mb)


def _rate(words: RateWords | None, auth: RouteAuth | None) -> RateLimit | None:
    if words is None:
        return None
    keyed = auth is not None and auth.kind != "basic"
    by = words.by or ("key" if keyed else "address")
    return RateLimit(words.requests, words.per, words.burst or words.requests, by)


def _auth(words: AuthWords | None) -> RouteAuth | None:
    if words is None:
        return None
    if words.basic is not None:
        return RouteAuth("basic", words.basic.username, words.basic.password)
    if words.bearer is not None:
        return RouteAuth("bearer", None, words.bearer.token)
    if words.keys is not None:
        return RouteAuth("keys", None, None, tuple(words.keys.items()))
    return None


def checks(folder: Folder, entry: AnyEntry) -> tuple[Check, ...]:
    """The guest's checks; a `health_check` is a command inside with the same patience."""
    found = list(entry.checks)
    words = entry.words
    command = folder.vocabulary.checks.get("command")
    if isinstance(words, Container) and words.health_check is not None and command is not None:
        health = words.health_check
        options = {
            "name": "health_check",
            "command": health.command,
            "from": "inside",
            "timeout_s": min(max(health.interval, 5), 600),
            "interval_s": health.interval,
            "deadline_s": min(health.retries * health.interval, 7200),
        }
        found.append(command.model_validate(options))
    return tuple(found)


def slo(folder: Folder, entry: AnyEntry) -> Slo | None:
    """What the guest promises: word by word its own, else what all guests promise."""
    said = [words for words in (entry.words.slo, folder.host.watch.slo) if words is not None]
    if not said:
        return None
    availability = next((one.availability for one in said if one.availability is not None), None)
    latency = next((one.latency_p95_ms for one in said if one.latency_p95_ms is not None), None)
    return Slo(availability, latency)
