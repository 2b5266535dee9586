"""Driver, cards and AppArmor of a host, by the real command line, on containers.

One container plays the node, and really restarts; another one uses its card. The kernel's side of
a card and NVIDIA's programs are played by `support/card_files`: there is no card here.
"""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import lab
from tests.support.featurebench import Bench
from tests.support.host_machine import HostMachine

from phoenix_hypervisor.model.desired import Mount

pytestmark = [pytest.mark.incus, pytest.mark.long]

FILES = Path(__file__).parents[2] / "support" / "card_files"
OLD, NEW, BAD = "570.86.15", "580.76.05", "590.1.1"
PROGRAMS = "modinfo modprobe nvidia-modprobe nvidia-smi update-initramfs fuser apparmor_parser"
GUEST = 9502
PLAY = """
mkdir -p /usr/local/sbin
cat > /usr/local/sbin/played-boot
chmod 755 /usr/local/sbin/played-boot
cat > /etc/systemd/system/played.service <<END
[Unit]
DefaultDependencies=no
After=local-fs.target
Before=basic.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/played-boot ROLE
[Install]
WantedBy=basic.target
END
systemctl enable --now played.service
"""
# Packages with nothing in them, for those that would bring a compiler and a kernel's headers.
EMPTY = """
for name in dkms kmod linux-headers-$(dpkg --print-architecture); do
    mkdir -p /root/$name/DEBIAN
    printf '%s: %s\\n' Package $name Version 1 Architecture all Description t \\
        Maintainer 't <t@t>' > /root/$name/DEBIAN/control
    dpkg-deb --build /root/$name /root/$name.deb > /dev/null
    dpkg --install /root/$name.deb > /dev/null
done
mkdir -p "/lib/modules/$(uname -r)/build"
"""
WEB = """
cat > /etc/systemd/system/web.service <<END
[Service]
ExecStart=/usr/bin/python3 -m http.server -d /srv/cards/web 9000
[Install]
WantedBy=multi-user.target
END
systemctl enable --now web.service
"""


class Cards(HostMachine):
    """A node with a card that a guest uses, and one that a virtual machine may have."""

    @property
    def state(self) -> Path:
        """What is played, seen by both containers."""
        return self.bench.folder / "cards"

    def version(self, version: str) -> None:
        """Lets the files ask for a version of the driver."""
        self.words = {
            "gpus": [{"index": 0, "name": "RTX 5060 Ti", "pci": "0000:01:00.0"}],
            "nvidia_driver": {
                "install": True,
                "version": version,
                "runfile_url": f"http://{self.bench.ip('node')}:9000/"
                "NVIDIA-Linux-x86_64-{version}.run",
            },
        }

    def write_guests(self, **more: Any) -> None:
        """The files of the guests, as the containers were made."""
        corner = self.bench.corner
        words = {
            "name": "cuda",
            "template": "debian-13-standard",
            "memory_mb": 1024,
            "cores": 2,
            "storage_pool": corner.name,
            "storage_size_gb": 6,
            "network_config": {
                "name": "eth0",
                "bridge": corner.name,
                "ip": f"{self.bench.ip('cuda')}/24",
                "gw": f"{corner.subnet()}.1",
            },
            "mount_points": [{"host_path": str(self.state), "container_path": "/srv/cards"}],
            "gpu_assignment": "0",
            "features": ["nvidia"],
            "nvidia": {},
            **more,
        }
        self.folder.mkdir(exist_ok=True)
        text = json.dumps({"lxc_configs": {str(GUEST): words}})
        (self.folder / "phoenix_lxc_configs.json").write_text(text)

    def told(self, *words: str, status: int = 0) -> str:
        """What a command says."""
        done = self.phoenix(*words)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def library(self) -> str:
        """The user space in the guest."""
        return self.bench.sh("cuda", "readlink -f /usr/lib/x86_64-linux-gnu/libcuda.so.1")


@pytest.fixture(scope="module")
def cards(incus_daemon: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cards]:
    corner = lab.Lab("v")
    folder = tmp_path_factory.mktemp("cards")
    for path in (folder, folder.parent, folder.parent.parent):
        path.chmod(0o755)
    bench = Bench.of(corner, folder, "node", "cuda")
    made = Cards(bench, "node", folder / "files")
    (made.state / "web").mkdir(parents=True)
    (made.state / "live").touch()
    (made.state / "blind").write_text(f"{BAD}\n")
    (made.state / "pci").write_text(
        "0000:01:00.0 10de 2d04 030000 nvidia 1\n0000:05:00.0 1002 744c 030000 amdgpu 3\n"
    )
    for version in (OLD, NEW, BAD):
        text = (FILES / "installer.sh").read_text().replace("VERSION", version)
        (made.state / f"web/NVIDIA-Linux-x86_64-{version}.run").write_text(text)
    shutil.copy(FILES / "program.sh", made.state / "program.sh")
    try:
        for name in ("node", "cuda"):
            bench.change(name, mounts=(Mount(str(made.state), "/srv/cards"),))
        bench.make()
        boot = (FILES / "boot.sh").read_text()
        link = "ln -s /srv/cards/program.sh /usr/local/sbin/played; chmod 755 /srv/cards/program.sh"
        for name in ("node", "cuda"):
            bench.sh(name, PLAY.replace("ROLE", name) + link, stdin=boot)
        bench.sh(
            "node", f"{EMPTY}{WEB}apt-get update -qq; apt-get install -qqy apparmor >/dev/null"
        )
        bench.sh("node", f"for n in {PROGRAMS}; do ln -s played /usr/local/sbin/$n; done")
        made.version(OLD)
        made.write_guests()
        made.apply()
        made.told("apply", "--yes")
        yield made
    finally:
        lab.clear(corner.name)


def test_the_driver_goes_to_the_node_and_the_guest(cards: Cards) -> None:
    assert cards.sh("cat /proc/driver/nvidia/version").split()[-2] == OLD
    assert cards.library().endswith(OLD)
    host, inside = (cards.state / "installed").read_text().splitlines()
    assert host.startswith(f"{OLD} --silent --dkms")
    assert inside == f"{OLD} inside"
    assert cards.sh("systemctl is-active phoenix-nvidia.service") == "active"


def test_an_upgrade_is_one_plan_and_one_apply(cards: Cards) -> None:
    cards.version(NEW)
    assert f"runs NVIDIA's driver {OLD}, and the files say {NEW}" in cards.told("plan")
    plan = cards.plan()
    assert [one["address"] for one in plan["changes"]] == ["host/nvidia-driver", f"lxc/{GUEST}"]
    assert {one["impact"] for one in plan["changes"]} == {"restart"}
    assert any("the way back: the installer of" in note for note in plan["notes"])
    begun = cards.bench.sh("cuda", "cut -d' ' -f22 /proc/1/stat")
    cards.apply()
    assert cards.sh("cat /proc/driver/nvidia/version").split()[-2] == NEW
    assert cards.library().endswith(NEW)
    assert cards.bench.sh("cuda", "cut -d' ' -f22 /proc/1/stat") != begun
    assert (cards.state / "installed").read_text().splitlines()[-1] == f"{NEW} inside"
    cards.told("plan", "--detailed-exitcode")


def test_one_that_serves_no_card_is_taken_back_with_its_guests(cards: Cards) -> None:
    cards.version(NEW)
    cards.apply()
    cards.version(BAD)
    said = cards.refused()
    assert f"{NEW} is back and serves" in said
    assert "No devices were found" in said
    assert f"lxc/{GUEST} run again" in said
    assert cards.sh("cat /proc/driver/nvidia/version").split()[-2] == NEW
    assert cards.bench.sh("cuda", "sh /usr/local/lib/phoenix/nvidia_cards.sh").endswith(NEW)
    cards.version(NEW)
    cards.told("plan", "--detailed-exitcode")
    assert cards.plan()["changes"] == []


def until(so: Callable[[], bool], begun: subprocess.Popen[str]) -> None:
    """Waits for what a command is to do while it runs."""
    clock = time.monotonic()
    while not so():
        assert time.monotonic() - clock < 240
        assert begun.poll() is None, begun.communicate()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_an_exchange_outlives_phoenix_and_the_next_apply_follows_it(
    cards: Cards, end: signal.Signals
) -> None:
    cards.version(OLD)
    cards.apply()
    cards.version(NEW)
    (cards.state / "slow").touch()
    begun = cards.begin("host", "apply", "--yes")
    asked = "systemctl is-active phoenix-nvidia-exchange.service || true"
    until(lambda: cards.sh(asked) == "active", begun)
    begun.send_signal(end)
    if end is signal.SIGKILL:
        begun.wait(60)
        assert cards.sh(asked) == "active"
        (change, *_) = cards.plan()["changes"]
        assert "at work on the node: it is waited for" in change["reason"]
        following = "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c '[s]leep 1 ' || true"
        time.sleep(15)  # what the killed one ran there has ended
        assert cards.sh(following) == "0"
        begun = cards.begin("host", "apply", "--yes")
        until(lambda: cards.sh(following) != "0", begun)
        (cards.state / "slow").unlink()
        out, err = begun.communicate(timeout=240)
        assert begun.returncode == 0, out + err
    else:  # it waits for the exchange, and starts the guest again
        time.sleep(3)
        assert begun.poll() is None
        assert cards.sh(asked) == "active"
        (cards.state / "slow").unlink()
        out, err = begun.communicate(timeout=240)
        assert begun.returncode != 0
        assert f"lxc/{GUEST} run again" in " ".join((out + err).split())
        cards.apply()
        cards.told("apply", "--yes")
    assert cards.sh("cat /proc/driver/nvidia/version").split()[-2] == NEW
    assert cards.library().endswith(NEW)
    assert cards.sh("ls /var/lib/phoenix/nvidia/before 2>&1 || true").endswith(
        "such file or directory"
    )
    cards.told("plan", "--detailed-exitcode")


def test_a_card_for_a_machine_needs_a_restart_which_is_done_with_leave(cards: Cards) -> None:
    cards.version(NEW)
    cards.apply()
    machine = {"vmid": 9503, "name": "desk", "pci": ["0000:05:00"], "memory_mb": 512, "cores": 1}
    text = json.dumps({"vms": [machine | {"template_image": "debian-13-generic-amd64.qcow2"}]})
    (cards.folder / "phoenix_vm_configs.json").write_text(text)
    try:
        begun = cards.sh("cut -d' ' -f22 /proc/1/stat")
        said = cards.told("host", "apply", "--yes")
        assert "outstanding: host/restart: only with --allow-reboot" in " ".join(said.split())
        assert cards.sh("cut -d' ' -f22 /proc/1/stat") == begun
        assert "ids=1002:744c" in cards.sh("cat /etc/modprobe.d/phoenix-vfio.conf")
        still = cards.told("host", "plan", "--detailed-exitcode", status=2)
        assert "0000:05:00.0 of vm/9503 is still held by amdgpu" in " ".join(still.split())
        done = cards.told("host", "apply", "--yes", "--allow-reboot")
        assert "outstanding" not in done
        assert cards.sh("cut -d' ' -f22 /proc/1/stat") != begun
        driver = cards.sh("readlink /sys/bus/pci/devices/0000:05:00.0/driver")
        assert driver.endswith("/vfio-pci")
        assert cards.plan()["changes"] == []
    finally:
        (cards.folder / "phoenix_vm_configs.json").unlink()
        cards.sh("rm -f /etc/modprobe.d/phoenix-vfio.conf /etc/modules-load.d/phoenix-vfio.conf")


def test_a_profile_is_tested_by_apparmors_own_parser(cards: Cards) -> None:
    cards.version(NEW)
    cards.write_guests(apparmor_profile="lxc-phoenix-gpu")
    (cards.folder / "apparmor").mkdir(exist_ok=True)
    profile = cards.folder / "apparmor/lxc-phoenix-gpu"
    place = "/etc/apparmor.d/lxc-phoenix-gpu"
    good = (
        "#include <tunables/global>\n"
        "profile lxc-phoenix-gpu flags=(attach_disconnected,mediate_deleted) {\n"
        "  #include <abstractions/base>\n  capability,\n  file,\n}\n"
    )
    profile.write_text(good)
    assert "apparmor/lxc-phoenix-gpu" in cards.plan()["changes"][0]["address"]
    cards.apply()
    assert cards.sh(f"cat {place}") == good.strip()
    profile.write_text(good.replace("capability,", "no such rule,"))
    said = cards.refused()
    assert "syntax error" in said
    assert cards.sh(f"cat {place}") == good.strip()
    profile.write_text(good)
    cards.sh(f"echo '# by hand' >> {place}")
    assert cards.plan()["changes"][0]["fields"][0]["path"] == "content"
    cards.apply()
