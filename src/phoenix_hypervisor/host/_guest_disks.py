"""Disks that are given to guests as they are: a blank one is no empty one, since it is theirs.

Read are the guests' own files on a node of Proxmox VE (every path below /dev in them, also of
snapshots), and the devices that Incus gives to its instances, running or not.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from phoenix_hypervisor.host._zfs import LOOK_S
from phoenix_hypervisor.model.node import Node

_LOOK = """
for file in /etc/pve/qemu-server/*.conf /etc/pve/lxc/*.conf; do
    [ -f "$file" ] || continue
    kind=${file%/*}; id=${file##*/}
    case $kind in */lxc) kind=lxc ;; *) kind=vm ;; esac
    name=$(sed -nE '/^\\[/q; s/^(name|hostname): *//p' "$file" | head -n 1)
    sed /^#/d "$file" | grep -oE "(^|[ ,=:'\\"])/dev/[^ ,'\\"]+" | sed 's/^[^/]*//' | sort -u |
    while read -r path; do
        printf '@pve %s/%s\\t%s\\t%s\\n' $kind "${id%.conf}" "$name" "$path"
    done
done
[ ! -d /etc/pve/qemu-server ] || echo @files
if command -v incus >/dev/null && [ -S /var/lib/incus/unix.socket ]; then
    said=$(timeout 60 incus query '/1.0/instances?recursion=1&all-projects=true') || echo @silent
    printf '@incus %s\\n' "$(printf %s "$said" | tr -d '\\n')"
fi
"""


@dataclass(frozen=True, slots=True)
class GuestDisks:
    """Pairs of a guest, in words, and a path below /dev. `unknown`: why there may be more."""

    given: tuple[tuple[str, str], ...] = ()
    unknown: str = ""


async def look(node: Node) -> GuestDisks:
    """What the guests of this node are given."""
    said = await node.run(_LOOK, "looks at disks of guests", timeout_s=LOOK_S)
    lines = said.out.splitlines()
    if node.is_pve and "@files" not in lines:
        return GuestDisks(
            unknown="/etc/pve/qemu-server, where the guests are written down, is not there:"
            " `systemctl status pve-cluster` says why"
        )
    if "@silent" in lines:
        return GuestDisks(unknown=f"Incus does not answer: {' '.join(said.err.split())}")
    found = list[tuple[str, str]]()
    for line in lines:
        mark, _, rest = line.partition(" ")
        if mark == "@pve":
            guest, name, path = rest.split("\t")
            found.append((f"{guest} ({name})" if name else guest, path))
        elif mark == "@incus":
            found += _of_incus(rest)
    return GuestDisks(tuple(found))


def _of_incus(text: str) -> Iterable[tuple[str, str]]:
    for one in json.loads(text or "[]"):
        guest = f"the instance {one['name']} of Incus's project {one['project']}"
        for device in one["expanded_devices"].values():
            path = device.get("source") or device.get("path", "")
            if device["type"] in {"disk", "unix-block"} and path.startswith("/dev/"):
                yield guest, path
