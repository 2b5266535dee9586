"""What is on a target, whoever made it: for `phoenix discover`, in no target's own words."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Gpu, Guest, GuestKind
from phoenix_hypervisor.model.observed import GuestState


@dataclass(frozen=True, slots=True)
class Node:
    """A machine that guests run on. What is None isn't known."""

    name: str
    online: bool = True
    version: str = ""
    cores: int | None = None
    memory_mb: int | None = None
    used_memory_mb: int | None = None


@dataclass(frozen=True, slots=True)
class FoundGuest:
    """One guest, whoever made it.

    `address` is None where its name can't be an address. `stack` is None where Phoenix does not
    manage it. `words` is the guest as the files would say it; None where they have no words for
    something that the next apply would then take away. `unsaid` tells what the files leave out,
    or why `words` is None; `cards` are the PCI addresses or device files of cards that it uses.
    """

    name: str
    kind: GuestKind
    state: GuestState
    address: Address | None = None
    node: str = ""
    memory_mb: int | None = None
    cores: int | None = None
    disk_gb: float | None = None
    addresses: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    stack: str | None = None
    protected: bool = False
    is_template: bool = False
    words: Guest | None = None
    unsaid: tuple[str, ...] = ()
    cards: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundPool:
    """A storage. `content` is what it takes, in the target's words; sizes in GiB."""

    name: str
    kind: str
    nodes: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    shared: bool = False
    active: bool = True
    size_gb: float | None = None
    free_gb: float | None = None


@dataclass(frozen=True, slots=True)
class FoundBridge:
    """A bridge on one node. `cidr` is the node's own address on it; `ports` are its cards."""

    name: str
    node: str = ""
    cidr: str | None = None
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundCard:
    """A PCI card. `gpu` is what the files may say of it, where it is a graphics card.

    `group` is its IOMMU group; None: no IOMMU. `users` are the guests that it is given to.
    """

    pci: str
    name: str
    node: str = ""
    gpu: Gpu | None = None
    group: int | None = None
    mapping: str | None = None
    users: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundTemplate:
    """A template of containers or an image of virtual machines. `name` is what files call it."""

    name: str
    kind: GuestKind
    pool: str
    node: str = ""
    size_mb: int | None = None


@dataclass(frozen=True, slots=True)
class Inventory:
    """One look at everything. `notes` tell what could not be seen, and why."""

    nodes: tuple[Node, ...] = ()
    guests: tuple[FoundGuest, ...] = ()
    pools: tuple[FoundPool, ...] = ()
    bridges: tuple[FoundBridge, ...] = ()
    cards: tuple[FoundCard, ...] = ()
    templates: tuple[FoundTemplate, ...] = ()
    notes: tuple[str, ...] = field(default=())


@runtime_checkable
class Lists(Protocol):
    """What a driver may offer beside `model.driver.Driver`: a list of all that is there."""

    async def inventory(self, desired: Desired) -> Inventory:
        """Everything that the user may see. Changes nothing.

        `desired` is the folder's, perhaps an empty one: what its guests say decides which of
        several spellings is taken. Raises as `Driver.observe` does.
        """
