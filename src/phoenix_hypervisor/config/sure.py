"""Which guests are known well enough to be judged together, though the files have errors.

One mistake must not hide another, nor be told again as its own consequence: a guest is judged as
long as its errors stand in words that have no say in the matter.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from phoenix_hypervisor.config.document import pointer
from phoenix_hypervisor.config.folder import HYPERVISOR, AnyEntry, Folder
from phoenix_hypervisor.config.replicas import addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.problem import Problem

_NO_SAY = frozenset(
    {
        "agent",
        "apparmor_profile",
        "application_script",
        "application_script_args",
        "application_script_env",
        "bios",
        "boot_delay",
        "boot_order",
        "clone_from_ctid",
        "clone_from_vmid",
        "cloud_init",
        "cores",
        "cpu",
        "description",
        "disk_size_gb",
        "ha",
        "health_check",
        "id_maps",
        "lxc_options",
        "mac_address",
        "machine",
        "mount_points",
        "node",
        "pct_options",
        "protected",
        "storage_pool",
        "storage_size_gb",
        "swap_mb",
        "template",
        "template_checksum",
        "template_image",
        "tests",
        "user_config",
        "volumes",
        "zfs_volumes",
    }
)
"""Words of a guest on which neither its cards, its ways nor its software depend."""
_NO_SAY_OF_WAYS = _NO_SAY | {"gpu_assignment", "memory_mb", "pci", "slo"}
_NO_SAY_OF_CARDS = _NO_SAY | {
    "checks",
    "dependencies",
    "firewall",
    "memory_mb",
    "name",
    "network_bridge",
    "network_config",
    "routes",
    "slo",
    "traefik_service",
}

_STEPS = 3
"""Parts of a guest's pointer, such as `/lxc_configs/101`: the first one is empty."""

Home = tuple[str, str]
"""A guest's file, and its pointer there."""


def home(entry: AnyEntry) -> Home:
    """Where a guest stands."""
    return entry.spot.document.file, pointer(entry.spot.base)


def by_guest(errors: Iterable[Problem]) -> dict[Home, list[tuple[str, str]]]:
    """The word and the whole pointer of each error, by the guest; no word: the guest itself."""
    found: dict[Home, list[tuple[str, str]]] = {}
    for problem in errors:
        steps = problem.pointer.split("/", 4)
        if len(steps) >= _STEPS:
            word = steps[_STEPS] if len(steps) > _STEPS else ""
            found.setdefault((problem.file, "/".join(steps[:_STEPS])), []).append(
                (word, problem.pointer)
            )
    return found


@dataclass(frozen=True)
class Sure:
    """What may be judged of a folder with these errors."""

    folder: Folder
    errors: tuple[Problem, ...]

    @cached_property
    def _told(self) -> dict[Home, list[tuple[str, str]]]:
        return by_guest(self.errors)

    @property
    def knows_all_options(self) -> bool:
        """Whether all that guests run, and where it is reached, is known."""
        return self.folder.knows_all_guests and not (
            self._doubtful(_NO_SAY_OF_WAYS | {"checks", "firewall"})
        )

    @property
    def known_ways(self) -> frozenset[Address]:
        """Guests of which it is known who reaches them, and by what."""
        every = {one for entry in self.folder.guests for one in addresses(entry)}
        return frozenset(every - self._doubtful(_NO_SAY_OF_WAYS))

    def of_ways(self, desired: Desired) -> Desired:
        """The guests of which it is known how they are reached."""
        return _without(desired, self._doubtful(_NO_SAY_OF_WAYS))

    def of_cards(self, desired: Desired) -> Desired:
        """The guests whose graphics cards are known, with their software."""
        left_out = self._doubtful(_NO_SAY_OF_CARDS)
        if self._host_cards_are_in_doubt:
            left_out |= {one.address for one in desired.guests.values() if one.gpus or one.pci}
        return _without(desired, left_out)

    @property
    def _host_cards_are_in_doubt(self) -> bool:
        return HYPERVISOR in self.folder.broken or any(
            error.file == HYPERVISOR and f"{error.pointer}/".startswith(("/gpus/", "//"))
            for error in self.errors
        )

    def _doubtful(self, no_say: frozenset[str]) -> frozenset[Address]:
        return frozenset(
            address
            for entry in self.folder.guests
            for address in addresses(entry)
            if any(word not in no_say for word, _ in self._told.get(home(entry), ()))
        )


def _without(desired: Desired, left_out: frozenset[Address]) -> Desired:
    if not left_out:
        return desired
    kept = {key: one for key, one in desired.guests.items() if key not in left_out}
    return replace(desired, guests=kept)
