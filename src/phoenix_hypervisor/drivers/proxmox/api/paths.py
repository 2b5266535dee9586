"""Paths and parameters as Proxmox VE's HTTP server reads them.

Source: PVE::APIServer::AnyEvent, decode_urlencoded.
"""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote


class Each(tuple[str, ...]):
    """Sent as several parameters of the same name, as `command` of `agent/exec` wants it."""

    __slots__ = ()


Param = str | int | float | bool | Sequence[str | int] | Each | None
"""A parameter's value: None is left out, a bool becomes 1 or 0, a sequence is joined by commas."""

Params = Mapping[str, Param]


def path(*parts: str | int) -> str:
    """`path("nodes", "pve1", "lxc", 101)` is `/nodes/pve1/lxc/101`; each part is quoted."""
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)


def node_of(where: str) -> str:
    """The node that a path speaks of; empty for the cluster's own paths."""
    parts = where.split("/", 3)
    return parts[2] if len(parts) > 2 and parts[1] == "nodes" else ""  # noqa: PLR2004


def encoded(params: Params) -> str:
    """Parameters as a query or form.

    `;` is quoted like all else, since the server takes it for `&`. An empty text arrives there as
    "no value": an option is removed with `delete=OPTION`, not by setting it to nothing.
    """
    return "&".join(f"{quote(key, safe='')}={quote(text, safe='')}" for key, text in _texts(params))


def _texts(params: Params) -> Iterator[tuple[str, str]]:
    for key, value in params.items():
        if value is None:
            continue
        if isinstance(value, bool):
            yield key, str(int(value))
        elif isinstance(value, str | int | float):
            yield key, str(value)
        elif isinstance(value, Each):
            yield from ((key, one) for one in value)
        else:
            yield key, ",".join(map(str, value))
