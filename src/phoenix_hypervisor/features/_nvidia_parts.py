"""What NVIDIA's user space in a container is made of, as text: versions, scripts, settings. Pure.

Sources: `nvidia-installer --advanced-options`, the proc(5) file that the kernel module writes,
apt-cache(8), and NVIDIA's Container Toolkit (Installation Guide; `nvidia-ctk config --help`).
"""

import re
import shlex
from collections.abc import Sequence

EXPECTED = "/etc/phoenix/nvidia-cards"
CARDS = "/usr/local/lib/phoenix/nvidia_cards.sh"
RUNTIME = "/etc/nvidia-container-runtime/config.toml"
DAEMON = "/etc/docker/daemon.json"
SHARED = ("/dev/nvidiactl", "/dev/nvidia-uvm")
"""Devices that every container with a card needs beside the card's own."""

_IN_URL = re.compile(r"([0-9]+(?:\.[0-9]+)+)\.run$")

CARDS_SCRIPT = f"""\
# Made by Phoenix: tells whether nvidia-smi names the cards that the files give to this guest.
there=$(nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader 2>&1) || {{
    echo "nvidia-smi: $(echo "$there" | head -n 1)" >&2
    exit 1
}}
wanted=$(wc -l < {EXPECTED})
found=$(echo "$there" | grep -c .)
if [ "$found" -ne "$wanted" ]; then
    echo "nvidia-smi names $found cards, not $wanted: $(echo "$there" | tr '\\n' ';')" >&2
    exit 1
fi
while read -r name; do
    [ "$name" = any ] || echo "$there" | grep -qiF -- "$name" || {{
        echo "nvidia-smi names no $name: $(echo "$there" | tr '\\n' ';')" >&2
        exit 1
    }}
done < {EXPECTED}
echo "$there"
"""


def version_in_url(url: str) -> str | None:
    """The version that an installer's address tells; None for one that tells none."""
    found = _IN_URL.search(url.partition("?")[0])
    return found[1] if found else None


def expected_text(names: Sequence[str]) -> str:
    """The file with the names of the cards that the guest is to have; `any` for one without."""
    return "".join(f"{name or 'any'}\n" for name in names)


def runfile_script(runfile: str) -> str:
    """Shell words that install everything of an installer but its kernel module.

    The flag for that was renamed (R560 has `--no-kernel-modules`), so the installer is asked.
    """
    parts = f"{runfile}.d"
    return f"""set -e
sh {runfile} --check
rm -rf {parts}
sh {runfile} --extract-only --target {parts}
cd {parts}
flag=--no-kernel-module
if ./nvidia-installer --advanced-options | grep -q -e --no-kernel-modules; then
    flag=--no-kernel-modules
fi
./nvidia-installer --silent $flag --no-backup --no-check-for-alternate-installs \\
    --no-distro-scripts --no-nouveau-check --no-nvidia-modprobe --no-x-check \\
    --log-file-name=/var/log/nvidia-installer.log || {{
    tail -n 25 /var/log/nvidia-installer.log >&2
    exit 1
}}
ldconfig
cd /
rm -rf {parts} {runfile}
"""


def usual_packages(distribution: str, version: str) -> tuple[str, ...]:
    """The distribution's packages with the user space that CUDA needs, and `nvidia-smi`.

    Debian's names are also those of NVIDIA's own repository for it.
    """
    if distribution == "ubuntu":
        branch = version.partition(".")[0]
        return (f"libnvidia-compute-{branch}", f"nvidia-utils-{branch}")
    return ("libcuda1", "libnvidia-ml1", "libnvidia-ptxjitcompiler1", "nvidia-smi")


def fitting(madison: str, package: str, version: str) -> str | None:
    """The package's version that is of exactly this driver, of what `apt-cache madison` says."""
    for line in madison.splitlines():
        name, _, rest = line.partition("|")
        found = rest.partition("|")[0].strip()
        upstream = found.rpartition(":")[2].partition("-")[0]
        if name.strip() == package and upstream == version:
            return found
    return None


def packages_script(pinned: Sequence[str]) -> str:
    """Shell words that install exactly these `name=version`, and keep upgrades away from them."""
    names = " ".join(shlex.quote(each.partition("=")[0]) for each in pinned)
    return f"""set -e
export DEBIAN_FRONTEND=noninteractive
apt-mark unhold {names} >/dev/null 2>&1 || true
apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends --allow-downgrades \\
    {" ".join(map(shlex.quote, pinned))}
apt-mark hold {names}
"""


def source_script(name: str, key_url: str, line: str) -> str:
    """Shell words that add a package source with its key; `{key}` in its line is the key's file."""
    key = f"/usr/share/keyrings/{name}.{'gpg' if key_url.endswith('.gpg') else 'asc'}"
    fetch = (
        "import sys, urllib.request as r; sys.stdout.buffer.write(r.urlopen(sys.argv[1]).read())"
    )
    return f"""set -e
mkdir -p /usr/share/keyrings
python3 -c {shlex.quote(fetch)} {shlex.quote(key_url)} > {key}.new
mv {key}.new {key}
echo {shlex.quote(line.format(key=key))} > /etc/apt/sources.list.d/{name}.list
apt-get -o Acquire::Retries=3 update
"""


TOOLKIT_SCRIPT = f"""set -e
nvidia-ctk config --in-place --set nvidia-container-cli.no-cgroups=true
grep -Eq '^ *no-cgroups *= *true' {RUNTIME}
"""
"""Shell words that let the toolkit leave control groups alone: LXC has given the devices already,
and an unprivileged container may not."""

DOCKER_SCRIPT = """set -e
nvidia-ctk runtime configure --runtime=docker
systemctl try-restart docker.service
"""
"""Shell words that tell Docker of NVIDIA's runtime."""
