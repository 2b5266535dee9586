"""Who may use a route and how often, as Nginx's words. Pure.

Facts are from nginx.org/en/docs (map, limit_req modules) and RFC 6585, section 4 (status 429).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from phoenix_hypervisor.features._words import TOKEN_RULE, is_token
from phoenix_hypervisor.model.errors import ConfigError
from phoenix_hypervisor.model.feature import Inside
from phoenix_hypervisor.model.secret import Secret

Tokens = Mapping[str, Mapping[str, str]]
"""By the key of a route: the names of those who may use it, each with a token."""

_ZONE_MB = 10
"""Shared memory of one limit: about 80 000 clients on a 64-bit machine."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests, `burst` at once, of each name of a key or each address."""

    requests: int
    per: Literal["second", "minute"]
    burst: int
    by: Literal["key", "address"]

    @classmethod
    def of(cls, told: Mapping[str, Any] | None) -> "Rate | None":
        """As `Nginx.inputs` tells it."""
        return None if told is None else cls(**told)

    @property
    def wait_s(self) -> int:
        """After so many seconds one more request passes."""
        return max(1, -(-(60 if self.per == "minute" else 1) // self.requests))


def variable(key: str) -> str:
    """The variable with the name of who sent a right token; empty where it was wrong."""
    return "phoenix_" + key.replace("-", "_")


def maps(tokens: Tokens) -> Iterator[str]:
    """Lines for `http` that set the variables. Raises `ConfigError` for tokens that can't be."""
    for key, named in tokens.items():
        if len(set(named.values())) < len(named):
            raise ConfigError(
                f"two of the keys {', '.join(sorted(named))} of a route have the same value: "
                "give each its own, so that the log tells who asked"
            )
        yield f"map $http_authorization ${variable(key)} {{"
        yield '    default "";'
        for name, token in named.items():
            # A map's plain strings ignore case, so a token needs a regular expression.
            yield f'    "~^(?i:Bearer) +{_regex(token)}\\z" "{name}";'
        yield "}"


def _regex(token: str) -> str:
    return re.sub(r"([.+])", r"\\\1", plain(token, "a route's bearer token"))


def revealed(secret: Secret, what: str, path: str, inside: Inside) -> str:
    """A token's value. Raises `ConfigError`, which names it, where Nginx can't hold it."""
    named = f" (the secret {secret.name})" if secret.name else ""
    return plain(inside.reveal(secret), f"{what} of the route {path}{named}")


def plain(token: str, what: str) -> str:
    """The token, if Nginx's words and a header can hold it. Raises `ConfigError`."""
    if not is_token(token):
        raise ConfigError(f"{what} must have {TOKEN_RULE} (RFC 6750, section 2.1)")
    return token


def zone(key: str, rate: Rate) -> str:
    """The line for `http` that counts.

    Who is counted is in the zone's name: a running Nginx refuses one whose variable has changed.
    """
    who = f"${variable(key)}" if rate.by == "key" else "$binary_remote_addr"
    pace = f"{rate.requests}r/{'s' if rate.per == 'second' else 'm'}"
    return f"limit_req_zone {who} zone={key}-{rate.by}:{_ZONE_MB}m rate={pace};"


def limit(key: str, rate: Rate) -> list[str]:
    """Lines for a location that is counted; where it was too much, `@<key>-429` answers."""
    burst = f" burst={rate.burst - 1} nodelay" if rate.burst > 1 else ""
    return [
        f"limit_req zone={key}-{rate.by}{burst};",
        "limit_req_status 429;",
        f"error_page 429 @{key}-429;",
    ]


def too_many(key: str, rate: Rate, answer: list[str]) -> list[str]:
    """The location that says how long to wait."""
    return [
        f"location @{key}-429 {{",
        "    internal;",
        f"    add_header Retry-After {rate.wait_s} always;",
        *(f"    {line}" for line in answer),
        "}",
    ]


def bearer(key: str) -> list[str]:
    """Lines for a location that a token opens; where it was wrong, `@<key>` answers."""
    return [
        # `if` with nothing but `return` is safe; a 401 names the scheme (RFC 9110, 11.6.1).
        f"error_page 401 @{key};",
        f'if (${variable(key)} = "") {{ return 401; }}',
    ]


def unknown(key: str, answer: list[str]) -> list[str]:
    """The location that asks for a token."""
    return [
        f"location @{key} {{",
        "    internal;",
        "    add_header WWW-Authenticate 'Bearer realm=\"restricted\"' always;",
        *(f"    {line}" for line in answer),
        "}",
    ]
