"""What the features that run model servers say of them in the same words. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Protocol

from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.listen import Listen
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.model.serving import Engine, ModelKind, ServedModel

ANSWER_MS = 60_000.0
"""How long an answer may take where the files set no objective: it only has to come."""


class ModelServer(Protocol):
    """One server among a feature's options."""

    @property
    def title(self) -> str:
        """Its name, which ends its unit's."""

    @property
    def names(self) -> tuple[str, ...]:
        """How requests may name its model."""

    @property
    def serves(self) -> ModelKind:
        """What it answers."""

    @property
    def port(self) -> int:
        """Its TCP port."""

    @property
    def host(self) -> IPv4Address | IPv6Address | None:
        """The address that it listens on; None: all."""

    @property
    def api_key(self) -> Secret | None:
        """What it asks of its clients."""

    @property
    def start_s(self) -> int:
        """How long it may take until it answers, in seconds."""


def refuse_twins(servers: Sequence[ModelServer], names_word: str) -> None:
    """Raises `ValueError` where two servers share what each must have for itself.

    Ports are compared with those of the guest's other features, by `listens`.
    `names_word` is the option that gives a model's names.
    """
    for what, values in (
        ("name", [server.title for server in servers]),
        (names_word, [name for server in servers for name in server.names]),
    ):
        twice = [str(value) for value, count in Counter[Any](values).items() if count > 1]
        if twice:
            raise ValueError(
                f"two servers have the same {what}: {', '.join(twice)}; give each its own"
            )


def address_inside(host: IPv4Address | IPv6Address | None) -> str:
    """Where the guest itself reaches a server that listens there, as an address in a URL."""
    if host is None or host.is_unspecified:
        return "127.0.0.1"
    return f"[{host}]" if isinstance(host, IPv6Address) else str(host)


_HEALTH = "/health"
"""Of llama.cpp's and vLLM's servers: 200 once the model is loaded, without a key."""


def answer_checks(servers: Iterable[ModelServer], guest: Guest) -> list[Mapping[str, Any]]:
    """The checks that every server's model answers inside, and that the server itself does: that
    is asked more often while it is watched, since it takes nothing.

    On a graphics card, and where the guest's `slo` says how fast, they measure as checks of the
    files do by default. On a CPU without such a promise a slow answer is one too.
    """
    found: list[Mapping[str, Any]] = []
    for server in servers:
        place: dict[str, Any] = {
            "port": server.port,
            "address": address_inside(server.host).strip("[]"),
            "from": "inside",
            "deadline_s": float(max(60, server.start_s)),
        }
        words = place | {"model": server.names[0], "kind": server.serves}
        if server.api_key is not None:
            words["api_key"] = server.api_key
        found.append({"http": place | {"path": _HEALTH, "status": 200}})
        found.append({"llm": words | unhurried(guest, server.serves)})
    return found


def unit_at(servers: Iterable[ModelServer], prefix: str, port: int) -> str:
    """The unit of the server that listens at a port; empty where none does."""
    return next((f"{prefix}{one.title}.service" for one in servers if one.port == port), "")


def unhurried(guest: Guest, kind: ModelKind) -> dict[str, Any]:
    """Words of the check `llm` for a guest that promises nothing and has no card; else none."""
    if guest.gpus or (guest.slo is not None and guest.slo.latency_p95_ms is not None):
        return {}
    few = {"max_tokens": 16} if kind == "chat" else {}
    return {"total_p95_ms": ANSWER_MS, "concurrency": [1], "samples": 1} | few


def engines(feature: str, servers: Iterable[ModelServer]) -> list[Engine]:
    """One for each server."""
    return [
        Engine(
            feature=feature,
            port=server.port,
            models=tuple(ServedModel(name, server.serves) for name in server.names),
            api_key=server.api_key,
        )
        for server in servers
    ]


def listens(feature: str, servers: Sequence[ModelServer], *, among: bool) -> list[Listen]:
    """The port of each server; `among`: they stand in `servers`, not at the top."""
    return [
        Listen(
            server.port,
            ("servers", index, "port") if among else ("port",),
            f"{feature}'s server {server.title}",
            None if server.host is None else str(server.host),
        )
        for index, server in enumerate(servers)
    ]
