"""A node that is a folder: the parts' own scripts run in a real shell, with their paths below it.

Programs that need a kernel or cards are doubles in its `bin`. They keep state in `state`, take the
words of the real ones, and refuse what those refuse.
"""

import asyncio
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from phoenix_hypervisor.model.check import Said

_PLACES = re.compile(
    r"(?<![\w$}])(/etc/|/proc/|/sys/|/var/lib/phoenix|/var/log/|/lib/modules|/usr/lib/|/dev/nvidia)"
)
DOUBLES: dict[str, str] = {
    "modinfo": 'cat "$S/module" 2>/dev/null',
    "rmmod": """
[ ! -e "$S/busy" ] || { echo "rmmod: ERROR: Module $1 is in use" >&2; exit 1; }
sed -i "/^$1 /d" "$R/proc/modules"
[ "$1" != nvidia ] || rm -f "$R/proc/driver/nvidia/version"
""",
    "modprobe": """
[ -e "$S/module" ] || { echo "modprobe: FATAL: Module $1 not found" >&2; exit 1; }
grep -q "^$1 " "$R/proc/modules" && exit 0
echo "$1 1 0 - Live" >> "$R/proc/modules"
[ "$1" = nvidia ] || exit 0
mkdir -p "$R/proc/driver/nvidia"
echo "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  $(cat "$S/module")  Release" \\
    > "$R/proc/driver/nvidia/version"
""",
    "nvidia-smi": """
[ "$*" = "--query-gpu=name,driver_version --format=csv,noheader" ] || exit 9
[ -e "$R/proc/driver/nvidia/version" ] || { echo "couldn't communicate with the driver"; exit 9; }
version=$(cat "$S/library")
grep -q "  $version  " "$R/proc/driver/nvidia/version" || {
    echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18; }
! grep -qsx "$version" "$S/blind" || { echo "No devices were found"; exit 6; }
sed "s/$/, $version/" "$S/cards"
""",
    "systemctl": """
echo "$*" >> "$S/systemctl"
case "$1" in
    enable) touch "$S/enabled" ;;
    is-enabled) [ -e "$S/enabled" ] && echo enabled ;;
    is-active) [ -e "$S/exchanging" ] ;;
    is-system-running) echo degraded; exit 1 ;;
esac
""",
    "systemd-run": """
[ ! -e "$S/exchanging" ] || { echo "Unit was already loaded" >&2; exit 1; }
while [ "${1#--}" != "$1" ]; do shift; done
touch "$S/exchanging"
{ "$@"; rm "$S/exchanging"; } < /dev/null > /dev/null 2>&1 &
""",
    "curl": """
for last; do :; done
while [ "$1" != --output ]; do shift; done
echo "$last" >> "$S/fetched"
cp "$S/web/${last##*/}" "$2" || { echo "curl: (22) error: 404" >&2; exit 22; }
""",
    "dpkg-query": "echo installed",
    "dpkg": """
[ "$1" != --print-architecture ] || echo amd64
[ "$1" != -S ] || cat "$S/packaged" 2>/dev/null
""",
    "setsid": "echo 'nothing restarts here' >&2; exit 1",
    "fuser": 'cat "$S/busy"',
    "ldconfig": ":",
    "update-initramfs": 'echo "initramfs $*" >> "$S/boot"',
    "update-grub": 'echo "grub" >> "$S/boot"',
    "proxmox-boot-tool": 'echo "proxmox-boot-tool $*" >> "$S/boot"',
    "apparmor_parser": """
echo "$*" >> "$S/parsed"
for last; do :; done
grep -q "^profile .*{" "$last" && ! grep -q nonsense "$last" || {
    echo "AppArmor parser error in $last at line 2: syntax error" >&2; exit 1; }
case "$*" in *--skip-kernel-load*) exit 0 ;; esac
! grep -q "not for this kernel" "$last" || { echo "Unable to replace profile" >&2; exit 1; }
name=$(sed -n 's/^profile \\([^ ]*\\).*/\\1/p' "$last")
list="$R/sys/kernel/security/apparmor/profiles"
grep -qs "^$name " "$list" || echo "$name (enforce)" >> "$list"
""",
}
# As NVIDIA's: checks itself, unpacks an installer that tells its options and removes what was
# there before it installs, or fails half-way with its log.
INSTALLER = """#!/bin/sh
[ "$1" != --check ] || exit 0
[ "$1 $2" = "--extract-only --target" ] || exit 9
mkdir -p "$3"
cat > "$3/nvidia-installer" <<'END'
#!/bin/sh
[ "$1" != --advanced-options ] || {
    echo "  --skip-module-load"; echo "  --rebuild-initramfs"; exit 0; }
echo "VERSION $*" >> "$S/given"
for log; do :; done
log=${log#--log-file-name=}
while [ -e "$S/slow" ]; do sleep 0.05; done
lib="$R/usr/lib/x86_64-linux-gnu"
mkdir -p "$lib" "${log%/*}"
rm -f "$S/module" "$S/library" "$lib"/libcuda.so.*
if grep -qsx VERSION "$S/unbuildable"; then echo "ERROR: make failed" > "$log"; exit 1; fi
echo VERSION > "$S/module"
echo VERSION > "$S/library"
touch "$lib/libcuda.so.VERSION"
ln -sf libcuda.so.VERSION "$lib/libcuda.so.1"
END
chmod +x "$3/nvidia-installer"
"""


class RootedNode:
    """A node of Proxmox VE whose files lie below `root`."""

    name = "pve1"
    is_pve = True
    way_in: Sequence[str] = ("sh",)

    def __init__(self, root: Path, mappings: Sequence[Mapping[str, Any]] = ()) -> None:
        self.root = root
        self.mappings = mappings
        self.asked: list[str] = []
        for folder in ("bin", "state/web", "proc/driver", "etc/modprobe.d", "etc/modules-load.d"):
            (root / folder).mkdir(parents=True)
        for name, text in DOUBLES.items():
            self.program(name, text)
        self.put("proc/modules", "zfs 1 0 - Live\n")
        self.put("proc/cpuinfo", "processor\t: 0\nvendor_id\t: AuthenticAMD\n")
        self.put("proc/cmdline", "root=/dev/sda1 quiet\n")
        self.put("proc/sys/kernel/random/boot_id", "first\n")
        self.put("proc/1/stat", " ".join(["1"] * 30))
        for folder in ("etc/systemd/system", "etc/apparmor.d", "sys/kernel/iommu_groups"):
            (root / folder).mkdir(parents=True)
        uname = subprocess.run(["uname", "-r"], capture_output=True, text=True, check=True)
        (root / "lib/modules" / uname.stdout.strip() / "build").mkdir(parents=True)

    def program(self, name: str, text: str) -> None:
        """A double in the node's PATH."""
        path = self.root / "bin" / name
        path.write_text(f"#!/bin/sh\nR={self.root} S={self.root}/state\n{text}\n")
        path.chmod(0o755)

    def put(self, path: str, text: str) -> None:
        """Writes a file of the node."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def get_text(self, path: str) -> str:
        """A file of the node; empty where there is none."""
        found = self.root / path
        return found.read_text() if found.exists() else ""

    def card(self, address: str, ids: str, kind: str, driver: str = "", group: int = 0) -> None:
        """One function of a card, as sysfs shows it."""
        folder = self.root / "sys/bus/pci/devices" / address
        folder.mkdir(parents=True)
        vendor, device = ids.split(":")
        for name, value in (("vendor", vendor), ("device", device), ("class", kind)):
            (folder / name).write_text(f"0x{value}\n")
        if driver:
            (folder / "driver").symlink_to(f"../../../bus/pci/drivers/{driver}")
        if group:
            (self.root / f"sys/kernel/iommu_groups/{group}").mkdir(parents=True, exist_ok=True)
            (folder / "iommu_group").symlink_to(f"../../../kernel/iommu_groups/{group}")

    def offer(self, version: str) -> str:
        """Lets the web have an installer; returns its content."""
        text = INSTALLER.replace("VERSION", version)
        self.put(f"state/web/NVIDIA-Linux-x86_64-{version}.run", text)
        return text

    async def run(
        self, script: str, why: str, *, stdin: bytes = b"", timeout_s: float = 60.0
    ) -> Said:
        """Runs a script as the node would."""
        self.asked.append(why)
        return await asyncio.to_thread(self._run, script, stdin, timeout_s)

    def _run(self, script: str, stdin: bytes, timeout_s: float) -> Said:
        here = _PLACES.sub(lambda match: f"{self.root}{match[1]}", script)
        done = subprocess.run(
            ["sh", "-c", here],
            input=stdin,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            cwd=self.root,
            env={
                "PATH": f"{self.root}/bin:/usr/bin:/bin",
                "R": str(self.root),
                "S": f"{self.root}/state",
            },
        )
        out, err = (
            text.decode().replace(str(self.root), "") for text in (done.stdout, done.stderr)
        )
        return Said(done.returncode, out, err)

    async def get(self, path: str, /, **query: Any) -> Any:
        """Mappings of the cluster, and the version by which the API shows that it answers."""
        del query
        return {"/cluster/mapping/pci": list(self.mappings), "/version": {}}[path]

    async def send(self, method: str, path: str, /, **params: Any) -> Any:
        """Nothing here writes to the API."""
        raise AssertionError((method, path, params))
