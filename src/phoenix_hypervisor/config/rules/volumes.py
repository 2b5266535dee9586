"""Volumes: a container has no two of one name."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Names that an earlier volume of the same container has, in either spelling of the list."""
    for guest in folder.containers:
        first: dict[str, int] = {}
        for word in ("volumes", "zfs_volumes"):
            for index, volume in enumerate(getattr(guest.words, word)):
                place = (word, index, "name")
                if volume.name in first:
                    message = f"duplicate volume `{volume.name}` (line {first[volume.name]})"
                    yield guest.spot.error(place, message, "each has a name of its own")
                first.setdefault(volume.name, guest.spot.line(place))
