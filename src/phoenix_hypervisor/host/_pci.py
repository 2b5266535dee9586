"""The node's PCI cards as its kernel shows them in sysfs, and which of them a machine is given.

Sources: the kernel's ABI documentation (sysfs-bus-pci, sysfs-kernel-iommu_groups) and PVE's
administration guide, "PCI(e) Passthrough".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

LOOK = """\
for path in /sys/bus/pci/devices/*; do
    [ -e "$path/vendor" ] || continue
    driver=$(readlink "$path/driver") && driver=${driver##*/} || driver=none
    group=$(readlink "$path/iommu_group") && group=${group##*/} || group=none
    vga=$(cat "$path/boot_vga" 2>/dev/null) || vga=0
    echo "pci ${path##*/} $(cat "$path/vendor") $(cat "$path/device") $(cat "$path/class")" \\
        "$driver $group $vga"
done
"""
"""Prints a line for each function of each card."""

_BRIDGE = "06"
_DISPLAY = "03"
_NVIDIA = "10de"


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a card. `kind` is its class in six hexadecimal digits."""

    address: str
    vendor: str
    device: str
    kind: str
    driver: str | None
    group: str | None
    shows_boot: bool = False

    @property
    def ids(self) -> str:
        """Vendor and device, as `10de:2d04`."""
        return f"{self.vendor}:{self.device}"

    @property
    def slot(self) -> str:
        """Its address without the function: all functions of a card have the same."""
        return self.address.rpartition(".")[0]

    @property
    def is_bridge(self) -> bool:
        """Whether it belongs to the bus itself and stays with the host."""
        return self.kind.startswith(_BRIDGE)

    @property
    def is_nvidia(self) -> bool:
        """Whether it is a graphics card of NVIDIA's."""
        return self.vendor == _NVIDIA and self.kind.startswith(_DISPLAY)


def read(printed: str) -> list[Function]:
    """What `LOOK` printed, among other lines."""
    found = []
    for line in printed.splitlines():
        word, _, rest = line.partition(" ")
        if word != "pci":
            continue
        address, vendor, device, kind, driver, group, vga = rest.split()
        found.append(
            Function(
                address.lower(),
                vendor.removeprefix("0x"),
                device.removeprefix("0x"),
                kind.removeprefix("0x"),
                None if driver == "none" else driver,
                None if group == "none" else group,
                vga == "1",
            )
        )
    return found


def of(address: str, there: Iterable[Function]) -> list[Function]:
    """The functions at an address: one, or, where it names none (`0000:01:00`), the whole card."""
    whole = "." not in address
    return [one for one in there if address == (one.slot if whole else one.address)]


def paths(mappings: Sequence[Mapping[str, object]], name: str, node: str) -> list[str]:
    """Addresses on this node that a PCI mapping of the cluster stands for (`/cluster/mapping/pci`).

    An entry of its `map` is such as `id=10de:2d04,node=pve1,path=0000:01:00`; several paths are
    joined by `;`.
    """
    found: list[str] = []
    for mapping in mappings:
        entries = mapping.get("map")
        if mapping.get("id") != name or not isinstance(entries, list):
            continue
        for entry in entries:
            parts = dict(part.partition("=")[::2] for part in str(entry).split(","))
            if parts.get("node") == node:
                found += [path.lower() for path in parts.get("path", "").split(";") if path]
    return found
