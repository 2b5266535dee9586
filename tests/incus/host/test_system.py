"""The host's own software for real: people, time, package sources, updates, the CPU's governor."""

import re
from collections.abc import Iterator

import pytest
from tests.support.host_machine import HostMachine

pytestmark = pytest.mark.incus

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 ann@desk"
SOURCES = "/etc/apt/sources.list.d"


def test_people_and_time(node: HostMachine) -> None:
    name = node.sh("cat /etc/hostname /etc/hosts; locale -a")
    node.sh(
        "useradd -m -s /bin/sh eve; mkdir -p /root/.ssh; printf 'ssh-ed25519 AA other' "
        ">/root/.ssh/authorized_keys"
    )
    node.words = {
        "timezone": "Europe/Vienna",
        "users": {
            "ann": {"sudo_access": True, "ssh_public_key": KEY},
            "eve": {"password_hash": {"secret": "EVE"}},
            "root": {"ssh_public_key": KEY},
        },
    }
    node.secrets = {"EVE": "$6$salt$" + "a" * 86}
    node.apply()
    assert node.sh("date +%Z; readlink /etc/localtime").split()[1].endswith("Europe/Vienna")
    assert KEY in node.sh("cat /home/ann/.ssh/authorized_keys")
    assert node.sh("runuser -u ann -- sudo -n id -u") == "0"
    assert node.sh("getent shadow eve | cut -d: -f2") == node.secrets["EVE"]
    assert node.sh("getent passwd eve").endswith(":/bin/sh")
    keys = node.sh("cat /root/.ssh/authorized_keys").splitlines()
    assert keys == ["ssh-ed25519 AA other", KEY]
    assert node.sh("cat /etc/hostname /etc/hosts; locale -a") == name
    assert not node.sh("ls /etc/apt/apt.conf.d | grep auto-upgrades || true")
    node.sh(
        "rm /etc/sudoers.d/phoenix-ann; ln -sf /usr/share/zoneinfo/UTC /etc/localtime;"
        " sed -i /desk/d /root/.ssh/authorized_keys"
    )
    found = node.pending()["base_setup"]
    assert found["link /etc/localtime"] == "/usr/share/zoneinfo/Europe/Vienna"
    assert found["file /root/.ssh/authorized_keys"] == KEY
    assert found["file /etc/sudoers.d/phoenix-ann"] == "ann ALL=(ALL:ALL) NOPASSWD: ALL"
    node.apply()
    other = KEY.replace("ann@desk", "wrong")
    node.words["users"]["ann"]["ssh_public_key"] = other
    node.words["timezone"] = "Europe/Paris"
    (change,) = node.plan()["changes"]
    (keys,) = (one for one in change["fields"] if "/home/ann" in one["path"])
    assert (keys["before"], keys["after"]) == (KEY, other)
    shown = node.phoenix("host", "plan").stdout
    assert "-ssh-ed25519" in shown
    assert "runuser" not in shown


def test_a_person_who_loses_sudo(node: HostMachine) -> None:
    node.words = {"users": {"ann": {"sudo_access": True}}}
    node.apply()
    node.words = {"users": {"ann": {}}}
    node.apply()
    assert node.sh("ls /etc/sudoers.d | grep phoenix || true") == ""


def test_who_phoenix_comes_in_as_keeps_its_way_in(node: HostMachine) -> None:
    mine = KEY.replace("ann@desk", "ops@laptop").replace("AAAAIJ0", "AAAAops")
    node.sh(
        "command -v sudo >/dev/null || { apt-get update -qq; apt-get install -qqy sudo; }"
        " >/dev/null; useradd -m ops; install -d -o ops -m 700 /home/ops/.ssh;"
        " echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/early"
    )
    node.sh("cat >/home/ops/.ssh/authorized_keys", stdin=f"{mine}\n")
    node.shell = "runuser -u ops -- sudo -n sh"
    node.secrets = {"OPS": "$6$salt$" + "a" * 86}
    words = {"sudo_access": True, "ssh_public_key": KEY, "password_hash": {"secret": "OPS"}}
    node.words = {"users": {"ops": words}}
    said = " ".join(node.refused().split())
    assert "comes in as ops, who would lose the key" in said
    assert "(ops@laptop)" in said
    assert "becomes root as ops, who has a password, which sudo would ask for" in said
    assert node.sh("cat /home/ops/.ssh/authorized_keys") == mine
    assert node.sh("getent shadow ops | cut -d: -f2") == "!"
    words = {"sudo_access": True, "ssh_public_key": [KEY, mine]}
    node.words = {"users": {"ops": words}}
    node.apply()
    node.sh("rm /etc/sudoers.d/early")
    node.words = {"users": {"ann": {}}}
    assert "becomes root as ops, who loses `sudo_access`" in " ".join(node.refused().split())
    node.shell = "sh"
    node.apply()
    assert node.sh("ls /etc/sudoers.d | grep phoenix || true") == ""
    assert mine in node.sh("cat /home/ops/.ssh/authorized_keys")
    node.sh("userdel -r ops 2>/dev/null")


@pytest.fixture
def proxmox(node: HostMachine) -> Iterator[HostMachine]:
    """The package sources of a fresh Proxmox VE 9, beside the container's own.

    Nothing answers under the names of Proxmox's servers here: that is told at once.
    """
    key = "/usr/share/keyrings/proxmox-archive-keyring.gpg"
    stanza = f"Suites: trixie\\nSigned-By: {key}\\n"
    enterprise = "Types: deb\\nURIs: https://enterprise.proxmox.com/debian"
    node.sh(
        f"cp /usr/share/keyrings/debian-archive-keyring.gpg {key}; cp /etc/hosts /root/hosts;"
        " echo '127.0.0.1 download.proxmox.com enterprise.proxmox.com' >>/etc/hosts;"
        f" printf '{enterprise}/pve\\nComponents: pve-enterprise\\n{stanza}'"
        f" >{SOURCES}/pve-enterprise.sources;"
        f" printf '{enterprise}/ceph-squid\\nComponents: enterprise\\n{stanza}'"
        f" >{SOURCES}/ceph.sources"
    )
    yield node
    node.sh(f"rm {SOURCES}/*; cp /root/hosts /etc/hosts")


def used(node: HostMachine) -> set[str]:
    """The sources of Proxmox that apt itself would ask."""
    told = node.sh("apt-get update --print-uris")
    return set(re.findall(r"'https?://(\S+?proxmox\.com/\S+)/dists/\S+InRelease'", told))


def test_repositories_without_a_subscription_and_back(proxmox: HostMachine) -> None:
    node, own = proxmox, proxmox.sh("cat /etc/apt/sources.list")
    paid = used(node)
    folders = {"debian/pve", "debian/ceph-squid"}
    assert paid == {f"enterprise.proxmox.com/{folder}" for folder in folders}
    files = node.sh(f"cat {SOURCES}/pve-enterprise.sources {SOURCES}/ceph.sources")
    node.words = {"system": {"repositories": "no-subscription"}}
    node.apply()
    assert used(node) == {f"download.proxmox.com/{folder}" for folder in folders}
    assert node.sh("cat /etc/apt/sources.list") == own
    node.sh(f"sed -i /Enabled/d {SOURCES}/pve-enterprise.sources")
    found = node.pending()["package_sources"]
    assert found == {
        f"file {SOURCES}/pve-enterprise.sources": "Enabled: no",
        "then: the package index": "fetched",
    }
    node.apply()
    node.words = {"system": {"repositories": "enterprise"}}
    node.apply()
    assert used(node) == paid
    assert node.sh(f"cat {SOURCES}/pve-enterprise.sources {SOURCES}/ceph.sources") == files


def test_sources_that_apt_can_not_read_leave_the_old_ones(proxmox: HostMachine) -> None:
    node = proxmox
    node.sh(f"echo 'Types: deb' >{SOURCES}/by-hand.sources")
    node.words = {"system": {"repositories": "no-subscription"}}
    said = node.refused()
    assert "The new list of package sources was refused; the old one is back" in said
    assert "by-hand.sources" in said
    assert node.sh(f"ls {SOURCES}").split() == [
        "by-hand.sources",
        "ceph.sources",
        "pve-enterprise.sources",
    ]
    assert "Enabled" not in node.sh(f"cat {SOURCES}/*")


def test_what_is_no_proxmox_ve_node_is_told(node: HostMachine) -> None:
    node.words = {"system": {"repositories": "no-subscription", "microcode": True}}
    plan = node.plan()
    assert plan["changes"] == []
    assert [note.partition(":")[0] for note in plan["notes"]] == ["left out here"] * 2
    assert "no Proxmox VE node" in plan["notes"][0]
    assert "this is one of lxc" in plan["notes"][1]


def test_security_updates(node: HostMachine) -> None:
    node.words = {
        "system": {
            "security_updates": {"also": ["proxmox"], "keep": ["^nano$"], "reboot_at": "03:30"}
        }
    }
    node.apply()
    told = node.sh("unattended-upgrade --dry-run --debug 2>&1")
    allowed = next(line for line in told.splitlines() if line.startswith("Allowed origins are:"))
    assert "label=Debian-Security" in allowed
    assert "origin=Proxmox" in allowed
    assert "label=Debian," not in f"{allowed},"
    assert "^nano$" in next(line for line in told.splitlines() if "blacklist" in line.lower())
    settings = node.sh("apt-config dump | grep -E 'Periodic::Un|Automatic-Reboot'")
    assert settings.splitlines() == [
        'APT::Periodic::Unattended-Upgrade "1";',
        'Unattended-Upgrade::Automatic-Reboot "true";',
        'Unattended-Upgrade::Automatic-Reboot-Time "03:30";',
    ]
    node.sh(
        "sed -i s/03:30/13:30/ /etc/apt/apt.conf.d/52phoenix-updates;"
        " systemctl disable --now apt-daily-upgrade.timer 2>&1"
    )
    found = node.pending()["unattended_upgrades"]
    assert found["service apt-daily-upgrade.timer"] == "started at boot"
    assert "03:30" in found["file /etc/apt/apt.conf.d/52phoenix-updates"]
    node.apply()


def test_a_governor_where_the_cpu_has_none(node: HostMachine) -> None:
    node.words = {"system": {"cpu_governor": "powersave"}}
    (change,) = node.plan()["changes"]
    assert change["reason"].startswith("as things are this will fail: this machine's CPU has no")
    assert "no governor to choose" in node.refused()
    assert node.sh("ls /etc/systemd/system | grep governor || true") == ""


def test_a_governor(node: HostMachine) -> None:
    """The kernel's files are played by those of a file system in memory, with two cores."""
    cpus = "/sys/devices/system/cpu"
    node.sh(
        f"mount -t tmpfs none {cpus}; for n in 0 1; do mkdir -p {cpus}/cpu$n/cpufreq;"
        f" echo performance powersave >{cpus}/cpu$n/cpufreq/scaling_available_governors;"
        f" echo performance >{cpus}/cpu$n/cpufreq/scaling_governor; done"
    )
    now = f"cat {cpus}/cpu*/cpufreq/scaling_governor"
    try:
        node.words = {"system": {"cpu_governor": "powersave"}}
        node.apply()
        assert node.sh(now).split() == ["powersave"] * 2
        node.sh(f"echo performance >{cpus}/cpu1/cpufreq/scaling_governor")
        assert set(node.pending()) == {"cpu_governor"}
        node.apply()
        assert node.sh(now).split() == ["powersave"] * 2
        node.words = {"system": {"cpu_governor": "turbo"}}
        assert "no governor 'turbo'" in node.refused()
        assert node.sh(now).split() == ["powersave"] * 2
    finally:
        node.sh(f"umount {cpus}")
