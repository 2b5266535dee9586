"""A container that plays a Proxmox VE node: a real sshd, real LXC containers with guests' ids.

It has no API. What Proxmox VE would do there on a request (make, clone, start a container) is
asked of `Node` by whoever plays the API; `pvesh` on it hands its requests to an API elsewhere.
"""

import json
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests.support import lab, node_image

_INNER = "uvwxyz"
"""Letters of the subnets behind a corner's nodes."""


@dataclass
class Node:
    """One node of a corner; `number` tells several apart. `folder` gets its keys.

    `bridge` and `guests`, the first three bytes of its guests' /24, are for a test that needs
    certain ones. Then there is no way from here to the guests, since this machine may have the
    same network: see `from_there`.
    """

    folder: Path
    name: str = "pve1"
    number: int = 0
    guests: str = ""
    bridge: str = "vmbr0"
    corner: lab.Lab = field(default_factory=lambda: lab.Lab("p"))

    @property
    def address(self) -> str:
        """Its own address, at which its sshd answers."""
        return f"{self.corner.subnet()}.{11 + self.number}"

    @property
    def gateway(self) -> str:
        """The test machine's address in the node's network."""
        return f"{self.corner.subnet()}.1"

    @property
    def subnet(self) -> str:
        """The first three bytes of the guests' /24; `.1` is the node's."""
        return self.guests or lab.Lab(_INNER[self.number]).subnet()

    @property
    def key(self) -> Path:
        """The private key that opens it, for root and the users `ops` (sudo) and `plain`."""
        return self.folder / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """Holds its host key."""
        return self.folder / "known_hosts"

    def make(self) -> None:
        """Makes the corner where it is missing, and starts the node."""
        self._make_corner()
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.key.exists():
            _here("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key))
        image = node_image.ensure(self.corner, self.address)
        node_image.launch(self.corner, image, self.name, self.address)
        public = self.key.with_suffix(".pub").read_text().strip()
        self.sh(
            "for _ in $(seq 100); do systemctl is-system-running -q && break; sleep .1; done; "
            f"phx-begin {self.name} {self.subnet}.1/24 {shlex.quote(public)} {self.bridge}"
        )
        if not self.guests:
            via = ("via", self.address, "dev", self.corner.name)
            _here("ip", "route", "replace", f"{self.subnet}.0/24", *via)
        self.trust()

    def trust(self) -> None:
        """Writes its host key as it is now to `known_hosts`."""
        host_key = self.sh("cat /etc/ssh/ssh_host_ed25519_key.pub").split()[:2]
        entry = " ".join([self.address, *host_key]) + "\n"
        others = self.known_hosts.read_text() if self.known_hosts.exists() else ""
        kept = [line for line in others.splitlines(keepends=True) if self.address not in line]
        self.known_hosts.write_text("".join([*kept, entry]))

    def clear(self) -> None:
        """Removes the corner with all its nodes."""
        lab.clear(self.corner.name)

    def sh(self, script: str) -> str:
        """What a bash script on the node prints, without ssh; it must succeed."""
        return node_image.inside(self.corner, self.name, script)

    def use_api(self, url: str, user: str, password: str) -> None:
        """Lets `pvesh` on the node speak to an API that listens here, on 127.0.0.1."""
        port = urlsplit(url).port
        where = f"tcp:127.0.0.1:{port}"
        device = ("config", "device")
        project = f"--project={self.corner.name}"
        lab.incus(*device, "remove", project, self.name, "api", check=False)
        lab.incus(
            *device, "add", project, self.name, "api", "proxy",
            "bind=container", f"listen={where}", f"connect={where}",
        )  # fmt: skip
        api = {"url": f"https://127.0.0.1:{port}", "user": user, "password": password}
        node_image.push(self.corner, self.name, "/etc/phx-api", json.dumps(api), "0600")

    def use_files(self, folder: str) -> None:
        """Makes a folder of this machine the node's `/etc/pve`, with its containers' files."""
        self.sh("rm -rf /etc/pve")
        lab.incus(
            "config", "device", "add", f"--project={self.corner.name}", self.name, "files", "disk",
            f"source={folder}", "path=/etc/pve",
        )  # fmt: skip
        self.sh(f"ln -sfn nodes/{self.name}/lxc /etc/pve/lxc")

    def from_there(self) -> tuple[str, ...]:
        """What makes a command of this machine run in the node's network, among its guests."""
        state = lab.query(f"/1.0/instances/{self.name}/state?project={self.corner.name}")
        return ("nsenter", f"--net=/proc/{state['pid']}/ns/net", "--")

    # Guests: real LXC containers.

    def ip(self, vmid: int) -> str:
        """The address that a guest gets where none is said."""
        return f"{self.subnet}.{vmid % 200 + 20}"

    def create(self, vmid: int, *, ip: str = "", name: str = "", conf: str = "") -> str:
        """Makes a stopped guest; `conf` is the text of its file in /etc/pve. Gives its address."""
        if conf:
            node_image.push(self.corner, self.name, f"/etc/pve/lxc/{vmid}.conf", conf, "0640")
        ip = ip or self.ip(vmid)
        self.sh(f"phx-guest make {vmid} {self._place(vmid, ip, name)}")
        return ip

    def clone(
        self, source: int, vmid: int, *, snapshot: str = "", ip: str = "", name: str = ""
    ) -> str:
        """Makes a stopped guest of another's root file system or snapshot. Gives its address."""
        origin = f"{source}@{snapshot}" if snapshot else str(source)
        ip = ip or self.ip(vmid)
        self.sh(f"phx-guest clone {origin} {vmid} {self._place(vmid, ip, name)}")
        return ip

    def place(self, vmid: int, *, ip: str, name: str) -> None:
        """Gives a stopped guest its address and name, as Proxmox VE does before it starts one."""
        self.sh(f"phx-guest place {vmid} {self._place(vmid, ip, name)}")

    def plug(self, vmid: int, source: str, target: str) -> None:
        """Mounts a folder of the node in a running guest."""
        self.sh(f"phx-guest plug {vmid} {shlex.quote(source)} {shlex.quote(target)}")

    def snapshot(self, vmid: int, name: str) -> None:
        """Keeps the root file system as it is now."""
        self.sh(f"phx-guest snapshot {vmid} {name}")

    def forget(self, vmid: int, name: str) -> None:
        """Removes a snapshot."""
        self.sh(f"phx-guest forget {vmid} {name}")

    def rollback(self, vmid: int, name: str) -> None:
        """Puts a stopped guest's root file system back."""
        self.sh(f"phx-guest rollback {vmid} {name}")

    def start(self, vmid: int, *, wait: bool = True) -> None:
        """Starts a guest; with `wait` until its init system is up."""
        self.sh(f"phx-guest start {vmid}" + (f" && phx-guest ready {vmid}" if wait else ""))

    def stop(self, vmid: int) -> None:
        """Shuts a guest down."""
        self.sh(f"phx-guest stop {vmid}")

    def kill(self, vmid: int) -> None:
        """Ends a guest hard."""
        self.sh(f"phx-guest kill {vmid}")

    def destroy(self, vmid: int) -> None:
        """Removes a guest with its snapshots."""
        self.sh(f"phx-guest destroy {vmid}")

    def state(self, vmid: int) -> str:
        """`running`, `stopped` or `absent`."""
        return self.sh(f"phx-guest state {vmid}").strip()

    def _place(self, vmid: int, ip: str, name: str) -> str:
        return f"{ip}/24 {self.subnet}.1 {name or f'guest{vmid}'} {self.bridge}"

    def _make_corner(self) -> None:
        name = self.corner.name
        if name in {project["name"] for project in lab.query("/1.0/projects?recursion=1")}:
            return
        lab.incus(
            "project", "create", name, "-c", "features.images=false",
            "-c", "features.networks=false", "-c", "features.profiles=false",
        )  # fmt: skip
        lab.incus("storage", "create", name, "btrfs", "size=20GiB")
        lab.incus(
            "network", "create", name, f"ipv4.address={self.corner.subnet()}.1/24",
            "ipv4.nat=true", "ipv6.address=none", "dns.mode=none",
        )  # fmt: skip


def _here(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise AssertionError(f"{shlex.join(argv)}: {done.stderr}")
