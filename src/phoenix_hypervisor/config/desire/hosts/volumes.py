"""Folders of the host that several guests mount, as wanted."""

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.config.words.host_volumes import SharedVolume
from phoenix_hypervisor.model.host.volumes import SharedFolder, Volumes


def volumes(folder: Folder) -> Volumes:
    """What the hypervisor file says of them; guests that can't mount one are told elsewhere."""
    named = (folder.host.shared_volumes.__pydantic_extra__ or {}).items()
    return Volumes(tuple(_folder(folder, name, words) for name, words in named))


def _folder(folder: Folder, name: str, words: SharedVolume) -> SharedFolder:
    found = (folder.guest(one) for one in words.mounts)
    user, _, group = (words.owner or "").partition(":")
    return SharedFolder(
        name=name,
        path=words.host_path.rstrip("/") or "/",
        guests=tuple(one.address for one in found if one is not None and one.kind == "lxc"),
        uid=int(user) if user else None,
        gid=int(group or user) if user else None,
        mode=words.mode.zfill(4) if words.mode else None,
        writers=tuple(words.writers),
    )
