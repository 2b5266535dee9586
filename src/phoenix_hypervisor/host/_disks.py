"""Disks: which one a name means, and whether it is empty. A disk that holds data is never written.

Empty is what has no signature that wipefs(8) knows, no partition, nobody who uses it, and only
zeros in its first 64 MiB, its last MiB and in samples between them.
"""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from phoenix_hypervisor.host import _zfs
from phoenix_hypervisor.model.host.zfs_values import human
from phoenix_hypervisor.model.node import Node

_PERL = r"""
use Fcntl; my $dev = shift; my $f;
if (sysopen($f, $dev, O_RDONLY|O_EXCL)) { close $f } else { print "\@busy $!\n" }
sysopen($f, $dev, O_RDONLY) or do { print "\@unread $!\n"; exit };
my $size = int sysseek($f, 0, 2); my $mib = 1 << 20; my %at = (0 => 64 * $mib);
$at{$size > $mib ? $size - $mib : 0} = $mib;
$at{4096 * int($size / 512 * $_ / 4096)} ||= 65536 for 1 .. 511;
my $data = -1; $| = 1; pipe(my $r, my $w); my $pid = fork;
if (!$pid) { close $w; open(STDIN, "<&", $r); print "\@print "; exec "sha256sum" }
close $r;
for my $at (sort { $a <=> $b } keys %at) {
    sysseek($f, $at, 0); my $left = $at{$at}; my $here = $at;
    while ($left > 0) {
        my $got = sysread($f, my $bytes, $left < $mib ? $left : $mib);
        defined $got or do { print STDERR "$!\n"; $data = $here if $data < 0; last };
        $got or last; syswrite($w, $bytes);
        $data = $here if $data < 0 && $bytes =~ /[^\0]/;
        $left -= $got; $here += $got;
    }
}
close $w; waitpid($pid, 0); print "\@data $data\n";
"""
_ZERO = r"""
use Fcntl; my $dev = shift; sysopen(my $f, $dev, O_RDWR|O_EXCL) or die "$!\n";
my $size = int sysseek($f, 0, 2); my $mib = 1 << 20;
sub zeros {
    my ($at, $left) = @_;
    $left = $size - $at if $left > $size - $at;
    sysseek($f, $at, 0);
    while ($left > 0) { $left -= syswrite($f, "\0" x $left) || die "$!\n" }
}
zeros(0, 64 * $mib); zeros($size > $mib ? $size - $mib : 0, $mib);
zeros(4096 * int($size / 512 * $_ / 4096), 65536) for 1 .. 511;
close $f or die "$!\n";
"""
_LOOK = """
phx_disk() {
    printf '@disk %s\\n' "$1"; shift
    for path; do [ -e "$path" ] && break; done
    [ -b "$path" ] || { [ ! -e "$path" ] || echo @other; return 0; }
    real=$(readlink -f -- "$path")
    printf '@path %s\\n@real %s\\n@tree ' "$path" "$real"
    lsblk -J -b -o PATH,TYPE,SIZE,RO,SERIAL,PTTYPE,MOUNTPOINT -- "$real" | tr -d '\\n'; echo
    for each in $(lsblk -nro PATH,TYPE -- "$real" | awk '$2 == "part" { print $1 }') "$real"; do
        printf '@signs %s ' "$each"; wipefs -n -J -- "$each" | tr -d '\\n'; echo
    done
    for each in /sys/class/block/"${real##*/}"/holders/*; do
        [ -e "$each" ] && printf '@holder %s\\n' "${each##*/}"
    done
    perl -e "$phx_perl" -- "$real"
}
phx_owned() {
    for path in "$2" "/dev/$2" "/dev/disk/by-id/$2"; do [ -b "$path" ] && break; done
    [ -b "$path" ] || return 0
    real=$(readlink -f -- "$path"); above=$(lsblk -dno PKNAME -- "$real" | head -n 1)
    printf '@%s %s\\t%s\\t%s\\n' "$1" "$3" "$real" "${above:+/dev/$above}"
}
"""
_WIPE = """
set -e
for each in $(lsblk -nro PATH,TYPE -- {disk} | awk '$2 == "part" {{ print $1 }}') {disk}; do
    wipefs -qa -- "$each"
done
@zeros
blockdev --rereadpt {disk} 2>/dev/null || true
udevadm settle 2>/dev/null || true
"""
_TYPES = frozenset({"disk", "loop", "mpath", "crypt"})
_SERIALS = "lsblk -J -b -d -o PATH,SERIAL,SIZE,TYPE"


@dataclass(frozen=True, slots=True)
class Disk:
    """One disk as it is. `path` is what the files call it, `real` the device that it leads to.

    `given` is the path by which it was found, `pool` the imported pool that it is in. `wrong`: why
    it can't be used whatever is wanted. `holds`: what is on it; empty: nothing is.
    """

    path: str
    real: str = ""
    given: str = ""
    serial: str = ""
    size: int = 0
    wrong: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    pool: str = ""
    digest: str = ""

    @property
    def content(self) -> str:
        """What is on it, in words that also tell whether it has changed; empty: nothing."""
        return f"{', '.join(self.holds)}; print {self.digest[:16]}" if self.holds else ""

    @property
    def label(self) -> str:
        """Which disk it is."""
        return f"{self.real}, {human(self.size)}, serial {self.serial or 'unknown'}"


async def look(
    node: Node,
    names: Iterable[str],
    pools: Mapping[str, _zfs.LivePool],
    given: Iterable[tuple[str, str]],
) -> Mapping[str, Disk]:
    """The disks of these names, and what is on each. Writes nothing.

    `given` are guests and paths of disks that they have as they are.
    """
    asked = list(dict.fromkeys(names))
    if not asked:
        return {}
    lines = [f"phx_perl={shlex.quote(_PERL)}", _LOOK]
    for pool in pools.values():
        lines += [shlex.join(["phx_owned", "member", one, pool.name]) for one in pool.disks]
    lines += [shlex.join(["phx_owned", "guest", path, guest]) for guest, path in given]
    for name in asked:
        places = [name] if name.startswith("/") else [f"/dev/disk/by-id/{name}", f"/dev/{name}"]
        lines.append(f"phx_disk {shlex.join([name, *places])}")
    said = await node.run("\n".join(lines), "looks at disks", timeout_s=_zfs.LOOK_S)
    _zfs.done(said, "looking at the disks failed")
    owned, *blocks = said.out.split("@disk ")
    pools_of, guests_of = _owners(owned, "@member"), _owners(owned, "@guest")
    found = dict[str, Disk]()
    for name, block in zip(asked, blocks, strict=True):
        disk = _read(name, block.partition("\n")[2], pools_of)
        if guest := guests_of.get(disk.real):
            why = f"it is given to {guest}, whatever is on it"
            disk = replace(disk, wrong=(why, *disk.wrong))
        found[name] = disk
    return found


async def serials(node: Node) -> Mapping[str, Sequence[str]]:
    """All serial numbers of the node's disks, each with the devices that tell it."""
    said = await node.run(_SERIALS, "looks at disks", timeout_s=_zfs.LOOK_S)
    _zfs.done(said, "lsblk failed")
    found: dict[str, list[str]] = {}
    for one in json.loads(said.out)["blockdevices"]:
        serial = str(one.get("serial") or "").strip()
        if serial:
            found.setdefault(serial, []).append(str(one["path"]))
    return found


async def wipe(node: Node, disk: Disk) -> None:
    """Destroys what is on a disk, as far as anything recognises a disk's content by it."""
    script = _WIPE.format(disk=shlex.quote(disk.real))
    zeros = f"perl -e {shlex.quote(_ZERO)} -- {shlex.quote(disk.real)}"
    script = script.replace("@zeros", zeros)
    said = await node.run(script, "empties a disk that was named", timeout_s=_zfs.LONG_S)
    _zfs.done(said, f"{disk.path} could not be emptied")


def _owners(text: str, of: str) -> dict[str, str]:
    """Devices that are in a pool or given to a guest, and the disks that those are on."""
    found = dict[str, str]()
    for line in text.splitlines():
        mark, _, rest = line.partition(" ")
        if mark == of:
            owner, real, above = rest.split("\t")
            found |= {device: owner for device in (real, above) if device}
    return found


def _read(name: str, block: str, owners: Mapping[str, str]) -> Disk:
    told: dict[str, list[str]] = {}
    for line in block.splitlines():
        if line.startswith("@"):
            mark, _, rest = line.partition(" ")
            told.setdefault(mark[1:], []).append(rest)
    if "real" not in told:
        why = "it is no block device" if "other" in told else "there is no such disk"
        return Disk(name, wrong=(why,))
    tree = json.loads(told["tree"][0])["blockdevices"][0]
    real, data = told["real"][0], int(told.get("data", ["0"])[0])
    wrong = list(_uses(tree))
    if tree["type"] not in _TYPES:
        wrong.append(f"it is no whole disk, but of the type {tree['type']}")
    if tree["ro"] in (True, 1, "1"):
        wrong.append("it is read-only")
    if real in owners:
        wrong.insert(0, f"it is in the imported pool {owners[real]}")
    wrong += [f"it is used by {one}" for one in told.get("holder", ())]
    if not wrong and "busy" in told:
        wrong.append(f"somebody uses it ({told['busy'][0]})")
    wrong += [f"it can't be read: {one}" for one in told.get("unread", ())]
    holds = list(_signs(real, told.get("signs", ())))
    if not holds:
        holds = [f"a partition, {one['path']}" for one in _parts(tree)]
    if not holds and data >= 0:
        holds = [f"data without a signature, at byte {data}"]
    return Disk(
        path=name,
        given=told["path"][0],
        real=real,
        serial=str(tree.get("serial") or "").strip(),
        size=int(tree["size"]),
        wrong=tuple(dict.fromkeys(wrong)),
        holds=tuple(holds),
        pool=owners.get(real, ""),
        digest=told.get("print", [""])[0].split(" ")[0],
    )


def _parts(tree: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in tree.get("children", ()) if one["type"] == "part"]


def _uses(tree: Mapping[str, Any]) -> Iterable[str]:
    """Who has the disk, or what is on it, open: mounts, swap, LVM, md, LUKS."""
    mounted = tree.get("mountpoint")
    if mounted:
        what = "swap that is on" if mounted == "[SWAP]" else f"mounted at {mounted}"
        yield f"{tree['path']} is {what}"
    for one in tree.get("children", ()):
        if one["type"] != "part":
            yield f"it is used by {one['path']} ({one['type']})"
        yield from _uses(one)


def _signs(real: str, lines: Iterable[str]) -> Iterable[str]:
    seen = set[str]()
    for line in lines:
        device, _, text = line.partition(" ")
        for one in json.loads(text)["signatures"] if text.strip() else ():
            kind, label = one["type"], one.get("label")
            what = "a partition table" if kind in {"dos", "gpt", "PMBR"} else str(kind)
            what += f" ({kind})" if what == "a partition table" else ""
            what += f" `{label}`" if label else ""
            what += f" on {device}" if device != real else ""
            if what not in seen:
                seen.add(what)
                yield what
