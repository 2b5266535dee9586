"""The host's graphics cards: NVIDIA's driver, and cards kept for virtual machines."""

from dataclasses import dataclass
from typing import Literal

from phoenix_hypervisor.model.address import Address


@dataclass(frozen=True, slots=True)
class HostDriver:
    """NVIDIA's driver as the host is to have it.

    `runfile_url` may hold `{version}`; None: NVIDIA's own address. `checksum` is the installer's,
    as `sha256:` and hexadecimal digits. `modules`: which of NVIDIA's kernel modules; None: as the
    installer chooses for the card.
    """

    version: str
    runfile_url: str | None = None
    checksum: str | None = None
    modules: Literal["open", "proprietary"] | None = None


@dataclass(frozen=True, slots=True)
class PassedCard:
    """A card that a virtual machine has for itself: by a mapping of the cluster, or its address."""

    guest: Address
    mapping: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class KeptCard:
    """A graphics card that the host's own driver serves, for its containers."""

    index: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Cards:
    """Cards. `driver` None: the host's driver is left as it is."""

    driver: HostDriver | None = None
    passed: tuple[PassedCard, ...] = ()
    kept: tuple[KeptCard, ...] = ()
