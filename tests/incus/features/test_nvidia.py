"""NVIDIA's user space in a real container, with a double of the installer: no card is here."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support import lab
from tests.support.featurebench import Bench

pytestmark = pytest.mark.incus

# It takes the words of a real one, and leaves what a real one leaves: a library and a program.
INSTALLER = r"""#!/bin/sh
[ "$1" = --check ] && exit 0
[ "$1 $2" = "--extract-only --target" ] || exit 9
mkdir "$3"
cat > "$3/nvidia-installer" <<'END'
#!/bin/sh
[ "$1" = --advanced-options ] && { echo "  --no-kernel-modules"; exit 0; }
echo "$@" > /root/given
lib=/usr/lib/x86_64-linux-gnu
touch $lib/libcuda.so.580.76.05
ln -sf libcuda.so.580.76.05 $lib/libcuda.so.1
printf '#!/bin/sh\necho "NVIDIA GeForce RTX 5060 Ti, 16311 MiB, 580.76.05"\n' > /usr/bin/nvidia-smi
chmod +x /usr/bin/nvidia-smi
END
chmod +x "$3/nvidia-installer"
"""
URL = "http://127.0.0.1:9000/NVIDIA-Linux-x86_64-{version}.run"
OPTIONS: dict[str, Any] = {
    "version": "580.76.05",
    "runfile_url": URL,
    "checksum": f"sha256:{hashlib.sha256(INSTALLER.encode()).hexdigest()}",
}


@pytest.fixture(scope="module")
def bench(incus_daemon: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    corner = lab.Lab("y")
    made = Bench.of(corner, tmp_path_factory.mktemp("folder"), "cuda")
    try:
        made.make()
        name = URL.rpartition("/")[2].replace("{version}", "580.76.05")
        made.sh("cuda", f"mkdir /srv/nv; cat > /srv/nv/{name}", stdin=INSTALLER)
        made.sh(
            "cuda",
            "command -v python3 >/dev/null || apt-get -qqy install python3 >/dev/null;"
            " systemd-run -q --unit=nv python3 -m http.server -d /srv/nv 9000",
        )
        yield made
    finally:
        lab.clear(corner.name)


def test_the_user_space_is_installed_once(bench: Bench) -> None:
    wrong = OPTIONS | {"checksum": f"sha256:{'0' * 64}"}
    assert "SHA-256" in bench.refused("cuda", "nvidia", wrong)
    bench.deploy("cuda", "nvidia", OPTIONS)
    assert bench.sh("cuda", "cat /root/given").split()[:2] == ["--silent", "--no-kernel-modules"]
    assert bench.sh("cuda", "ls /var/cache/phoenix") == ""
    assert bench.deploy("cuda", "nvidia", OPTIONS).changed == 0
    assert bench.examine("cuda", "nvidia", OPTIONS).differences == ()


def test_the_check_names_cards_that_are_not_there(bench: Bench) -> None:
    check = "sh /usr/local/lib/phoenix/nvidia_cards.sh 2>&1 || true"
    assert "names 1 cards, not 0" in bench.sh("cuda", check)
    bench.sh("cuda", "echo 'RTX 5060 Ti' > /etc/phoenix/nvidia-cards")
    assert "580.76.05" in bench.sh("cuda", check)


def test_without_the_hosts_driver_cards_are_refused(bench: Bench) -> None:
    bench.change("cuda", gpus=(0,))
    said = bench.refused("cuda", "nvidia", OPTIONS)
    assert "no NVIDIA driver loaded" in said
    assert "modprobe nvidia" in said
    bench.change("cuda", gpus=())
    assert "no NVIDIA driver loaded" in bench.refused("cuda", "nvidia", {"runfile_url": URL})
    other = OPTIONS | {"runfile_url": URL.replace("{version}", "570.86.15"), "version": "550.1.1"}
    assert "installer of 570.86.15" in bench.refused("cuda", "nvidia", other)
