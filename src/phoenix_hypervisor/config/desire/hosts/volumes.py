"""Folders of the host that several guests mount, as wanted."""

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.config.replicas import named
from phoenix_hypervisor.config.words.host_volumes import SharedVolume
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.host.volumes import SharedFolder, Volumes


def volumes(folder: Folder) -> Volumes:
    """What the hypervisor file says of them; guests that can't mount one are told elsewhere."""
    named = (folder.host.shared_volumes.__pydantic_extra__ or {}).items()
    return Volumes(tuple(_folder(folder, name, words) for name, words in named))


def _folder(folder: Folder, name: str, words: SharedVolume) -> SharedFolder:
    user, _, group = (words.owner or "").partition(":")
    return SharedFolder(
        name=name,
        path=words.host_path.rstrip("/") or "/",
        guests=tuple(one for one in named(folder, words.mounts) if addresses.kind(one) == "lxc"),
        uid=int(user) if user else None,
        gid=int(group or user) if user else None,
        mode=words.mode.zfill(4) if words.mode else None,
        writers=tuple(words.writers),
    )
