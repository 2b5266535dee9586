"""The names that the dashboard answers to. Another one in `Host` is DNS rebinding, or a mistake."""

import ipaddress
import re
import secrets
from dataclasses import dataclass

from phoenix_hypervisor.model.errors import UsageError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HIGHEST_PORT = 65535
_LABEL = "[0-9A-Za-z]([0-9A-Za-z-]*[0-9A-Za-z])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the server listens, as `--listen` says."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_everywhere(self) -> bool:
        """Whether it is every address of the machine."""
        return self.host in ("0.0.0.0", "::")  # noqa: S104 - asked, not bound


def listen(text: str) -> Listen:
    """Reads `127.0.0.1:8420` or `[::1]:8420`. Raises `UsageError`."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not colon or not host or not port.isascii() or not port.isdigit():
        raise UsageError(f"--listen {text} is no address", hint="write it as 127.0.0.1:8420")
    if not 0 < int(port) <= _HIGHEST_PORT:
        raise UsageError(f"--listen {text}: there is no port {port}")
    return Listen(host, int(port))


def unguessable() -> str:
    """A name of this machine that nobody else knows (RFC 6761, 6.3: all below `localhost` are).

    A cookie goes to all ports of its name, so also to servers of other users of the machine; to
    that of a name that they don't know they can't lead anybody.
    """
    return f"phoenix-{secrets.token_hex(8)}.localhost"


def origins(where: Listen, names: list[str], *, tls: bool) -> frozenset[str]:
    """All origins (RFC 6454) that are the dashboard itself. Raises `UsageError`.

    `names` are further host names that lead to it.
    """
    if odd := next((one for one in names if not _NAME.fullmatch(one)), None):
        raise UsageError(f"--name {odd!r} is no host name", hint="write it without scheme and port")
    hosts = {*names}
    if where.is_loopback:
        hosts |= {"127.0.0.1", "localhost", "[::1]", _literal(where.host)}
    elif not where.is_everywhere:
        hosts.add(_literal(where.host))
    if not hosts:
        raise UsageError(
            f"--listen {where.host} is every address: by which name is the dashboard opened?",
            hint="say it: --name phoenix.example.org (may repeat)",
        )
    scheme = "https" if tls else "http"
    return frozenset(
        f"{scheme}://{host}{end}"
        for host in map(str.lower, hosts)
        for end in (f":{where.port}", *([""] * (_DEFAULT_PORTS[scheme] == where.port)))
    )


def _literal(host: str) -> str:
    return f"[{host}]" if ":" in host else host
