"""The most memory that ZFS's cache (ARC) may take: now, and from the next start on.

Now: /sys/module/zfs/parameters/zfs_arc_max. From the next start on: modprobe.d(5), and the initial
RAM disk where the root file system is on ZFS (the module is loaded from there).
"""

from phoenix_hypervisor.host import _zfs
from phoenix_hypervisor.host.part import Choice, Decided, Seen, Task, Wanted, differences
from phoenix_hypervisor.model.desired import Desired, Json
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.host.storage import ARC
from phoenix_hypervisor.model.host.zfs_values import human
from phoenix_hypervisor.model.node import Node

FILE = "/etc/modprobe.d/zfs.conf"
_NOW = "/sys/module/zfs/parameters/zfs_arc_max"
_LOOK = f"""
cat {_NOW} 2>/dev/null | sed 's/^/now /'
for file in /etc/modprobe.d/*.conf /run/modprobe.d/*.conf /lib/modprobe.d/*.conf; do
    [ -f "$file" ] || continue
    grep -hE '^[[:space:]]*options[[:space:]]+zfs[[:space:]]' "$file" | tr ' \\t' '\\n\\n' |
        sed -n 's/^zfs_arc_max=//p' | while read -r value; do echo "boot $value $file"; done
done
awk '$1 == "MemTotal:" {{ print "memory", $2 }}' /proc/meminfo
if [ "$(findmnt -no FSTYPE /)" = zfs ]; then
    image=/boot/initrd.img-$(uname -r)
    if [ ! -e {FILE} ] || [ "$image" -nt {FILE} ]; then echo image new; else echo image old; fi
fi
"""
_WRITE = f"""
set -e
line='zfs_arc_max=@value'
mkdir -p /etc/modprobe.d
touch {FILE}
cp -p {FILE} {FILE}.phoenix
if grep -qE '^[[:space:]]*options[[:space:]]+zfs[[:space:]].*zfs_arc_max=' {FILE}; then
    sed -E "/^[[:space:]]*options[[:space:]]+zfs[[:space:]]/s/zfs_arc_max=[^[:space:]]*/$line/g" \\
        {FILE} >{FILE}.phoenix
else
    [ -z "$(tail -c 1 {FILE})" ] || echo >>{FILE}.phoenix
    echo "options zfs $line" >>{FILE}.phoenix
fi
mv {FILE}.phoenix {FILE}
if [ "$(findmnt -no FSTYPE /)" = zfs ]; then update-initramfs -u -k all >&2; fi
if [ -e {_NOW} ]; then echo @value >{_NOW}; fi
"""


class _Arc:
    name = "zfs_arc"
    turn = 12

    async def look(self, node: Node, desired: Desired) -> Seen:
        """What holds now, and what will after the next start."""
        if desired.host.setup.storage.arc_max_bytes is None:
            return Seen()
        said = await node.run(_LOOK, "looks at ZFS's cache", timeout_s=_zfs.LOOK_S)
        fields, facts = dict[str, Json](), dict[str, str]()
        for line in said.out.splitlines():
            key, _, value = line.partition(" ")
            if key == "boot":
                bytes_, _, file = value.partition(" ")
                if file == FILE:
                    fields["at boot"] = _shown(bytes_)
                else:
                    facts["elsewhere"] = f"{file} says {_shown(bytes_)}"
            elif key == "image":
                fields["initramfs"] = "current" if value == "new" else "made before"
            elif key == "now":
                fields["now"] = "ZFS's own choice" if value == "0" else _shown(value)
            elif key == "memory":
                facts["memory"] = value
        return Seen({ARC: fields} if fields else {}, facts=facts)

    def decide(self, desired: Desired, seen: Seen, choice: Choice) -> Decided:
        """Where either differs, both are set."""
        goal = desired.host.setup.storage.arc_max_bytes
        if goal is None:
            return Decided()
        memory = int(seen.facts.get("memory") or 0) * 1024
        if memory and goal >= memory:
            why = f"{human(goal)} for ZFS's cache are not less than the host's {human(memory)}"
            return Decided(refusals=(f"{ARC}: {why}, and ZFS would ignore them",))
        there = seen.things.get(ARC, {})
        wanted: dict[str, Json] = {"at boot": human(goal)}
        if "now" in there:
            wanted["now"] = human(goal)
        if "initramfs" in there:
            wanted["initramfs"] = "current"
        notes = list[str]()
        if "now" not in there:
            notes.append(f"{ARC}: ZFS's kernel module is not loaded: it holds from its start on")
        if "elsewhere" in seen.facts:
            notes.append(f"{ARC}: also {seen.facts['elsewhere']}, which may win at the next start")
        things = [Wanted(ARC, wanted)]
        return Decided(tuple(differences(things, seen, reason="nothing is set")), (), tuple(notes))

    async def make(self, node: Node, task: Task, desired: Desired, tell: Tell) -> None:
        """First the file, then the initial RAM disk, at last the running module."""
        goal = desired.host.setup.storage.arc_max_bytes
        tell(f"zfs_arc_max={goal}")
        script = _WRITE.replace("@value", str(goal))
        said = await node.run(script, "sets ZFS's cache", timeout_s=_zfs.LONG_S)
        _zfs.done(said, "ZFS's cache could not be set")


def _shown(value: str) -> str:
    """As people read it; what is no number, as it stands there."""
    try:
        return human(int(value, 0))
    except ValueError:
        return value or "nothing"


PART = _Arc()
