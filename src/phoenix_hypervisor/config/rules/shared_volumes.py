"""Shared volumes: whose owner or mode is set, that is nobody else's folder."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import HYPERVISOR, Folder
from phoenix_hypervisor.model.problem import Problem

_TOP = (
    "bin boot dev etc home lib lib64 media mnt opt proc root run sbin srv sys tmp usr var etc/pve "
    "var/lib var/lib/vz var/log"
)
_SYSTEM = frozenset(["/", *(f"/{one}" for one in _TOP.split())])


def find(folder: Folder) -> Iterator[Problem]:
    """Owners and modes for folders of the system, and one folder under two names."""
    spot = folder.spot(HYPERVISOR)
    first: dict[str, str] = {}
    volumes = (folder.host.shared_volumes.__pydantic_extra__ or {}).items()
    governed = {words.host_path.rstrip("/") for _, words in volumes if words.is_governed}
    for name, words in volumes:
        place = ("shared_volumes", name, "host_path")
        path = words.host_path.rstrip("/")
        if words.is_governed and (path or "/") in _SYSTEM:
            message = f"`{path or '/'}` is the system's own folder: its owner is not changed"
            yield spot.error(place, message, "name a folder of your own, such as /srv/media")
        if path in first and path in governed:
            message = f"`{name}` and `{first[path]}` are one folder, {path}"
            yield spot.error(place, message, "write it once, with the mounts of both")
        first.setdefault(path, name)
