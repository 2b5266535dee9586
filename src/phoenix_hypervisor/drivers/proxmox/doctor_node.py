"""What root sees on a node that matters to guests: IOMMU and NVIDIA's driver; pure but for SCRIPT.

Source: the kernel's documentation (`iommu_groups`), NVIDIA's driver README (`/proc/driver/nvidia`,
nvidia-modprobe), and the Proxmox VE documentation, "PCI(e) Passthrough".
"""

from collections.abc import Iterator, Mapping

from phoenix_hypervisor.model.finding import Finding

SCRIPT = r"""
[ -e /dev/kvm ] && echo "kvm=1"
echo "groups=$(ls /sys/kernel/iommu_groups 2>/dev/null | wc -l)"
echo "maker=$(grep -m 1 -o 'GenuineIntel\|AuthenticAMD' /proc/cpuinfo)"
echo "driver=$(sed -n 's/^NVRM version:.* \([0-9][0-9]*\.[0-9.]*\) .*/\1/p' \
    /proc/driver/nvidia/version 2>/dev/null)"
[ -e /dev/nvidia-uvm ] && echo "uvm=1"
[ -d /etc/kernel/proxmox-boot ] || [ -s /etc/kernel/proxmox-boot-uuids ] && echo "boot=tool"
for card in /sys/bus/pci/devices/*; do
    [ "$(cat "$card/vendor" 2>/dev/null)" = 0x10de ] || continue
    case "$(cat "$card/class")" in 0x03*) ;; *) continue ;; esac
    driver=none
    [ -e "$card/driver" ] && driver=$(basename "$(readlink -f "$card/driver")")
    echo "card.${card##*/}=$driver"
done
true
"""
"""Prints `key=value` lines; reads only."""

_VFIO = "vfio-pci"


def read(text: str) -> dict[str, str]:
    """The lines of `SCRIPT`."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {key: value.strip() for key, mark, value in pairs if mark}


def findings(
    node: str, facts: Mapping[str, str], gives_cards: bool, *, has_machines: bool = False
) -> Iterator[Finding]:
    """KVM, IOMMU and NVIDIA.

    `gives_cards`: the files give a card to a virtual machine there; `has_machines`: they have one
    there.
    """
    if has_machines:
        yield _kvm(node, facts)
    cards = {
        key.removeprefix("card."): value for key, value in facts.items() if key.startswith("card.")
    }
    yield _iommu(node, facts, gives_cards, bool(cards))
    shared = sorted(card for card, driver in cards.items() if driver != _VFIO)
    given = sorted(card for card, driver in cards.items() if driver == _VFIO)
    if given:
        said = f"{', '.join(given)} bound to vfio-pci: for virtual machines, not for containers"
        yield Finding(f"NVIDIA on {node}", True, said)
    if shared:
        yield from _nvidia(node, facts, shared)
    if not cards:
        yield Finding(f"NVIDIA on {node}", True, "no card of NVIDIA's")


def _kvm(node: str, facts: Mapping[str, str]) -> Finding:
    what = f"KVM of {node}"
    if facts.get("kvm") == "1":
        return Finding(what, True, "/dev/kvm is there")
    said = "/dev/kvm is not there: virtual machines do not start"
    module = "kvm_intel" if facts.get("maker") == "GenuineIntel" else "kvm_amd"
    more = "(VT-x or AMD-V must be on in the firmware; of a nested node, in its own host)"
    return Finding(what, False, said, f"modprobe {module}   {more}")


def _iommu(node: str, facts: Mapping[str, str], gives_cards: bool, has_cards: bool) -> Finding:
    groups = facts.get("groups", "0")
    what = f"IOMMU of {node}"
    if groups not in ("0", ""):
        return Finding(what, True, f"on, {groups} groups")
    said = "off: cards can't be given to virtual machines (containers need none)"
    if not (gives_cards or has_cards):
        return Finding(what, True, said)
    word = "intel_iommu=on iommu=pt" if facts.get("maker") == "GenuineIntel" else "iommu=pt"
    if facts.get("boot") == "tool":
        mend = f"sed -i '1s/$/ {word}/' /etc/kernel/cmdline && proxmox-boot-tool refresh"
    else:
        words = 's/^GRUB_CMDLINE_LINUX="/&' + f"{word} /"
        mend = f"sed -i '{words}' /etc/default/grub && update-grub"
    more = "   (then restart the node; VT-d or AMD-Vi must be on in its firmware)"
    return Finding(what, False, said, mend + more, needed=gives_cards)


def _nvidia(node: str, facts: Mapping[str, str], shared: list[str]) -> Iterator[Finding]:
    what = f"NVIDIA on {node}"
    driver = facts.get("driver", "")
    if not driver:
        said = f"{', '.join(shared)} there, but its driver is not loaded: containers can't use it"
        mend = (
            "apt install dkms proxmox-default-headers   (then install NVIDIA's driver for Linux, "
            "and load it: modprobe nvidia)"
        )
        yield Finding(what, False, said, mend, needed=False)
        return
    yield Finding(what, True, f"driver {driver}; guests must have the same version inside")
    if facts.get("uvm") != "1":
        said = "/dev/nvidia-uvm is not there yet: containers that start now get no CUDA"
        yield Finding(what, False, said, "nvidia-modprobe -u -c=0", needed=False)
