"""The command line on the tests' double of Proxmox VE."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import pve, pve_shell

PHOENIX = Path(sys.executable).with_name("phoenix")
ODD = {
    "hostname": "odd",
    "memory": 300,
    "swap": 64,
    "cores": 1,
    "rootfs": "tank:subvol-201-disk-0,size=2G",
    "unprivileged": 1,
    "features": "keyctl=1,nesting=1",
    "net0": "name=eth0,bridge=vmbr0,firewall=1,gw=10.88.0.1,hwaddr=BC:24:11:5F:76:5C,"
    "ip=10.88.0.21/24,ip6=fd00:9::20/64,type=veth",
    "net1": "name=eth1,bridge=vmbr0,hwaddr=BC:24:11:D8:1E:52,ip=10.88.0.31/24,type=veth",
    "mp0": "tank:subvol-201-disk-1,mp=/srv/data,backup=0,size=1G",
    "mp1": "/srv/shared,mp=/mnt/host,ro=1",
    "dev0": "/dev/dri/renderD128,gid=104",
    "startup": "order=5,up=7,down=9",
    "onboot": 1,
    "protection": 1,
    "cpulimit": "1.5",
    "nameserver": "10.88.0.1 9.9.9.9",
    "searchdomain": "example.com",
    "tags": "prod;web",
    "description": "my notes\n",
    "ostype": "debian",
    "arch": "amd64",
}


@dataclass(frozen=True)
class OnPve:
    """A double, a place for folders, and the environment of the commands."""

    double: pve.Pve
    place: Path
    environ: dict[str, str]

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Runs `phoenix` where there is no folder."""
        return subprocess.run(
            [str(PHOENIX), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.place,
            env=self.environ | environ,
            timeout=60,
            check=False,
        )

    def reach(self) -> tuple[str, ...]:
        """The options that lead there."""
        return ("--endpoint", self.double.url, "--token-id", pve.TOKEN,
                "--ca-file", self.double.ca_file)  # fmt: skip

    def json(self, *words: str) -> Any:
        """The document of a command."""
        return json.loads(self.run("--json", *words).stdout)

    def container(self, vmid: int, name: str, **options: Any) -> None:
        """Adds a running container of 1 GiB."""
        config = {
            "hostname": name,
            "memory": 256,
            "cores": 1,
            "rootfs": f"tank:subvol-{vmid}-disk-0,size=1G",
            "unprivileged": 1,
            "ostype": "debian",
            "net0": f"name=eth0,bridge=vmbr0,ip=10.88.0.{vmid % 200}/24,gw=10.88.0.1,type=veth",
        } | options.pop("config", {})
        given = {"status": "running", "config": config} | options
        asyncio.run(self.double.container(vmid, name, **given))

    def config(self, vmid: int) -> dict[str, Any]:
        """A guest's configuration inside the double."""
        guest = asyncio.run(self.double.guest(vmid))
        assert guest is not None
        return dict(guest["config"])


@contextmanager
def started(place: Path, *nodes: str) -> Iterator[OnPve]:
    """A double with a storage `tank`, a template, a token and a root shell."""
    shell, folders = place / "shell", place / "folders"
    shell.mkdir()
    folders.mkdir()
    with pve.started(*nodes, time_scale=0, files=True) as double:

        async def prepare() -> None:
            await double.storage("tank", "zfspool", "rootdir,images", shared=0)
            await double.template("debian-13-standard_13.1-2_amd64.tar.zst")
            await double.token()

        asyncio.run(prepare())
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PHOENIX_")}
        environ = clean | {
            "NO_COLOR": "1",
            "PHOENIX_PVE_TOKEN": pve.TOKEN_SECRET,
            "PHOENIX_NODE_SHELL": pve_shell.command(double, shell, nodes or ("pve1",)),
        }
        yield OnPve(double, folders, environ)
