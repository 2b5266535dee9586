"""What `doctor` looks at on this very machine, for each target that it is to work with."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from phoenix_hypervisor.model.finding import Finding

_OLDEST_PYTHON = (3, 11)
_INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
_ENOUGH_INOTIFY = 1024
_NODE_FILES = Path("/etc/pve")
_INCUS: Mapping[str, tuple[str, str]] = {
    "incus": ("incus-client", "to speak to the Incus daemon"),
    "mmdebstrap": ("mmdebstrap", "to build images from this machine's own mirror"),
    "nft": ("nftables", "for NAT of the guests' bridges"),
    "mkfs.btrfs": ("btrfs-progs", "for copy-on-write storage pools"),
    "zstd": ("zstd", "to pack the images that are built"),
    "newuidmap": ("uidmap", "for unprivileged containers"),
    "lxcfs": ("lxcfs", "so that guests see their own memory and cores"),
    "dnsmasq": ("dnsmasq-base", "for DNS and DHCP of the guests' bridges"),
}


def look(driver: str) -> Iterator[Finding]:
    """This machine, for a driver: what the target itself lacks is not asked here."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding("Python", sys.version_info >= _OLDEST_PYTHON, version)
    if _NODE_FILES.is_dir():
        yield Finding("this machine", True, "a Proxmox node: Incus is not needed here")
    elif driver == "proxmox":
        yield _tool("ssh", "openssh-client", "for root on the nodes, unless a command gives it")
    else:
        yield from _for_incus()


def _for_incus() -> Iterator[Finding]:
    root = os.geteuid() == 0
    yield Finding("user", root, "root" if root else "not root", "" if root else "sudo phoenix …")
    for tool, (package, purpose) in _INCUS.items():
        yield _tool(tool, package, purpose, "   (lab/incus.sh installs all of them)")
    yield _inotify()


def _tool(tool: str, package: str, purpose: str, more: str = "") -> Finding:
    found = shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    mend = "" if found else f"apt-get install {package}{more}"
    return Finding(tool, found is not None, found or f"missing; it is needed {purpose}", mend)


def _inotify() -> Finding:
    # Each guest's systemd needs about ten; all guests together have what root has.
    have = int(_INOTIFY.read_text())
    if have >= _ENOUGH_INOTIFY:
        return Finding("inotify", True, f"{have} instances")
    said = f"only {have} instances: services of about the twelfth guest fail at random"
    name = "fs.inotify.max_user_instances"
    return Finding("inotify", False, said, f"sysctl -w {name}={_ENOUGH_INOTIFY}")
