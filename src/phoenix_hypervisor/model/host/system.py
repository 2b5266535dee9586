"""Repositories, updates, microcode, the CPU's governor."""

from dataclasses import dataclass
from typing import Literal

Repositories = Literal["no-subscription", "enterprise"]


@dataclass(frozen=True, slots=True)
class Updates:
    """Updates that install themselves. `reboot_at` is a time such as `03:30`; None: never."""

    also: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    reboot_at: str | None = None


@dataclass(frozen=True, slots=True)
class System:
    """The host's own software. None: it is left as it is."""

    repositories: Repositories | None = None
    updates: Updates | None = None
    microcode: bool = False
    governor: str | None = None
