"""A node with real ZFS pools: zfs-fuse and loop devices in a mount namespace of its own.

    with zfs_lab.started(folder) as node:
        disk = node.disk("one")
        node.run("zpool list")

Disks have a name in /dev/disk/by-id and a serial number (told to lsblk by udev's database, which
is the namespace's own). Pools, mounts, /dev/disk, /etc/modprobe.d and /sys/module are seen there
only, and are gone with the daemon. `node.shell` is the value of PHOENIX_NODE_SHELL.
"""

import hashlib
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent.parent
FILES = Path(__file__).with_name("zfs_files")
_OURS = re.compile(r"/phxt(\d+)a/")
_NOT_TO_BE_HAD = 3
_WAIT_S = 20.0
MIB = 2**20


@dataclass(frozen=True)
class LoopDisk:
    """One disk: the name that files use, its device and its serial number."""

    path: str
    device: str
    serial: str
    file: Path

    def digest(self) -> str:
        """Of all its bytes."""
        subprocess.run(["sync", self.device], check=True)
        return hashlib.sha256(Path(self.device).read_bytes()).hexdigest()


@dataclass
class ZfsNode:
    """The namespace."""

    pid: int
    folder: Path
    disks: dict[str, LoopDisk] = field(default_factory=dict)

    @property
    def shell(self) -> str:
        """A command that starts a root shell on it."""
        return f"nsenter -t {self.pid} -m env PATH={self.folder / 'bin'}:{os.environ['PATH']} sh"

    def run(self, script: str, *, check: bool = True) -> str:
        """Runs a script there; its standard output."""
        command = [*shlex.split(self.shell), "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if check and done.returncode:
            raise AssertionError(f"{script}: {done.stdout}{done.stderr}")
        return done.stdout

    def disk(self, name: str, *, size_mib: int = 72, serial: str | None = None) -> LoopDisk:
        """A new disk of zeros; `serial` empty: it tells none."""
        file = self.folder / f"{name}.img"
        with file.open("wb") as opened:
            opened.truncate(size_mib * MIB)
        device = _out("losetup", "--find", "--show", "--partscan", str(file))
        self.made(device)
        path = f"/dev/disk/by-id/phxt-{name}"
        known = f"SN{name.upper()}" if serial is None else serial
        numbers = Path(f"/sys/block/{Path(device).name}/dev").read_text().strip()
        self.run(f"ln -s ../../{Path(device).name} {path}")
        if known:
            self.run(f"echo E:ID_SERIAL_SHORT={known} > /run/udev/data/b{numbers}")
        self.disks[name] = LoopDisk(path, device, known, file)
        return self.disks[name]

    def made(self, device: str) -> None:
        """Called with the device of a new disk."""

    def pools(self) -> Sequence[str]:
        """The names of the imported pools."""
        told = self.run("zpool list -H -o name")
        return [] if told.startswith("no pools") else told.split()

    def clear(self) -> None:
        """Removes all pools and disks."""
        for pool in self.pools():
            # What was just mounted over FUSE may still be busy.
            self.run(
                f"for i in 1 2 3 4 5; do zpool destroy -f {pool} && exit; sleep 1; done; false"
            )
        for disk in self.disks.values():
            self.run(f"umount -A {disk.device} 2>/dev/null; rm -f {disk.path}", check=False)
            numbers = Path(f"/sys/block/{Path(disk.device).name}/dev").read_text().strip()
            self.run(f"rm -f /run/udev/data/b{numbers}")
            subprocess.run(["losetup", "--detach", disk.device], check=True)
            disk.file.unlink()
        self.disks.clear()


@contextmanager
def started(folder: Path) -> Iterator[ZfsNode]:
    """A node; all of it is gone afterwards. Installs zfs-fuse where it is missing."""
    installed()
    folder = place(folder)
    (folder / "bin").mkdir()
    (folder / "bin" / "zfs").write_text(
        f'#!/bin/sh\nexec {sys.executable} -S {FILES}/zfs.py "$@"\n'
    )
    (folder / "bin" / "zfs").chmod(0o755)
    begin = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "unshare",
        "-m",
        "sh",
        str(FILES / "begin.sh"),
        str(folder),
    ]
    with (
        (folder / "daemon.log").open("wb") as log,
        subprocess.Popen(begin, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as daemon,
    ):
        node = ZfsNode(daemon.pid, folder)
        try:
            _wait(node)
            yield node
            node.clear()
        finally:
            daemon.kill()
            daemon.wait(20)
            detach(folder)
            if subprocess.run(["pgrep", "zfs-fuse"], capture_output=True, check=False).returncode:
                for empty in Path("/").glob("phxt*"):  # where pools were mounted
                    empty.rmdir()


def installed() -> None:
    """Installs zfs-fuse where it is missing; skips the test where it can't be had."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes real pools on loop devices")
    done = subprocess.run([_ROOT / "lab" / "zfs.sh"], check=False, timeout=600).returncode
    if done == _NOT_TO_BE_HAD:
        pytest.skip("this machine's packages have no zfs-fuse: no pools without a kernel module")
    assert done == 0


def place(folder: Path) -> Path:
    """A new folder for the disks of this process; what killed runs left is cleared away."""
    _clear(_is_dead)
    found = folder / f"phxt{os.getpid()}a"
    found.mkdir(parents=True)
    return found


def detach(folder: Path) -> None:
    """Takes all loop devices away whose files are in a folder."""
    _clear(lambda path: str(folder) in path)


def _is_dead(path: str) -> bool:
    found = _OURS.search(path)
    return found is not None and not Path(f"/proc/{found[1]}").exists()


def _wait(node: ZfsNode) -> None:
    end = time.monotonic() + _WAIT_S
    while time.monotonic() < end:
        if (node.folder / "ready").exists() and "pools" in node.run("zpool list 2>&1", check=False):
            return
        time.sleep(0.1)
    raise AssertionError((node.folder / "daemon.log").read_text())


def _clear(which: Callable[[str], bool]) -> None:
    for line in _out(
        "losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE"
    ).splitlines():
        device, _, path = line.partition(" ")
        if which(path.strip()):
            subprocess.run(["losetup", "--detach", device], check=False)


def _out(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
