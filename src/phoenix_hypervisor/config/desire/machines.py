"""What only virtual machines have: their first user, their cards, their shares."""

from collections.abc import Iterator
from pathlib import Path

from phoenix_hypervisor.config import lookup
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.config.words.hypervisor import Gpu
from phoenix_hypervisor.config.words.vm import Machine
from phoenix_hypervisor.model.desired import CloudUser, NfsShare, PciDevice


def user(words: Machine) -> CloudUser | None:
    """The first user; None where the files name none."""
    told = words.user_config
    if told.username is None:
        return None
    return CloudUser(
        username=told.username,
        ssh_keys=tuple(dict.fromkeys(told.ssh_public_key)),
        password_hash=told.password_hash,
        sudo=told.sudo,
        shell=told.shell,
        groups=tuple(dict.fromkeys(told.groups)),
    )


def packages(words: Machine) -> tuple[str, ...]:
    """The packages that cloud-init installs, each once."""
    return tuple(dict.fromkeys(words.user_config.packages))


def shares(words: Machine) -> tuple[NfsShare, ...]:
    """The shares of file servers."""
    return tuple(NfsShare(one.server, one.path, one.mount_point) for one in words.volumes)


def devices(folder: Folder, words: Machine) -> tuple[PciDevice, ...]:
    """Its cards: the graphics cards of `gpu_assignment`, then those of `pci`, each once."""
    own = (PciDevice(one.mapping, one.address) for one in words.pci)
    return tuple(dict.fromkeys([*_gpus(folder, words), *own]))


def _gpus(folder: Folder, words: Machine) -> Iterator[PciDevice]:
    known = {gpu.index: gpu for gpu in folder.host.gpus or ()}
    for index in words.gpu_assignment:
        if index in known and (device := whole_card(known[index])) is not None:
            yield device


def whole_card(gpu: Gpu) -> PciDevice | None:
    """A graphics card with all its functions, since its sound must go along (PVE's wiki)."""
    if gpu.mapping is not None:
        return PciDevice(mapping=gpu.mapping)
    return PciDevice(address=gpu.pci.removesuffix(".0")) if gpu.pci is not None else None


def user_data(folder: Folder, words: Machine) -> Path | None:
    """The folder's own cloud-config; None where there is none, which a rule tells."""
    wanted = words.cloud_init.user_data
    path = None if wanted is None else lookup.find(folder.path, wanted, lookup.CLOUD_INIT)
    return path.resolve() if path is not None and path.is_file() else None
