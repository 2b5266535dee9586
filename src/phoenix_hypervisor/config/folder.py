"""The whole folder as it was read: what the rules judge and what the desired state is made of."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from phoenix_hypervisor.config.document import Document, Pointer
from phoenix_hypervisor.config.words.base import Words
from phoenix_hypervisor.config.words.cloud import CloudFile
from phoenix_hypervisor.config.words.hypervisor import HypervisorFile
from phoenix_hypervisor.config.words.lxc import Container, LxcFile
from phoenix_hypervisor.config.words.vm import Machine, VmFile
from phoenix_hypervisor.model import address
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.check import Check
from phoenix_hypervisor.model.desired import Desired, FeatureUse, Guest
from phoenix_hypervisor.model.engines import FindEngines
from phoenix_hypervisor.model.feature import FeatureOptions, Flaw
from phoenix_hypervisor.model.listen import Listen
from phoenix_hypervisor.model.problem import Problem

HYPERVISOR = "phoenix_hypervisor_config.json"
LXC = "phoenix_lxc_configs.json"
VM = "phoenix_vm_configs.json"
CLOUD = "phoenix_cloud_configs.json"
FILES = (HYPERVISOR, LXC, VM, CLOUD)
"""All files of a folder, in the order in which their problems are told."""

G_co = TypeVar("G_co", bound=Container | Machine, covariant=True)

MOST_IDS = 12


FindFlaws = Callable[[Any, Guest, Desired], Iterable[Flaw]]
"""As `Feature.flaws`, whose options differ from feature to feature."""
FindReached = Callable[[Any, Guest, Desired], Iterable[tuple[Address, int | None]]]
"""As `Feature.reaches`."""
FindListens = Callable[[Any, Guest, Desired], Iterable[Listen]]
"""As `Feature.listens`."""


@dataclass(frozen=True)
class Vocabulary:
    """What the program knows beside the words of the files.

    `features` maps all names of features to the models of their options, `checks` all kinds of
    checks to their models. `flaws` asks a feature by its name what can't be among these guests,
    `engines` for the model servers that it runs, `reaches` for those that it connects to,
    `listens` for the ports that it takes. `keeps` says what features keep in their guest alone.
    """

    features: Mapping[str, type[FeatureOptions]]
    checks: Mapping[str, type[Check]]
    flaws: Mapping[str, FindFlaws] = field(default_factory=dict)
    engines: Mapping[str, FindEngines] = field(default_factory=dict)
    reaches: Mapping[str, FindReached] = field(default_factory=dict)
    listens: Mapping[str, FindListens] = field(default_factory=dict)
    keeps: Mapping[str, str] = field(default_factory=dict)


def _same(path: Pointer) -> Pointer:
    return path


@dataclass(frozen=True)
class Spot:
    """A part of a file that a model was made of; tells problems at places in the model."""

    document: Document
    base: Pointer = ()
    original: Callable[[Pointer], Pointer] = _same

    def path(self, *path: str | int) -> Pointer:
        """Where in the file a place of the model is."""
        return (*self.base, *self.original(path))

    def error(self, path: Pointer, message: str, hint: str = "", *, key: bool = False) -> Problem:
        """An error at a place of the model; `key`: at the key, not at the value."""
        return self.document.problem("error", self.path(*path), message, hint, key=key)

    def warning(self, path: Pointer, message: str, hint: str = "", *, key: bool = False) -> Problem:
        """A warning at a place of the model."""
        return self.document.problem("warning", self.path(*path), message, hint, key=key)

    def raw(self, *path: str | int) -> Any:
        """The value as it stands in the file, or None."""
        return self.document.raw((*self.base, *path))

    def line(self, path: Pointer, *, key: bool = False) -> int:
        """The line of a place, for problems that name a second one."""
        return self.document.place(self.path(*path), key=key)[0]


@dataclass(frozen=True)
class Entry(Generic[G_co]):
    """One guest of the files: its words, and its features and checks read by their own models."""

    kind: Literal["lxc", "vm"]
    id: int
    words: G_co
    spot: Spot
    features: tuple[FeatureUse, ...] = ()
    checks: tuple[Check, ...] = ()

    @cached_property
    def address(self) -> Address:
        """`lxc/101` or `vm/201`."""
        return address.lxc(self.id) if self.kind == "lxc" else address.vm(self.id)

    @property
    def clone_of(self) -> int | None:
        """The id of the guest that it is cloned from."""
        words: Container | Machine = self.words
        if isinstance(words, Container):
            return words.clone_from_ctid
        return words.clone_from_vmid

    @property
    def clone_word(self) -> str:
        """The word that names the source of a clone."""
        return "clone_from_ctid" if self.kind == "lxc" else "clone_from_vmid"

    @property
    def disk_word(self) -> str:
        """The word that gives the disk's size."""
        return "storage_size_gb" if self.kind == "lxc" else "disk_size_gb"

    @property
    def disk_gb(self) -> int | None:
        """The size of its own disk, where it gives one."""
        words: Container | Machine = self.words
        return words.storage_size_gb if isinstance(words, Container) else words.disk_size_gb

    @property
    def label(self) -> str:
        """How a person would call it in a message: `lxc/101 (web)`."""
        return f"{self.address} ({self.words.name})" if self.words.name else self.address

    @property
    def rests(self) -> bool:
        """Whether it is a template, which is not running once it is complete."""
        words: Container | Machine = self.words
        if isinstance(words, Machine) and words.is_template:
            return True
        return words.template_snapshot_name is not None and not words.start_at_boot

    @property
    def head(self) -> Pointer:
        """The place that stands for the whole guest: its key, or its `vmid`."""
        return () if self.kind == "lxc" else ("vmid",)


AnyEntry = Entry[Container] | Entry[Machine]


@dataclass(frozen=True)
class Folder:
    """All files. `broken` names those whose values are not known for sure."""

    path: Path
    vocabulary: Vocabulary
    on: str | None
    host: HypervisorFile
    lxc: LxcFile
    vm: VmFile
    cloud: CloudFile
    spots: Mapping[str, Spot]
    guests: tuple[AnyEntry, ...]
    broken: frozenset[str]
    lost: tuple[str, ...] = ()
    """Guests that can't be taken by their id, as the files name them."""
    known_secrets: Callable[[str], bool] | None = None
    """Whether a named secret has a value; None where that can't be asked."""
    _by_id: dict[int, AnyEntry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for guest in self.guests:
            self._by_id.setdefault(guest.id, guest)

    @property
    def containers(self) -> list[Entry[Container]]:
        """The containers."""
        return [guest for guest in self.guests if isinstance(guest.words, Container)]

    @property
    def machines(self) -> list[Entry[Machine]]:
        """The virtual machines."""
        return [guest for guest in self.guests if isinstance(guest.words, Machine)]

    def guest(self, guest_id: int) -> AnyEntry | None:
        """The first guest of that id."""
        return self._by_id.get(guest_id)

    def known_ids(self, *, but: AnyEntry, kind: str | None = None) -> str:
        """The ids that could have been meant, as a hint; empty where there are none."""
        ids = sorted({g.id for g in self.guests if g.id != but.id and kind in (None, g.kind)})
        if not ids:
            return ""
        more = ", …" if len(ids) > MOST_IDS else ""
        return f"known ids: {', '.join(map(str, ids[:MOST_IDS]))}{more}"

    @property
    def knows_all_guests(self) -> bool:
        """Whether a guest that isn't found is really not there."""
        return not self.broken & {LXC, VM} and not self.lost

    def spot(self, file: str) -> Spot:
        """The place of a whole file."""
        return self.spots[file]

    @property
    def driver(self) -> str | None:
        """The target: as the command line or the file says; an endpoint is one of Proxmox VE.

        None where the machine decides, which the files can't know.
        """
        words = self.host.hypervisor
        return self.on or words.driver or ("proxmox" if words.endpoint else None)

    @property
    def models(self) -> tuple[tuple[str, Words], ...]:
        """The words of each file, but its guests'."""
        return ((HYPERVISOR, self.host), (LXC, self.lxc), (VM, self.vm), (CLOUD, self.cloud))

    def raw_files(self) -> list[tuple[Document, dict[str, Any]]]:
        """The values of all files that could be read, as they stand."""
        return [
            (spot.document, spot.document.value)
            for file, spot in self.spots.items()
            if file not in self.broken
        ]
