"""What a user may do, from PVE's own tree of permissions; pure.

Source: the Proxmox VE documentation, "Permission Management", and `/access/permissions`: a map of
paths to privileges, with 1 where one also holds for the paths below.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from phoenix_hypervisor.drivers.proxmox.api import rights
from phoenix_hypervisor.drivers.proxmox.privileges import OLD_NAMES
from phoenix_hypervisor.model.desired import Json


@dataclass(frozen=True, slots=True)
class Permissions:
    """The tree; `everything` for root@pam, who is never asked."""

    tree: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    everything: bool = False

    def has(self, path: str, privilege: str) -> bool:
        """Whether the privilege holds on the path: by itself, or from the nearest one above.

        A path that is listed replaces what it would get from above. A privilege of Proxmox VE 9
        holds where that does which stands for it in 8.
        """
        if self.everything:
            return True
        old = OLD_NAMES.get(privilege)
        if old is not None and self.has(path, old):
            return True
        if path in self.tree:
            return privilege in self.tree[path]
        above = path
        while above not in ("", "/"):
            above = above.rpartition("/")[0] or "/"
            if above in self.tree:
                return bool(self.tree[above].get(privilege))
        return False

    def missing(self, path: str, privileges: Iterable[str]) -> list[str]:
        """Those of the privileges that don't hold."""
        return [each for each in privileges if not self.has(path, each)]

    def as_json(self) -> Json:
        """For `Observed.facts`."""
        return {
            "everything": self.everything,
            "tree": {path: dict(each) for path, each in self.tree.items()},
        }

    @classmethod
    def from_json(cls, value: Json) -> "Permissions":
        """From `Observed.facts`; nothing is known there of a target without users."""
        if not isinstance(value, dict):
            return cls(everything=True)
        tree = value.get("tree")
        entries = tree.items() if isinstance(tree, dict) else ()
        found = {
            path: {name: int(str(flag)) for name, flag in each.items()}
            for path, each in entries
            if isinstance(each, dict)
        }
        return cls(found, everything=value.get("everything") is True)


def grant(user: str, path: str, privileges: Iterable[str]) -> str:
    """The commands that give a user (or token) these privileges on a path."""
    return rights.command(user, path, privileges)
