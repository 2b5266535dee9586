"""Volumes: a container has no two of one name."""

from collections.abc import Iterator

from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Names that an earlier volume of the same container has, in either spelling of the list."""
    for guest in folder.containers:
        first: dict[str, Pointer] = {}
        for word in ("volumes", "zfs_volumes"):
            for index, volume in enumerate(getattr(guest.words, word)):
                place = (word, index, "name")
                if volume.name in first:
                    line = guest.spot.line(first[volume.name])
                    message = f"duplicate volume `{volume.name}` (line {line})"
                    yield guest.spot.error(place, message, "each has a name of its own")
                first.setdefault(volume.name, place)
