"""A node that is a privileged container: real ZFS pools, and software that is installed for real.

    with zfs_container.started(bench, "node", folder) as node:
        disk = node.disk("one")
        node.run("zpool list")

zfs-fuse is this machine's own: its programs and libraries are copied into the container, where the
daemon and all its mounts end with it. Disks are loop devices that the container is given.
"""

import io
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import lab, zfs_lab
from tests.support.featurebench import Bench

from phoenix_hypervisor.drivers.incus import names

_PROGRAMS = ("zfs-fuse", "zpool", "zfs")
_LIBRARY = re.compile(r"=> (/\S+)")
_LIBC = re.compile(r"/(libc|libm|libresolv)\.so")
_PLACE = "/opt/zfs-fuse"
_START = f'#!/bin/sh\\nLD_LIBRARY_PATH={_PLACE}/lib exec {_PLACE}/bin/%s "$@"\\n'
_INSTALL = f"""
for each in zfs-fuse zpool zfs; do
    printf '{_START}' $each >/sbin/$each
    chmod +x /sbin/$each
done
printf '#!/bin/sh\\nexec python3 -S {_PLACE}/zfs.py "$@"\\n' >/usr/local/sbin/zfs
chmod +x /usr/local/sbin/zfs
apt-get update -qq; apt-get install -qqy python3-minimal >/dev/null
systemctl mask --quiet --now systemd-udevd.service systemd-udevd-kernel.socket \\
    systemd-udevd-control.socket
mount -t tmpfs tmpfs /sys/module
mkdir -p /sys/module/zfs/parameters /dev/disk/by-id /run/udev/data /etc/zfs /var/lib/zfs
echo 0 >/sys/module/zfs/parameters/zfs_arc_max
# No unit of systemd: of cgroups below the container's own, v1 keeps devices that it is given later.
setsid /sbin/zfs-fuse --no-daemon >/var/log/zfs-fuse.log 2>&1 </dev/null &
"""
_WAIT_S = 20.0


@dataclass
class ZfsContainer(zfs_lab.ZfsNode):
    """The container, as a node that has ZFS."""

    project: str = ""
    instance: str = ""

    @property
    def shell(self) -> str:
        """A command that starts a root shell on it."""
        return f"incus exec --project {self.project} {self.instance} -T -- sh"

    def give(self, kind: str, path: str) -> None:
        """Lets it use a device of this machine under the same name."""
        device = path.removeprefix("/dev/")
        words = (self.instance, device, kind, f"source={path}", f"path={path}")
        lab.incus("config", "device", "add", "--project", self.project, *words)

    def made(self, device: str) -> None:
        """A disk is no disk of the node before it is given to it."""
        self.give("unix-block", device)


@contextmanager
def started(bench: Bench, guest: str, folder: Path) -> Iterator[ZfsContainer]:
    """The guest of the bench, which must be privileged, with ZFS in it."""
    zfs_lab.installed()
    found = bench.guests[guest]
    place = zfs_lab.place(folder)
    node = ZfsContainer(0, place, {}, bench.corner.name, names.instance(found.address))
    node.give("unix-char", "/dev/fuse")
    _copy(node)
    node.run(_INSTALL)
    _wait(node)
    try:
        yield node
        node.clear()
    finally:
        node.run("pkill -x zfs-fuse", check=False)
        zfs_lab.detach(place)


def _copy(node: ZfsContainer) -> None:
    programs = [f"/sbin/{each}" for each in _PROGRAMS]
    told = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True).stdout
    libraries = sorted({one for one in _LIBRARY.findall(told) if not _LIBC.search(one)})
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", dereference=True) as tar:
        for each in programs:
            tar.add(each, f"bin/{Path(each).name}")
        for each in libraries:
            tar.add(each, f"lib/{Path(each).name}")
        tar.add(zfs_lab.FILES / "zfs.py", "zfs.py")
    script = f"mkdir -p {_PLACE} && tar -x --no-same-owner -C {_PLACE}"
    command = [*node.shell.split(), "-c", script]
    subprocess.run(command, input=held.getvalue(), check=True, timeout=60)


def _wait(node: ZfsContainer) -> None:
    end = time.monotonic() + _WAIT_S
    while time.monotonic() < end:
        if "pools" in node.run("zpool list 2>&1", check=False):
            return
        time.sleep(0.1)
    raise AssertionError(node.run("cat /var/log/zfs-fuse.log", check=False))
