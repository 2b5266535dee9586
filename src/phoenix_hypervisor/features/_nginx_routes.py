"""Routes as Nginx takes them: read from a feature's inputs, refused where Nginx can't hold them."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from phoenix_hypervisor.features._nginx_guard import Rate
from phoenix_hypervisor.model import route as route_rule
from phoenix_hypervisor.model.errors import ConfigError

_HOST = re.compile(r"(\*\.)?[A-Za-z0-9][A-Za-z0-9.-]*\Z")


@dataclass(frozen=True, slots=True)
class Behind:
    """One model server: `upstream` is `address:port`; `models` pairs of name and owner.

    Where replicas share the work, `peers` are their addresses, and `upstream` is a name for all.
    """

    upstream: str
    path: str
    models: tuple[str, ...]
    owner: str
    peers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What stands behind one endpoint, and its limits."""

    engines: tuple[Behind, ...]
    timeout_s: int | None
    body_mb: int


def endpoint(told: Mapping[str, Any] | None) -> Endpoint | None:
    """As `Nginx.inputs` tells it."""
    if told is None:
        return None
    engines = (
        Behind(
            each["upstream"],
            each["path"],
            tuple(each["models"]),
            each["owner"],
            tuple(each.get("peers", ())),
        )
        for each in told["engines"]
    )
    return Endpoint(tuple(engines), told["timeout_s"], told["body_mb"])


@dataclass(frozen=True, slots=True)
class Proxied:
    """One published path: where it leads, and how it is guarded.

    `host` None: every host name. `key` names its password file or token variable. `upstream` is
    empty where `llm` says who answers, and a name for all `peers` where replicas share the work.
    `timeout_s` None: as for all routes.
    """

    host: str | None
    path: str
    upstream: str
    guard: str | None = None
    key: str = ""
    rate: Rate | None = None
    llm: Endpoint | None = None
    peers: tuple[str, ...] = ()
    timeout_s: int | None = None

    @property
    def by_token(self) -> bool:
        """Whether a token opens it."""
        return self.guard in ("bearer", "keys")


def proxied(routes: Iterable[Mapping[str, Any]]) -> list[Proxied]:
    """Routes as `Nginx.inputs` gives them. Raises `ConfigError` for what can't be served."""
    found: dict[tuple[str | None, str], Proxied] = {}
    for route in routes:
        host, path = lower(route["host"]), normal(route["path"])
        where = f"{host or 'every host'}{path}"
        if host is not None and not _HOST.match(host):
            raise ConfigError(f"a route's host {host!r} is no host name")
        if (host, path) in found:
            raise ConfigError(f"two routes publish {where}: change one's host or path")
        guard = route["auth"]["kind"] if route["auth"] else None
        # Made from what it guards, so that one more route renames no other's files.
        key = "route-" + hashlib.sha256(where.encode()).hexdigest()[:12]
        rate, llm = Rate.of(route.get("rate")), endpoint(route.get("llm"))
        found[host, path] = Proxied(
            host,
            path,
            route["upstream"] or "",
            guard,
            key,
            rate,
            llm,
            tuple(route.get("peers", ())),
            route.get("timeout_s"),
        )
    return list(found.values())


def lower(host: str | None) -> str | None:
    """A host name as it is compared: capitals mean nothing in it (RFC 4343)."""
    return host.lower() if host is not None else None


def normal(path: str) -> str:
    """A route's path as Nginx compares it: with its % resolved, and without a slash at its end.

    Raises `ConfigError` for one that can't be.
    """
    reason = route_rule.refusal(path)
    if reason:
        raise ConfigError(f"a route's path can't be {path!r}: {reason}")
    return (route_rule.meant(path) or "").rstrip("/") or "/"


def quote(text: str) -> str:
    """A string for Nginx. Raises `ConfigError` for a `$` or control character."""
    if "$" in text or not text.isprintable():
        raise ConfigError(f"nginx can't hold {text!r}: it has a $ or a control character")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
