"""Backup jobs, where backups lie, and which of them are kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Literal, TypeVar

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.secret import Secret

Mode = Literal["snapshot", "suspend", "stop"]
Compress = Literal["zstd", "gzip", "lzo", "none"]
T = TypeVar("T")
COMPRESS: dict[str, str] = {"zstd": "zstd", "gzip": "gzip", "lzo": "lzo", "none": "0"}
"""As vzdump(1) calls them."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How many backups of a guest stay: the newest, and one for each of so many hours, days, …

    None or 0 everywhere: every one stays.
    """

    last: int | None = None
    hourly: int | None = None
    daily: int | None = None
    weekly: int | None = None
    monthly: int | None = None
    yearly: int | None = None

    def __bool__(self) -> bool:
        return any(getattr(self, one.name) for one in fields(self))

    def pairs(self) -> list[tuple[str, int]]:
        """Those that are given, as `("daily", 7)`."""
        told = [(one.name, getattr(self, one.name)) for one in fields(self)]
        return [(name, count) for name, count in told if count is not None]

    def pruning(self) -> str:
        """As Proxmox VE writes it: `keep-last=3,keep-daily=7`."""
        return ",".join(f"keep-{name}={count}" for name, count in self.pairs())


@dataclass(frozen=True, slots=True)
class BackupJob:
    """One job. `guests` None: all. `schedule` is a calendar event of systemd, None: by hand only.

    `storage` is one of Proxmox VE; off it backups go into `Backups.folder`.
    """

    name: str
    guests: tuple[Address, ...] | None = None
    schedule: str | None = None
    storage: str | None = None
    mode: Mode = "snapshot"
    compress: Compress = "zstd"
    keep: Keep = Keep()
    notes: str | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class BackupServer:
    """A Proxmox Backup Server as a storage of Proxmox VE.

    `username` is a user (`backup@pbs`) or a token of one (`backup@pbs!home`), whose secret is then
    the password. `fingerprint` is the SHA-256 of its certificate: 32 pairs of capital hexadecimal
    digits, joined by colons. What is None is left as it is.
    """

    id: str
    server: str
    datastore: str
    username: str
    password: Secret
    fingerprint: str | None = None
    namespace: str | None = None
    port: int | None = None

    @property
    def address(self) -> Address:
        """`storage/<id>`."""
        return Address(f"storage/{self.id}")


@dataclass(frozen=True, slots=True)
class Backups:
    """Backups. `checks` are titles of the checks that prove a restored guest, where not all do.

    `spare_id` is the first id that a restored guest may be given.
    """

    folder: str | None = None
    jobs: tuple[BackupJob, ...] = ()
    checks: Mapping[Address, tuple[str, ...]] = field(default_factory=dict)
    spare_id: int = 9900
    servers: tuple[BackupServer, ...] = ()


_SPANS: dict[str, Callable[[datetime], str]] = {
    "hourly": lambda at: f"{at:%Y-%m-%d %H}",
    "daily": lambda at: f"{at:%Y-%m-%d}",
    "weekly": lambda at: f"{at:%G-%V}",
    "monthly": lambda at: f"{at:%Y-%m}",
    "yearly": lambda at: f"{at:%Y}",
}


def dropped(backups: Sequence[T], when: Callable[[T], datetime], keep: Keep) -> list[T]:
    """The backups of one guest that are no longer kept, the oldest first.

    As Proxmox VE does it: the newest `last`, then of each further span the newest that no earlier
    rule keeps, for so many spans that have one. Source: the Proxmox VE documentation, "Backup
    Retention".
    """
    if not keep:
        return []
    newest = sorted(backups, key=when, reverse=True)
    staying = newest[: keep.last or 0]
    for name, span in _SPANS.items():
        count = getattr(keep, name) or 0
        covered = {span(when(one)) for one in staying}
        found = set[str]()
        for one in newest:
            at = span(when(one))
            if one in staying or at in covered or at in found:
                continue
            if len(found) == count:
                break
            found.add(at)
            staying.append(one)
    return [one for one in reversed(newest) if one not in staying]
