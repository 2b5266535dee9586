"""NVIDIA's driver on a host, as text: what is asked, files, and the exchange with its way back.

Sources: `nvidia-installer --advanced-options`, NVIDIA's driver README ("Installing the NVIDIA
Driver", "nvidia-persistenced"), nvidia-modprobe(1), modprobe.d(5), modules-load.d(5), dkms(8).
"""

from collections.abc import Sequence

from phoenix_hypervisor.model.nvidia import ASK_LIBRARY, LIVE

KEEP = "/var/lib/phoenix/nvidia"
"""Where installers stay: the way back to the version before."""
BLACKLIST = "/etc/modprobe.d/phoenix-nvidia.conf"
MODULES = "/etc/modules-load.d/phoenix-nvidia.conf"
UNIT = "/etc/systemd/system/phoenix-nvidia.service"
BEFORE = f"{KEEP}/before"
"""The version that an exchange began with, as long as it has not ended well."""
_LOG = "/var/log/nvidia-installer.log"
_QUERY = "nvidia-smi --query-gpu=name,driver_version --format=csv,noheader"

LOOK = f"""\
echo "live $(head -n 1 {LIVE} 2>/dev/null)"
echo "nouveau $(grep -cs '^nouveau ' /proc/modules)"
echo "module $(modinfo -F version nvidia 2>/dev/null)"
echo "library $({ASK_LIBRARY})"
echo "packaged $(dpkg -S /usr/lib/*/libcuda.so.1 2>/dev/null | head -n 1 | cut -d: -f1)"
for path in {BLACKLIST} {MODULES} {UNIT}; do
    echo "file $path $(sha256sum < $path 2>/dev/null | cut -c-64)"
done
echo "unit $(systemctl is-enabled phoenix-nvidia.service 2>/dev/null)"
for path in {KEEP}/*.run; do
    [ ! -e "$path" ] || echo "kept ${{path##*/}}"
done
{_QUERY} 2>/dev/null | sed 's/^/card /'
true
"""
"""Prints facts, a word and its value a line."""


def files(indices: Sequence[int]) -> dict[str, str]:
    """Paths and texts: nouveau is kept away, and all devices are there before guests start.

    `indices` are those of the cards that the host's driver serves.
    """
    devices = " ".join(f"-c={index}" for index in indices or (0,))
    return {
        BLACKLIST: "# Made by Phoenix.\nblacklist nouveau\noptions nouveau modeset=0\n",
        MODULES: "# Made by Phoenix.\nnvidia\nnvidia_uvm\n",
        UNIT: f"""\
# Made by Phoenix.
[Unit]
Description=NVIDIA's devices, before guests that use them start
After=systemd-modules-load.service
Before=pve-guests.service lxc.service incus.service incus-startup.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/nvidia-modprobe -u {devices}

[Install]
WantedBy=multi-user.target
""",
    }


def prepare_script(indices: Sequence[int]) -> str:
    """Shell words that install what the kernel's module is built with, and write the files.

    The kernel's headers come as the package that follows the kernel's updates; those of the
    running kernel only where they aren't there yet.
    """
    written = "\n".join(
        f"cat > {path}.new <<'PHOENIX'\n{text}PHOENIX\nmv {path}.new {path}"
        for path, text in files(indices).items()
    )
    return f"""\
set -e
export DEBIAN_FRONTEND=noninteractive
if command -v pveversion > /dev/null; then
    headers="proxmox-default-headers" running="proxmox-headers-$(uname -r)"
else
    headers="linux-headers-$(dpkg --print-architecture)" running="linux-headers-$(uname -r)"
fi
[ -e "/lib/modules/$(uname -r)/build" ] && running=
missing=
for name in dkms curl ca-certificates kmod $headers $running; do
    [ "$(dpkg-query -W -f='${{db:Status-Status}}' "$name" 2>/dev/null)" = installed ] ||
        missing="$missing $name"
done
if [ -n "$missing" ]; then
    apt-get -o Acquire::Retries=3 update
    apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing
fi
mkdir -p /etc/modprobe.d /etc/modules-load.d
before=$(sha256sum < {BLACKLIST} 2>/dev/null) || true
{written}
if [ "$before" != "$(sha256sum < {BLACKLIST})" ]; then
    update-initramfs -u -k all
fi
systemctl daemon-reload
systemctl enable phoenix-nvidia.service
"""


FETCH = f"""\
set -e
url=$1 version=$2 sum=$3
path={KEEP}/$version.run
mkdir -p -m 700 {KEEP}
[ ! -e "$path" ] || [ -z "$sum" ] || echo "$sum  $path" | sha256sum --check --quiet || rm "$path"
[ ! -e "$path" ] || exit 0
curl --fail --location --silent --show-error --retry 3 --output "$path.part" "$url"
[ -z "$sum" ] || echo "$sum  $path.part" | sha256sum --check --quiet || {{
    echo "$url has not the SHA-256 that the files name; it was thrown away" >&2
    rm -f "$path.part"
    exit 3
}}
sh "$path.part" --check > /dev/null || {{
    echo "$url is no whole installer of NVIDIA's; it was thrown away" >&2
    rm -f "$path.part"
    exit 3
}}
mv "$path.part" "$path"
"""
"""Keeps an installer on the node: its address, version and SHA-256 (or nothing) as arguments."""

SERVES = f"""\
loaded() {{
    sed -n 's/.*Kernel Module\\( for [^ ]*\\)\\{{0,1\\}}  *\\([0-9][0-9.]*\\).*/\\2/p' {LIVE} |
        head -n 1
}}
serves() {{
    modprobe nvidia && modprobe nvidia_uvm || {{ echo "the module can't be loaded" >&2; return 1; }}
    systemctl restart phoenix-nvidia.service || return 1
    [ "$(loaded)" = "$1" ] || {{ echo "the kernel runs $(loaded), not $1" >&2; return 1; }}
    there=$({_QUERY} 2>&1) || {{ echo "nvidia-smi: $there" >&2; return 1; }}
    count=$(echo "$there" | grep -c .)
    wanted=$(echo "$cards" | grep -c .)
    [ "$wanted" -eq 0 ] || [ "$count" -eq "$wanted" ] || {{
        echo "nvidia-smi names $count cards, not $wanted: $there" >&2
        return 1
    }}
    echo "$there" | grep -v ", $1\\$" >&2 && {{ echo "the card above is not at $1" >&2; return 1; }}
    echo "$cards" | sort | uniq -c | while read -r number name; do
        [ -z "$name" ] || [ "$name" = any ] ||
        [ "$(echo "$there" | grep -ciF -- "$name")" -ge "$number" ] || {{
            echo "nvidia-smi names fewer than $number of $name: $there" >&2
            exit 1
        }}
    done || return 1
    echo "$there"
}}
"""
"""A shell function: loads the modules, and looks that each card of `$cards` is served by a version.
"""

EXCHANGE = f"""\
version=$1 old=$2 modules=$3 restart=$4 cards=$5
cd /
{SERVES}
unload() {{
    systemctl stop nvidia-persistenced.service 2>/dev/null
    for module in nvidia_uvm nvidia_drm nvidia_modeset nvidia_peermem nvidia; do
        ! grep -qs "^$module " /proc/modules || rmmod "$module" || return 1
    done
}}
install() {{
    run={KEEP}/$1.run parts={KEEP}/parts
    rm -rf $parts
    sh "$run" --extract-only --target $parts > /dev/null || return 1
    known=$(cd $parts && ./nvidia-installer --advanced-options)
    flags="--silent --dkms --no-x-check --no-nouveau-check --no-check-for-alternate-installs"
    for flag in --skip-module-load --no-rebuild-initramfs; do
        echo "$known" | grep -q -e "${{flag#--no-}}" && flags="$flags $flag"
    done
    [ -z "$modules" ] || flags="$flags --kernel-module-type=$modules"
    (cd $parts && ./nvidia-installer $flags --log-file-name={_LOG}) > /dev/null || {{
        tail -n 25 {_LOG} >&2
        return 1
    }}
    ldconfig
    rm -rf $parts
}}
noted=$(cat {BEFORE} 2>/dev/null)
if [ -n "$old" ]; then
    echo "$old" > {BEFORE}.new && mv {BEFORE}.new {BEFORE} || exit 6
fi
if [ "$restart" = no ]; then
    unload || {{
        modprobe nvidia
        modprobe nvidia_uvm
        systemctl start nvidia-persistenced.service 2>/dev/null
        echo "NVIDIA's module is in use, so nothing was changed; processes that use it:" >&2
        for pid in $(fuser /dev/nvidia* 2>/dev/null); do
            echo "$pid $(tr '\\0' ' ' < /proc/$pid/cmdline)" >&2
        done
        [ "$noted" = "$old" ] || rm -f {BEFORE}
        exit 6
    }}
fi
if install "$version" && {{ [ "$restart" = yes ] || serves "$version"; }}; then
    rm -f {BEFORE}
    exit 0
fi
echo "NVIDIA's driver $version does not serve." >&2
if [ -z "$old" ] || [ "$old" = "$version" ]; then exit 7; fi
echo "Going back to $old." >&2
if [ -e "{KEEP}/$old.run" ] && unload && install "$old" && serves "$old"; then
    rm -f {BEFORE}
    echo "The old driver $old is back and serves." >&2
    exit 8
fi
echo "The old driver $old did not come back: sh {KEEP}/$old.run by hand tells more." >&2
exit 9
"""
"""The whole exchange in one script, which `_nvidia_exchange` lets the node itself run.

Arguments: the version, that of before (or nothing), which modules (or nothing), whether the node
restarts first (`yes`: only installed), the cards' names, one a line. Exit status: 6 nothing was
changed, 7 there was no other version before, 8 the old one is back, 9 it is not.
"""

LOAD = f"""\
version=$1 cards=$2
{SERVES}
serves "$version"
"""
"""Loads an installed driver and looks at each card."""
