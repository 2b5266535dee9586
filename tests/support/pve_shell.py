"""Root shells on the nodes of the tests' double of Proxmox VE, which has no machines behind it.

A shell is one of this machine, in a mount namespace of its own, where /etc/pve holds the double's
files (`started(..., files=True)`), `pvesh` asks the double as root@pam, and `pct unlock` takes a
lock away in it. So what the product does through a root shell happens to the double's containers,
and the machine's own /etc, /run and /var/lib are never seen or touched. Only insides are missing:
`lxc-attach` gives a plain shell of this machine.
"""

import json
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.support.pve import PASSWORD, Pve

_FILES = Path(__file__).with_name("shell_files")
_PVESH = Path(__file__).with_name("node_files") / "pvesh.py"
_FROM_HERE = ("passwd", "group", "nsswitch.conf", "ld.so.cache")


def command(double: Pve, folder: Path, nodes: Iterable[str]) -> str:
    """The value of `PHOENIX_NODE_SHELL`. `folder` must be empty; it keeps what nodes keep."""
    _programs(folder)
    for node in nodes:
        _node(double, folder / node, node)
    return f"{shlex.quote(str(_FILES / 'enter.sh'))} {shlex.quote(str(folder))} {{node}}"


def _programs(folder: Path) -> None:
    for place, name, program in (
        ("bin", "pvesh", [sys.executable, str(_PVESH)]),
        ("bin", "pct", [sys.executable, str(_FILES / "pct.py")]),
        ("inside", "systemctl", [str(_FILES / "systemctl.sh")]),
    ):
        file = folder / place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'#!/bin/sh\nexec {shlex.join(program)} "$@"\n')
        file.chmod(0o755)
    shutil.copy(_FILES / "lxc-attach.sh", folder / "bin" / "lxc-attach")


def _node(double: Pve, place: Path, node: str) -> None:
    etc = place / "etc"
    for each in (etc / "pve", place / "run" / "lock", place / "var" / "lib"):
        each.mkdir(parents=True)
    for name in _FROM_HERE:
        if (Path("/etc") / name).is_file():
            shutil.copy(Path("/etc") / name, etc / name)
    for name in ("subuid", "subgid"):
        (etc / name).write_text("root:100000:65536\n")
    access = {"url": double.url, "user": "root@pam", "password": PASSWORD}
    (etc / "phx-api").write_text(json.dumps({**access, "control": double.control}))
    (etc / "pve" / "nodes").symlink_to(f"{double.files}/nodes")
    (etc / "pve" / "priv").symlink_to(f"{double.files}/priv")
    (etc / "pve" / "lxc").symlink_to(f"{double.files}/nodes/{node}/lxc")
