"""The timed way back on a machine with systemd and ifupdown2, which restarts in the midst of it."""

import socket
import subprocess
import time
from collections.abc import Iterator

import pytest
from tests.support.featurebench import Bench

from phoenix_hypervisor.drivers.incus import names
from phoenix_hypervisor.host import _revert

pytestmark = pytest.mark.incus

# As Proxmox VE does at boot with what is staged, and with a trace.
_COMMIT = """[Unit]
DefaultDependencies=no
After=local-fs.target
Before=sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=-/bin/mv /etc/network/interfaces.new /etc/network/interfaces
ExecStart=/bin/touch /run/committed
[Install]
WantedBy=sysinit.target
"""
_FILE = "/etc/network/interfaces"
_UNITS = (
    f"find {_revert.UNITS} -name 'phoenix-network*'; systemctl list-units -q 'phoenix-network*'"
)
_KILLED_AT = """mkdir -p /root/steps && cd /root/steps
cat >step <<'END'
#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
name=${0##*/}
echo "$name" >>/root/steps/log
[ "$(wc -l </root/steps/log)" -ne "$(cat /root/steps/last)" ] || {
    kill -9 "$(cat /root/steps/pid)"
    exit 1
}
exec "$name" "$@"
END
chmod 755 step
for each in mkdir flock cat date rm cp cut ln sync systemd-run mv; do ln -sf step $each; done
"""


class Wired:
    """The machine. `before` is its file, by which it has the address that Incus gave it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        guest = bench.guests["wired"]
        (nic,) = guest.nics
        self.address = str(nic.address)
        self.instance = names.instance(guest.address)
        self.before = self.file(self.address)

    def file(self, address: str) -> str:
        """A file with this address."""
        (nic,) = self.bench.guests["wired"].nics
        gateway = f"\tgateway {nic.gateway}\n" if address == self.address else ""
        eth0 = f"auto eth0\niface eth0 inet static\n\taddress {address}\n{gateway}"
        return f"auto lo\niface lo inet loopback\n\n{eth0}"

    def sh(self, script: str, stdin: str = "") -> str:
        """By Incus, past the network."""
        return self.bench.sh("wired", script, stdin=stdin)

    def arm(self, token: str, seconds: int) -> None:
        """Which must work."""
        assert self.sh("sh -s", stdin=_revert.arm(token, seconds)) == ""

    def cut_off(self) -> None:
        """Another network is loaded, as by Proxmox VE."""
        self.sh(f"cat >{_FILE}; ifreload -a", stdin=self.file("10.9.9.9/24"))
        assert self.address not in self.sh("ip -o addr")
        assert not self.answers()

    def answers(self) -> bool:
        """To this machine here, over the network."""
        try:
            socket.create_connection((self.address.partition("/")[0], 9), timeout=2).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return True

    def restart(self) -> None:
        """As by a lost supply, or a watchdog: nothing is ended in order."""
        words = ["incus", "restart", "--force", "--project", self.bench.corner.name, self.instance]
        subprocess.run(words, check=True, capture_output=True)
        for _ in range(100):
            state = self.sh("systemctl is-system-running 2>/dev/null || true")
            if state in {"running", "degraded"}:
                return
            time.sleep(0.3)
        raise AssertionError(state)

    def is_as_before(self) -> bool:
        """File and address, and the way back left nothing that would act again."""
        return (
            self.sh(f"cat {_FILE}") == self.before.strip()
            and self.address in self.sh("ip -o addr")
            and self.answers()
            and self.sh(_UNITS) == ""
            and self.sh(f"ls {_revert.FOLDER} | grep -E '^(armed|reverting)' || true") == ""
        )


@pytest.fixture(scope="module")
def machine(host_bench: Bench) -> Wired:
    found = Wired(host_bench)
    found.sh(
        f"mkdir -p /etc/network; cat >{_FILE}; export DEBIAN_FRONTEND=noninteractive; "
        "apt-get update -qq </dev/null; apt-get install -qy --no-install-recommends ifupdown2 "
        "</dev/null >/dev/null; systemctl disable -q --now systemd-networkd.socket "
        "systemd-networkd; systemctl enable -q --now networking",
        stdin=found.before,
    )
    found.sh(f"cat >{_revert.UNITS}/pvenetcommit.service", stdin=_COMMIT)
    found.sh("systemctl enable -q pvenetcommit")
    return found


@pytest.fixture
def wired(machine: Wired) -> Iterator[Wired]:
    assert machine.is_as_before()
    yield machine
    machine.sh(
        f"systemctl stop 'phoenix-network*'; rm -rf {_revert.FOLDER} {_FILE}.new; "
        f"find {_revert.UNITS} -name 'phoenix-network*' -delete; cat >{_FILE}; ifreload -a",
        stdin=machine.before,
    )


def test_a_restart_within_the_time_brings_the_old_network(wired: Wired) -> None:
    wired.arm("feed", 3000)
    wired.cut_off()
    wired.restart()
    assert wired.is_as_before()
    assert wired.sh(_revert.state("feed")) == "reverted"
    assert "networking.service" in wired.sh("systemctl --failed --no-legend || true") or (
        wired.sh("systemctl is-active networking") == "active"
    )


def test_what_is_staged_is_not_put_in_place_by_a_restart(wired: Wired) -> None:
    stage = f"cat >{_FILE}.new"
    wired.arm("feed", 3000)
    wired.sh(stage, stdin=wired.file("10.9.9.9/24"))
    wired.restart()
    wired.sh(f"test -e /run/committed; test ! -e {_FILE}.new")
    assert wired.is_as_before()
    wired.sh(stage, stdin=wired.file("10.9.9.9/24"))  # and without a way back it is
    wired.restart()
    assert "10.9.9.9" in wired.sh("ip -o addr")


def test_a_way_back_that_a_restart_broke_off_is_gone_to_its_end(wired: Wired) -> None:
    wired.arm("feed", 3000)
    wired.cut_off()
    wired.sh(f"cd {_revert.FOLDER}; mv armed-feed reverting-feed")  # and then the supply was lost
    wired.restart()
    assert wired.is_as_before()


@pytest.mark.parametrize("how", ["confirmed", "withdrawn"])
def test_what_was_disarmed_stays_over_a_restart(wired: Wired, how: str) -> None:
    wired.arm("feed", 3000)
    new = wired.file(wired.address.replace("/24", "/25"))
    wired.sh(f"cat >{_FILE}; ifreload -a", stdin=new)
    own = wired.address.partition("/")[0]
    told = f"SSH_CONNECTION='10.0.0.7 4000 {own} 22'\n"
    script = told + _revert.disarm("feed", own, "") if how == "confirmed" else ""
    wired.sh("sh -s", stdin=script or _revert.withdraw("feed"))
    assert wired.sh(_UNITS) == ""
    left = "disarmed-feed" if how == "confirmed" else ""  # whose answer was lost asks again
    assert wired.sh(f"ls {_revert.FOLDER}") == left
    wired.restart()
    assert f"{own}/25" in wired.sh("ip -o addr")


def test_the_timer_of_systemd_brings_it_back_too(wired: Wired) -> None:
    wired.arm("feed", 6)
    wired.cut_off()
    until = time.monotonic() + 40
    while not wired.is_as_before() and time.monotonic() < until:
        time.sleep(1)
    assert wired.is_as_before()


def test_arming_that_is_killed_anywhere_leaves_it_whole_or_not_at_all(wired: Wired) -> None:
    wired.sh(_KILLED_AT)
    wired.sh("cat >/root/arm", stdin=_revert.arm("feed", 3000))
    # What acts where it is not armed would now put the old file back.
    changed = wired.file(wired.address.replace("/24", "/25"))
    found = []
    for last in range(1, 60):
        armed = wired.sh(
            f"cat >{_FILE}; cd /root/steps; echo {last} >last; rm -f log\n"
            "sh -c 'echo $$ >pid; PATH=$PWD:$PATH exec sh /root/arm' && echo done || true\n"
            f"cd {_revert.FOLDER} 2>/dev/null && [ -e armed-feed ] && echo armed || true",
            stdin=changed,
        )
        units = wired.sh(_UNITS)
        if "armed" in armed:
            assert f"{_revert.UNITS}/phoenix-network-boot-feed.service" in units
            assert "sysinit.target.wants/phoenix-network-boot-feed.service" in units
            assert "phoenix-network-feed.timer" in units
            assert wired.sh(f"cat {_revert.FOLDER}/before-feed") == changed.strip()
        else:
            act = f"cd {_revert.FOLDER} && [ -e revert-feed ] && sh revert-feed boot || true"
            assert wired.sh(act) == ""
            assert wired.sh(f"cat {_FILE}") == changed.strip()
        wired.sh("systemctl stop 'phoenix-network*'")
        wired.sh("sh -s", stdin=f"rm -f {_revert.FOLDER}/armed-*\n{_revert.arm('face', 3000)}")
        wired.sh("sh -s", stdin=_revert.withdraw("face"))
        found.append("armed" in armed)
        if "done" in armed:
            break
    assert "done" in armed
    assert len(found) > 15
    assert found == sorted(found)  # from the rename on
    assert found.count(True) > 1
