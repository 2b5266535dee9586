"""The host's graphics cards: NVIDIA's driver, and cards kept for virtual machines, as wanted."""

from collections.abc import Iterator

from phoenix_hypervisor.config.desire import machines
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.host.cards import Cards, HostDriver, KeptCard, PassedCard


def cards(folder: Folder) -> Cards:
    """What the files say of them. A driver without a version is a problem that a rule tells."""
    passed = tuple(_passed(folder))
    own = {one.mapping or one.address for one in passed}
    listed = [(gpu, machines.whole_card(gpu)) for gpu in folder.host.gpus or ()]
    return Cards(
        driver=_driver(folder),
        passed=passed,
        kept=tuple(
            KeptCard(gpu.index, gpu.name)
            for gpu, whole in listed
            if whole is None or (whole.mapping or whole.address) not in own
        ),
    )


def _driver(folder: Folder) -> HostDriver | None:
    words, lxc = folder.host.nvidia_driver, folder.lxc
    version = words.version or lxc.nvidia_driver_version
    if not words.install or version is None:
        return None
    url = words.runfile_url or lxc.nvidia_runfile_url
    return HostDriver(version, url, words.checksum, words.kernel_modules)


def _passed(folder: Folder) -> Iterator[PassedCard]:
    """Of machines on this node that are to run: a template has no card."""
    node = folder.host.hypervisor.node
    for entry in folder.machines:
        elsewhere = entry.words.node is not None and node is not None and entry.words.node != node
        if not entry.rests and not elsewhere:
            for one in machines.devices(folder, entry.words):
                yield PassedCard(entry.address, one.mapping, one.address)
