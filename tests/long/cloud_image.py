"""A Debian as clouds have it, made from this machine's mirror, and QEMU to start it in.

Nothing is installed but programs that start no service; the rest lies in a cache folder, under
the hash of what it was made of. Without KVM too: QEMU's emulation needs about a minute to boot.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from phoenix_hypervisor.drivers.incus import handover

CACHE = Path(__file__).parent.parent.parent / ".cache" / "cloud-image"
SUITE = "trixie"
MAC = "52:54:00:12:34:56"
NFS = "10.0.2.100"
"""Where the file server is for the machine (QEMU's user network)."""

_PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "genisoimage": "genisoimage",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "ssh-keygen": "openssh-client",
}
_IMAGE = (
    "ca-certificates,cloud-guest-utils,cloud-init,dbus,initramfs-tools,iproute2,"
    "libpam-systemd,linux-image-cloud-amd64,netplan.io,openssh-server,sudo,systemd-resolved,"
    "systemd-sysv,udev"
)
# What nfs-common needs is there, so that the test's time goes to what it tests.
_IMAGE += ",dmsetup,keyutils,libldap2,libldap-common,libnfsidmap1,rpcbind"
_PACKAGES = "cowsay,lsof,nfs-common,qemu-guest-agent,tree"
"""What the machine may install: of a repository of its own, as reading the distribution's index
takes minutes under emulation.
"""
_REPOSITORY = r"""
set -e
cd "$1" && mkdir -p srv/packages/partial && cd srv/packages
APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -yqq --download-only --no-install-recommends \
    -o Dir::Cache::archives="$PWD" install $(echo %s | tr , ' ')
for each in *.deb; do
    dpkg-deb --field "$each"
    printf 'Filename: ./%%s\nSize: %%s\n' "$each" "$(stat -c %%s "$each")"
    printf 'SHA256: %%s\n\n' "$(sha256sum <"$each" | cut -d' ' -f1)"
done >Packages
echo 'deb [trusted=yes] file:/srv/packages ./' >"$1"/etc/apt/sources.list.d/packages.list
"""
# Its kernel and initrd are given by QEMU: making the initrd anew for each package, as a disk of
# the guest would need it, takes minutes under emulation.
_HOOKS = (
    _REPOSITORY % _PACKAGES,
    ': > "$1"/etc/machine-id',
    'rm -f "$1"/etc/apt/sources.list.d/0000sources.list "$1"/etc/resolv.conf',
    'echo "/dev/sda / ext4 defaults 0 1" > "$1"/etc/fstab',
    'echo update_initramfs=no > "$1"/etc/initramfs-tools/update-initramfs.conf',
    'echo "Acquire::Languages none;" > "$1"/etc/apt/apt.conf.d/90phoenix-test',
    'echo force-unsafe-io > "$1"/etc/dpkg/dpkg.cfg.d/phoenix-test',
)
_SERVER = "nfs-ganesha,nfs-ganesha-vfs"
_SERVER_HOOKS = ('ln -sf /proc/self/mounts "$1"/etc/mtab',)
_GANESHA = """\
NFS_Core_Param {
    NFS_Port = %d; Protocols = 4; Bind_addr = 127.0.0.1; mount_path_pseudo = true;
    Enable_NLM = false; Enable_RQUOTA = false; allow_set_io_flusher_fail = true;
}
NFSv4 { Graceless = true; RecoveryRoot = /run/ganesha; }
EXPORT {
    Export_Id = 1; Path = /srv/share; Pseudo = /share; Access_Type = RW; Squash = None;
    SecType = sys; Protocols = 4; Transports = TCP; FSAL { Name = VFS; }
}
"""


_PIPE = """\
import os, socket, sys, threading
line = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def back():
    while data := line.recv(65536):
        os.write(1, data)
    os._exit(0)
threading.Thread(target=back, daemon=True).start()
while data := os.read(0, 65536):
    line.sendall(data)
"""


def install() -> None:
    """Installs the programs that are missing; never removes a package."""
    missing = sorted({package for name, package in _PROGRAMS.items() if not shutil.which(name)})
    if missing:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        words = ("-o", "DPkg::Lock::Timeout=300", "-yqq", "--no-install-recommends", "--no-remove")
        subprocess.run(["apt-get", "-qq", "update"], check=True, env=environment)
        subprocess.run(["apt-get", "install", *words, *missing], check=True, env=environment)


@dataclass(frozen=True)
class CloudImage:
    """A disk without partitions, and the kernel and initrd to start it with."""

    folder: Path

    @property
    def disk(self) -> Path:
        """The disk, raw."""
        return self.folder / "disk.raw"


def image() -> CloudImage:
    """The image; made where no run before made the same."""

    def make(folder: Path) -> None:
        _root(folder / "root", _IMAGE, "minbase", *_HOOKS)
        words = ("-q", "-t", "ext4", "-L", "root", "-d", str(folder / "root"))
        subprocess.run(["mke2fs", *words, str(folder / "disk.raw"), "3G"], check=True)
        boot = folder / "root" / "boot"
        for name in ("vmlinuz", "initrd.img"):
            shutil.copy(next(boot.glob(f"{name}-*")), folder / name)
        shutil.rmtree(folder / "root")

    return CloudImage(_kept("image", [_IMAGE, *_HOOKS, SUITE], make))


def _kept(name: str, made_of: list[str], make) -> Path:
    digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]
    folder = CACHE / f"{name}-{digest}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            for old in CACHE.glob(f"{name}-*"):
                shutil.rmtree(old)
            folder.mkdir()
            make(folder)
            (folder / "done").touch()
    return folder


def _root(folder: Path, packages: str, variant: str, *hooks: str) -> None:
    mirror = asyncio.run(handover.find_mirror())
    assert mirror is not None, "this machine's own distribution has no mirror that apt knows"
    sources = folder.parent / "sources.list"
    sources.write_text(handover.apt_sources(mirror, SUITE))
    words = [f"--customize-hook={hook}" for hook in hooks]
    words += ["--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*"]
    argv = ["mmdebstrap", f"--variant={variant}", f"--include={packages}", *words]
    done = subprocess.run(
        [*argv, SUITE, str(folder), str(sources)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def seed(path: Path, files: Mapping[str, str]) -> None:
    """Writes the drive of cloud-init into a file, as PVE does: ISO 9660, `cidata`, 4 MiB."""
    folder = path.with_suffix(".d")
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    words = ("-quiet", "-iso-level", "3", "-J", "-R", "-V", "cidata")
    made = subprocess.run(["genisoimage", *words, str(folder)], capture_output=True, check=True)
    with path.open("r+b" if path.exists() else "wb") as drive:  # the same file: QEMU has it open
        drive.write(made.stdout.ljust(4 << 20, b"\0"))


@contextmanager
def file_server() -> Iterator[tuple[int, Path]]:
    """An NFS server of user space on a loopback port, and the folder that it shares."""

    def make(folder: Path) -> None:
        _root(folder / "root", _SERVER, "apt", *_SERVER_HOOKS)

    root = _kept("server", [_SERVER, *_SERVER_HOOKS, SUITE], make) / "root"
    port, share = free_port(), root / "srv" / "share"
    shutil.rmtree(share, ignore_errors=True)
    for path in (share, root / "run" / "ganesha"):
        path.mkdir(parents=True, exist_ok=True)
    (root / "test.log").unlink(missing_ok=True)
    (root / "etc" / "ganesha" / "test.conf").write_text(_GANESHA % port)
    words = ("-F", "-f", "/etc/ganesha/test.conf", "-L", "/test.log", "-p", "/test.pid")
    # A mount of its own, since the server looks for the file system that it shares.
    enter = 'mount --bind "$0" "$0" && mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
    argv = ["unshare", "--mount", "sh", "-c", enter, str(root), "ganesha.nfsd", *words]
    server = subprocess.Popen(argv)
    try:
        _wait_for_port(port, server, root / "test.log")
        assert "No export entries" not in (root / "test.log").read_text()
        yield port, share
    finally:
        server.kill()
        server.wait()


def _wait_for_port(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert server.poll() is None, log.read_text()[-2000:]
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"the file server does not answer: {log.read_text()[-2000:]}")


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass(frozen=True)
class Booted:
    """A running machine. `ports` are this machine's, by the address that they lead to inside."""

    process: subprocess.Popen[bytes]
    console: Path
    agent: Path
    key: Path
    ports: Mapping[str, int]

    def wait_for(self, text: str, times: int = 1, limit_s: float = 420) -> None:
        """Waits until the console has shown a text so often; asking over SSH would slow it down."""
        end = time.monotonic() + limit_s
        while self.log().count(text) < times:
            assert self.process.poll() is None, f"QEMU ended: {self.log()[-3000:]}"
            assert time.monotonic() < end, f"no {text!r} in {limit_s} s: {self.log()[-3000:]}"
            time.sleep(0.5)

    def log(self) -> str:
        """The serial console so far."""
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def ssh(
        self, script: str, *, user: str = "root", at: str = "10.0.2.15", limit_s: float = 180
    ) -> subprocess.CompletedProcess[str]:
        """Runs a script, given on standard input, in a POSIX shell of the machine."""
        words = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
        options = [
            part
            for word in (*words, "LogLevel=ERROR", "ConnectTimeout=30")
            for part in ("-o", word)
        ]
        where = ("-i", str(self.key), "-p", str(self.ports[at]), f"{user}@127.0.0.1")
        return subprocess.run(
            ["ssh", "-F", "none", *options, *where, "sh"],
            input=script, capture_output=True, text=True, timeout=limit_s, check=False,
        )  # fmt: skip

    def ok(self, script: str, *, user: str = "root", at: str = "10.0.2.15") -> str:
        """Runs a script that must succeed; what it printed."""
        done = self.ssh(script, user=user, at=at)
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def ask_agent(self, command: str) -> object:
        """One question to the guest agent. Source: the QEMU Guest Agent Protocol Reference."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(30)
            line.connect(str(self.agent))
            line.sendall(json.dumps({"execute": command}).encode() + b"\n")
            return json.loads(line.makefile().readline())["return"]


@contextmanager
def boot(
    made: CloudImage, drive: Path, key: Path, nfs_port: int, addresses: tuple[str, ...]
) -> Iterator[Booted]:
    """Starts the image with its disks as PVE has them; what it writes is gone with it."""
    ports = {address: free_port() for address in addresses}
    forwards = [f"hostfwd=tcp:127.0.0.1:{port}-{at}:22" for at, port in ports.items()]
    pipe = drive.with_name("pipe.py")
    pipe.write_text(_PIPE)
    # A program for each connection: QEMU's own way there has one for all.
    forwards.append(f"guestfwd=tcp:{NFS}:2049-cmd:{sys.executable} {pipe} {nfs_port}")
    console, agent = drive.with_name("console.log"), drive.with_name("agent")
    argv = [
        "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max",
        "-smp", "2", "-m", "1024", "-display", "none", "-monitor", "none",
        "-serial", f"file:{console}",
        "-kernel", str(made.folder / "vmlinuz"), "-initrd", str(made.folder / "initrd.img"),
        "-append", "root=/dev/sda rw console=ttyS0 mitigations=off",
        "-device", "virtio-scsi-pci,id=scsi",
        "-drive", f"if=none,id=root,file={made.disk},format=raw,snapshot=on,cache=unsafe",
        "-device", "scsi-hd,bus=scsi.0,drive=root",
        "-drive", f"if=none,id=seed,file={drive},format=raw,media=cdrom,readonly=on",
        "-device", "scsi-cd,bus=scsi.0,drive=seed",
        "-netdev", ",".join(["user,id=net", *forwards]),
        "-device", f"virtio-net-pci,netdev=net,mac={MAC}",
        "-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
        "-chardev", f"socket,path={agent},server=on,wait=off,id=agent",
        "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
    ]  # fmt: skip
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    try:
        yield Booted(process, console, agent, key, ports)
    finally:
        process.kill()
        process.wait()
