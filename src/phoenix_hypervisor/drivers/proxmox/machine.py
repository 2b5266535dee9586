"""A virtual machine in PVE's words: what its configuration is to hold, and what the one there says.

`wanted` gives PVE's keys, `fields` reads them back into the words of `drivers.fields`; both are
pure. Disks are made by import or clone and grown by `resize`, so that no key here changes one.
Source: the Proxmox VE API documentation, `/nodes/{node}/qemu/{vmid}/config`, and qm.conf(5).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote

from phoenix_hypervisor.drivers import fields as words
from phoenix_hypervisor.drivers.proxmox import machine_network
from phoenix_hypervisor.drivers.proxmox.marks import Notes
from phoenix_hypervisor.drivers.proxmox.property import flag, indexed, parse, size_gb, text
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Boot, Guest, Image, Json, PciDevice

Config = Mapping[str, object]
Keys = dict[str, str | None]

ROOT = "scsi0"
CLOUD_DRIVE = "scsi1"
"""Kernels made for clouds (Debian's genericcloud) have no driver for PVE's usual `ide2`."""

NEW: Mapping[str, str] = {
    "ostype": "l26",
    "cpu": "x86-64-v2-AES",
    "scsihw": "virtio-scsi-single",
    "serial0": "socket",
    "vga": "serial0",
    "boot": f"order={ROOT}",
    "ciupgrade": "0",
}
"""What a new machine has beside what is asked for; later it belongs to whoever changes it.

The CPU is the one of PVE's own pages, which every x86-64 of the last decade has; cloud images
write their boot log to the serial port; upgrades belong to who administers the guest.
"""

_DISKS = ("scsi", "virtio", "sata", "ide")
_SNIPPET = re.compile(r"snippets/phoenix-\d+-(?P<part>[a-z]+)-(?P<digest>[0-9a-f]+)\.yaml$")
_LXC_ONLY = ("unprivileged", "nesting", "gpus", "swap_mb")


def wanted(guest: Guest, config: Config, domain: str | None = None) -> Keys:
    """PVE's keys for all that the guest asks for; None: the key is to go.

    `config` is what is there now (empty for a new one): parts that nobody asked for are kept.
    Disks (`new_disk`) and cloud-init's documents (`cloud`) are not among the keys.
    """
    cores = _number(config.get("sockets")) or 1
    keys: Keys = dict(NEW) if not config else {}
    keys |= {
        "name": guest.name,
        "memory": _changed(config, "memory", "current", guest.memory_mb),
        "cores": str(guest.cores),
        "onboot": str(int(guest.boot.at_boot)),
        "protection": str(int(guest.protected)),
        "startup": text({"order": guest.boot.order, "up": guest.boot.delay_s}) or None,
        "agent": _changed(config, "agent", "enabled", int(guest.agent)),
    }
    if cores != 1:
        keys["sockets"] = "1"
    keys |= _hardware(guest, config)
    return keys | machine_network.wanted(guest, config, domain)


def root_only(key: str, value: str | None, config: Config) -> bool:
    """Whether PVE lets nobody but root@pam himself write this, so that no token may.

    A raw card counts before and after; mappings need `Mapping.Use` instead.
    """
    if key == "args":
        return True
    if key.startswith("hostpci"):
        told = (value or "", _text(config, key))
        return any("host" in parse(each, "host") for each in told if each)
    return False


def new_disk(guest: Guest, image: str, pool: str) -> dict[str, str]:
    """The keys of a new machine's disks, which come to lie in the storage `pool`.

    The root disk is imported from `image` (a volume such as `local:import/debian.qcow2`); beside
    it stands cloud-init's drive. With UEFI there is a disk for its variables too, without Secure
    Boot's keys, so that NVIDIA's modules load.
    """
    keys = {
        ROOT: f"{pool}:0,import-from={image},discard=on,iothread=1,ssd=1",
        CLOUD_DRIVE: f"{pool}:cloudinit",
    }
    if guest.bios == "ovmf":
        keys["efidisk0"] = f"{pool}:1,efitype=4m,pre-enrolled-keys=0"
    return keys


def rests_as_template(guest: Guest) -> bool:
    """Whether it becomes one of PVE's own templates, which can be cloned at once but never start
    again: only where nothing is to be done inside it, and no snapshot is asked for.
    """
    busy = guest.features or guest.script or guest.snapshot_name
    return guest.kind == "vm" and guest.is_template and not busy


def root_disk(config: Config) -> str | None:
    """The key of the disk that the machine boots from."""
    order = parse(_text(config, "boot"), "order").get("order", "").split(";")
    disks = [key for key in _drives(config) if not _is_cdrom(config, key)]
    booted = [key for key in (*order, _text(config, "bootdisk")) if key in disks]
    return next(iter(booted or disks), None)


def snippet(vmid: int, part: str, digest: str) -> str:
    """The file name of one of cloud-init's documents, which tells its content."""
    return f"phoenix-{vmid}-{part}-{digest}.yaml"


def cloud(guest: Guest, store: str, digests: Mapping[str, str]) -> Keys:
    """cloud-init's keys where its documents are snippets of the storage `store`.

    `digests` are those of `cloudinit.Documents`. PVE's own words for users are then not used.
    """
    named = {
        part: f"{store}:snippets/{snippet(guest.id, part, digest)}"
        for part, digest in sorted(digests.items())
    }
    return {"cicustom": text(named), "citype": "nocloud", "ciuser": None, "sshkeys": None}


def native_cloud(guest: Guest, keys: Sequence[str]) -> Keys:
    """cloud-init's keys in PVE's own words, for a target that takes no snippets: less is said.

    `keys` are SSH keys beside the user's own. Here every change makes PVE invent a new instance
    id, so that cloud-init runs anew at the next start.
    """
    user = guest.user
    all_keys = dict.fromkeys([*(user.ssh_keys if user else ()), *keys])
    return {
        "ciuser": user.username if user else "root",
        # PVE decodes it once itself: a blank is %20, never a plus.
        "sshkeys": quote("\n".join(all_keys), safe="") or None,
        "cicustom": None,
    }


def fields(config: Config, guest: Guest | None, notes: Notes) -> dict[str, Json]:
    """What a configuration shows. `guest` is what the files ask for: it tells what counts."""
    disk = root_disk(config)
    root = parse(_text(config, disk), "volume") if disk else {}
    start = parse(_text(config, "startup"), "order")
    seen = Guest(
        address=Address("vm/0"),
        kind="vm",
        id=0,
        name=_text(config, "name"),
        source=Image(""),
        memory_mb=_number(parse(_text(config, "memory"), "current").get("current")) or 512,
        cores=(_number(config.get("cores")) or 1) * (_number(config.get("sockets")) or 1),
        pool=root.get("volume", "").partition(":")[0] or None,
        disk_gb=size_gb(root.get("size")),
        nics=machine_network.seen(config, guest, notes),
        boot=Boot(
            flag(config.get("onboot")), _number(start.get("order")), _number(start.get("up"))
        ),
        protected=flag(config.get("protection")),
        pci=tuple(_device(value) for value in indexed(config, "hostpci").values()),
        agent=flag(parse(_text(config, "agent"), "enabled").get("enabled")),
        cpu=parse(_text(config, "cpu"), "cputype").get("cputype") or "kvm64",
        machine=_seen_machine(_text(config, "machine"), guest),
        bios="ovmf" if config.get("bios") == "ovmf" else "seabios",
    )
    custom = parse(_text(config, "cicustom")).values()
    found = [match for match in map(_SNIPPET.search, custom) if match is not None]
    return _shown(seen) | _told({each["part"]: each["digest"] for each in found})


def projected(guest: Guest, digests: Mapping[str, str]) -> dict[str, Json]:
    """What `fields` shows once all is as the guest asks.

    `digests` as for `cloud`. Without them nothing of cloud-init is compared: for a machine that
    Phoenix did not make (`adopt`), whose instance id is not Phoenix's to choose.
    """
    shown = _shown(guest)
    if guest.machine is None and guest.pci:
        shown["machine"] = "q35"
    return shown | _told(digests)


def _told(digests: Mapping[str, str]) -> dict[str, Json]:
    """The documents whose edit is a difference: meta-data says nothing that the name doesn't."""
    return {f"cloud_init.{part}": each for part, each in digests.items() if part != "meta"}


def _shown(guest: Guest) -> dict[str, Json]:
    # A gateway beside DHCP has no place in PVE's words: DHCP tells its own.
    nics = (replace(nic, gateway=None) if nic.address == "dhcp" else nic for nic in guest.nics)
    shown = words.guest_fields(replace(guest, nics=tuple(nics)))
    for word in _LXC_ONLY:
        shown.pop(word, None)
    shown |= {
        "agent": guest.agent,
        "pci": [device.mapping or _whole(device.address or "") for device in guest.pci],
    }
    asked: dict[str, Json] = {"cpu": guest.cpu, "machine": guest.machine, "bios": guest.bios}
    return shown | {word: value for word, value in asked.items() if value is not None}


def _changed(config: Config, key: str, part: str, value: str | int) -> str:
    """The key's property string with its main part changed and all others kept."""
    parts: dict[str, str | int | None] = {**parse(_text(config, key), part), part: value}
    return text(parts, part)


def _hardware(guest: Guest, config: Config) -> Keys:
    """CPU, board and cards. A card with PCI Express needs the newer board (PVE's wiki)."""
    keys: Keys = {}
    if guest.cpu is not None:
        before = parse(_text(config, "cpu"), "cputype")
        keys["cpu"] = text({**before, **parse(guest.cpu, "cputype")}, "cputype")
    if guest.bios is not None:
        keys["bios"] = guest.bios
    board = guest.machine or ("q35" if guest.pci else None)
    if board is not None and _seen_machine(_text(config, "machine"), guest) != board:
        # `pc` is what PVE means by no machine at all.
        keys["machine"] = None if board == "pc" else board
    express = "q35" in (board or _text(config, "machine"))
    return keys | _cards(guest, config, express=express)


def _cards(guest: Guest, config: Config, *, express: bool) -> Keys:
    there = indexed(config, "hostpci")
    keys: Keys = dict.fromkeys(there)
    for number, device in enumerate(guest.pci):
        key = f"hostpci{number}"
        if key in there and _device(there[key]) == _plain(device):
            keys[key] = there[key]
        else:
            one = {"mapping": device.mapping} if device.mapping else {"host": device.address}
            keys[key] = text({**one, "pcie": 1 if express else None}, "host")
    return keys


def _device(value: str) -> PciDevice:
    parts = parse(value, "host")
    if "mapping" in parts:
        return PciDevice(mapping=parts["mapping"])
    return PciDevice(address=_whole(parts.get("host", "")))


def _plain(device: PciDevice) -> PciDevice:
    return device if device.address is None else PciDevice(address=_whole(device.address))


def _whole(address: str) -> str:
    """With its domain, which PVE leaves out where it is 0000."""
    return address.lower() if address.count(":") > 1 else f"0000:{address.lower()}"


def _seen_machine(text_: str, guest: Guest | None) -> str:
    """`q35` also where PVE pins a version of it, unless the files ask for one themselves."""
    found = parse(text_, "type").get("type", "") or "pc"
    asked = guest.machine if guest is not None else None
    if asked is not None and "-" in asked:
        return found
    return "q35" if "q35" in found else "pc"


def _drives(config: Config) -> list[str]:
    return [key for bus in _DISKS for key in indexed(config, bus)]


def _is_cdrom(config: Config, key: str) -> bool:
    parts = parse(_text(config, key), "volume")
    return parts.get("media") == "cdrom" or parts.get("volume") == "none"


def _text(config: Config, key: str) -> str:
    value = config.get(key)
    return "" if value is None else str(value)


def _number(value: object) -> int | None:
    told = str(value if value is not None else "")
    return int(told) if told.isdigit() else None
