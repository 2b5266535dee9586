"""Redis: an in-memory store for caches, queues and sessions; also how small a feature can be."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from phoenix_hypervisor.features._guests import dependents, unknown_dependents
from phoenix_hypervisor.features._restarting import lasting_service
from phoenix_hypervisor.features._words import Port
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Flaw, Inside
from phoenix_hypervisor.model.listen import Listen
from phoenix_hypervisor.model.secret import Secret


class RedisOptions(FeatureOptions):
    """Options of `redis`."""

    port: Port = Field(6379, description="TCP port.")
    memory_mb: int = Field(128, ge=8, description="Keys beyond it push out the least used ones.")
    password: Secret | None = Field(None, description="Needed where other guests depend on it.")


class Redis(Feature[RedisOptions]):
    """Redis from the distribution, reached by the guest itself and by guests that depend on it."""

    name = "redis"
    keeps = "its data"
    options = RedisOptions
    units = ("redis-server.service",)
    sets = ("password",)

    def flaws(self, options: RedisOptions, guest: Guest, desired: Desired) -> Sequence[Flaw]:
        """Dependents without an address, and a shared Redis without a password."""
        found = list(unknown_dependents(guest, desired))
        if options.password is None and any(
            guest.address in other.dependencies for other in desired.guests.values()
        ):
            hint = 'set redis.password to {"secret": "NAME"}'
            found.append(
                Flaw("other guests depend on this Redis, but it has no password", hint=hint)
            )
        return found

    def inputs(self, options: RedisOptions, guest: Guest, desired: Desired) -> Mapping[str, Any]:
        """Whether other guests use it."""
        return {"shared": bool(dependents(guest, desired))}

    def listens(self, options: RedisOptions, guest: Guest, desired: Desired) -> Sequence[Listen]:
        """Its port; from inside alone where no other guest uses it."""
        shared = any(guest.address in other.dependencies for other in desired.guests.values())
        return (Listen(options.port, ("port",), address=None if shared else "127.0.0.1"),)

    def checks(self, options: RedisOptions, guest: Guest) -> Sequence[Mapping[str, Any]]:
        """The port answers inside."""
        return ({"tcp": {"port": options.port, "from": "inside"}},)

    def deploy(self, options: RedisOptions, inside: Inside) -> None:
        """Installs Redis and includes a file of ours last, where its words win."""
        from pyinfra.operations import files

        from phoenix_hypervisor.features import _system

        password = inside.reveal(options.password) if options.password else ""
        _system.install("redis-server", "redis-tools")
        own = _system.secret_file(
            "/etc/redis/phoenix.conf",
            settings(options, password, shared=inside.inputs["shared"]),
            group="redis",
        )
        line = files.line(
            name="Include our settings",
            path="/etc/redis/redis.conf",
            line="include /etc/redis/phoenix.conf",
        )
        lasting_service("redis-server", restart=own or line.did_change())


def settings(options: RedisOptions, password: str, *, shared: bool) -> str:
    """The text of our file. Raises `ConfigureFailed` for a password that it can't hold."""
    if shared and not password:
        raise ConfigureFailed(
            "other guests depend on this Redis, but it has no password",
            hint='set redis.password to {"secret": "NAME"}',
        )
    if not password.isprintable():
        raise ConfigureFailed("the Redis password holds a line break or a control character")
    quoted = password.replace("\\", "\\\\").replace('"', '\\"')
    return (
        f"port {options.port}\nbind {'* -::*' if shared else '127.0.0.1 -::1'}\n"
        f"maxmemory {options.memory_mb}mb\nmaxmemory-policy allkeys-lru\n"
        + (f'requirepass "{quoted}"\n' if password else "")
    )
