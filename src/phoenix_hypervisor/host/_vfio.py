"""What keeps a card for virtual machines, as text: module options, the kernel's command line. Pure.

Sources: PVE's administration guide ("PCI(e) Passthrough", "Editing the Kernel Commandline"),
modprobe.d(5), modules-load.d(5), and the kernel's documentation of `intel_iommu`.
"""

from collections.abc import Sequence

OPTIONS = "/etc/modprobe.d/phoenix-vfio.conf"
MODULES = "/etc/modules-load.d/phoenix-vfio.conf"
GRUB = "/etc/default/grub.d/phoenix-iommu.cfg"
CMDLINE = "/etc/kernel/cmdline"
PARAMETER = "intel_iommu=on"
MODULES_TEXT = "# Made by Phoenix.\nvfio\nvfio_iommu_type1\nvfio_pci\n"
GRUB_TEXT = (
    f'# Made by Phoenix.\nGRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT {PARAMETER}"\n'
)
_HOSTS = ("nvidia", "nouveau", "amdgpu", "radeon", "i915", "xe", "snd_hda_intel")
"""Drivers of graphics cards and of their sound, which must come after vfio-pci."""

LOOK = f"""\
echo "vendor $(sed -n 's/^vendor_id[[:space:]]*: //p' /proc/cpuinfo | head -n 1)"
echo "running $(cat /proc/cmdline)"
echo "groups $(ls /sys/kernel/iommu_groups 2>/dev/null | wc -l)"
echo "options $(sha256sum < {OPTIONS} 2>/dev/null | cut -c-64)"
echo "modules $(sha256sum < {MODULES} 2>/dev/null | cut -c-64)"
echo "ids $(sed -n 's/^options vfio-pci ids=\\([^ ]*\\).*/\\1/p' {OPTIONS} 2>/dev/null)"
grep -qs {PARAMETER} {GRUB} {CMDLINE} && echo "parameter set" || echo "parameter missing"
grep -ls '^options vfio-pci.*ids=' /etc/modprobe.d/*.conf 2>/dev/null | grep -v {OPTIONS} |
    sed 's/^/foreign /'
true
"""
"""Prints facts, a word and its value a line."""

_REFRESH = """\
if [ -e /etc/kernel/proxmox-boot-uuids ]; then
    proxmox-boot-tool refresh
elif command -v update-grub > /dev/null; then
    update-grub
fi
"""


def options_text(ids: Sequence[str]) -> str:
    """The module's options. `ids` are vendor and device; none: cards are taken at their start."""
    lines = ["# Made by Phoenix."]
    if ids:
        lines.append(f"options vfio-pci ids={','.join(ids)} disable_vga=1")
        lines += [f"softdep {driver} pre: vfio-pci" for driver in _HOSTS]
    return "\n".join([*lines, ""])


def take_script(ids: Sequence[str], *, parameter: bool) -> str:
    """Writes all files; they hold from the next boot on. `parameter`: also the command line."""
    written = {OPTIONS: options_text(ids), MODULES: MODULES_TEXT}
    lines = [
        "set -e",
        "mkdir -p /etc/modprobe.d /etc/modules-load.d",
        *(_write(path, text) for path, text in written.items()),
    ]
    if parameter:
        lines += [
            "if command -v update-grub > /dev/null; then",
            "mkdir -p /etc/default/grub.d",
            _write(GRUB, GRUB_TEXT),
            "fi",
            # One line, for systemd-boot; PVE says so, where it is used.
            f"if [ -e {CMDLINE} ] && ! grep -q {PARAMETER} {CMDLINE}; then",
            f"    sed '1s/[[:space:]]*$/ {PARAMETER}/' {CMDLINE} > {CMDLINE}.new",
            f"    mv {CMDLINE}.new {CMDLINE}",
            "fi",
            f"grep -qs {PARAMETER} {GRUB} {CMDLINE} || {{",
            "    echo 'neither GRUB nor systemd-boot was found to tell the kernel' >&2; exit 5",
            "}",
        ]
    lines += ["update-initramfs -u -k all", *([_REFRESH] if parameter else ())]
    return "\n".join([*lines, ""])


GIVE_BACK = f"set -e\nrm -f {OPTIONS} {MODULES}\nupdate-initramfs -u -k all\n"
"""Lets the host have the cards again, from its next boot on."""


def _write(path: str, text: str) -> str:
    return f"cat > {path}.new <<'PHOENIX'\n{text}PHOENIX\nmv {path}.new {path}"
