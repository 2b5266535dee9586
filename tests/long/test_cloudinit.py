"""The generated documents in a real Debian under QEMU: made, edited while it runs, restarted."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.long import cloud_image
from tests.long.cloud_image import MAC, NFS, Booted

from phoenix_hypervisor.drivers.proxmox import cloudinit, cloudlive
from phoenix_hypervisor.model import address
from phoenix_hypervisor.model.desired import (
    CloudUser,
    Guest,
    Host,
    HostUser,
    Image,
    NfsShare,
    Nic,
)
from phoenix_hypervisor.model.secret import Secret

pytestmark = [pytest.mark.long, pytest.mark.incus]  # incus: as root, for the image

HASH = (
    "$6$phoenix$"
    "Zs2yUO9eLGOyfgj6Z0nTVb8xvFpD1rYpJ6sQf2uN5mKkWc3hXaRtBiEoLqSgDw4v7CzPjUyMnHx0lIdFeA9Gb."
)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG1hZGUgdXAga2V5IGZvciB0aGVzZSB0ZXN0cyAxMjM0"
OLD, NEW = "10.0.2.15", "10.0.2.77"
HOST = Host(
    domain="lab.example",
    timezone="Europe/Berlin",
    users=(
        HostUser(
            "ben",
            sudo=False,
            ssh_keys=(f"{KEY} ben@desk",),
        ),
    ),
)


@dataclass(frozen=True)
class Stage:
    """The machine and what it was made of."""

    booted: Booted
    guest: Guest
    key: str
    drive: Path
    own: str

    def documents(self, guest: Guest, host: Host = HOST) -> cloudinit.Documents:
        return cloudinit.documents(
            guest, host, "lab", reveal=_reveal, keys=[self.key], macs=[MAC], own=self.own
        )


def _reveal(secret: Secret) -> str:
    assert secret.name == "ANNA_HASH"
    return HASH


def _guest(key: str) -> Guest:
    return Guest(
        address=address.vm(201),
        kind="vm",
        id=201,
        name="desk",
        source=Image("debian-13.qcow2"),
        memory_mb=1024,
        cores=2,
        nics=(Nic("lan0", "vmbr0", f"{OLD}/24", "10.0.2.2", ("10.0.2.3",)),),
        user=CloudUser("anna", (key,), Secret(name="ANNA_HASH"), groups=("adm", "lab")),
        packages=("tree",),
        shares=(NfsShare(NFS, "/share", "/mnt/my share"),),
    )


def _own() -> str:
    """The folder's own cloud-config."""
    told = {
        "apt": {"preserve_sources_list": True},
        "ssh_genkeytypes": ["ed25519"],  # others take long under emulation
        "bootcmd": [["sh", "-c", "echo started >>/root/each-start"]],
        "runcmd": [["sh", "-c", "echo made >>/root/once"]],
    }
    return "#cloud-config\n" + json.dumps(told)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    cloud_image.install()
    folder = tmp_path_factory.mktemp("seed")
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = key.with_name("key.pub").read_text().strip()
    with cloud_image.file_server() as (port, share):
        (share / "hello").write_text("from the file server\n")
        guest, drive = _guest(public), folder / "seed.iso"
        made = Stage(None, guest, public, drive, _own())  # type: ignore[arg-type] # started below
        cloud_image.seed(drive, made.documents(guest).nocloud())
        with cloud_image.boot(cloud_image.image(), drive, key, port, (OLD, NEW)) as booted:
            booted.wait_for("finished at")
            yield replace(made, booted=booted)


def test_all_is_there_after_the_first_start(stage: Stage) -> None:
    booted = stage.booted
    assert booted.ok("cat /run/cloud-init/result.json | tr -d ' \\n'").endswith('"errors":[]}}')
    assert booted.ok("hostname; hostname -f").split() == ["desk", "desk.lab.example"]
    assert booted.ok("date +%Z") in ("CET", "CEST")
    assert f"{OLD}/24" in booted.ok("ip -4 -brief address show lan0")
    assert booted.ok("ip -4 route show default").startswith("default via 10.0.2.2 dev lan0")
    assert "10.0.2.3" in booted.ok("resolvectl dns lan0")
    assert booted.ok("cat /root/once") == "made"
    assert booted.ok("cat '/mnt/my share/hello'") == "from the file server"
    assert "nfs4" in booted.ok("stat -f -c %T '/mnt/my share'; findmnt -no FSTYPE '/mnt/my share'")


def test_people_come_in_by_key_and_none_by_password(stage: Stage) -> None:
    booted = stage.booted
    told = booted.ok("id -un; id -Gn; sudo -n true 2>&1 || echo asked", user="anna").split("\n")
    assert told[0] == "anna"
    assert {"adm", "lab"} <= set(told[1].split())
    assert "asked" in told  # who has a password is asked for it
    assert booted.ok("getent shadow anna | cut -d: -f2") == HASH
    assert booted.ok("getent shadow ben | cut -d: -f2") in ("!", "!*", "*")
    assert f"{KEY} ben@desk" in booted.ok("cat /home/ben/.ssh/authorized_keys")
    assert booted.ok("sshd -T | grep -i '^passwordauthentication'") == "passwordauthentication no"
    assert booted.ok("sudo -l -U ben").endswith("not allowed to run sudo on desk.")


def test_packages_are_there_and_the_agent_answers(stage: Stage) -> None:
    assert stage.booted.ok("tree --version").startswith("tree v")
    assert stage.booted.ask_agent("guest-get-host-name") == {"host-name": "desk"}


def test_an_edit_reaches_the_running_machine(stage: Stage) -> None:
    booted, guest = stage.booted, stage.guest
    assert guest.user is not None
    booted.ok("echo 'ssh-ed25519 AAAAsomebodyelse' >>/root/.ssh/authorized_keys")
    edited = replace(
        guest,
        user=replace(guest.user, username="carl", password_hash=None, groups=("video",)),
        packages=("tree", "lsof"),
        shares=(),
    )
    host = replace(HOST, timezone="Asia/Tokyo", users=(HostUser("anna", sudo=False),))
    people = cloudinit.people(edited, host, _reveal)
    script = cloudlive.script(edited, host, people, [stage.key])
    booted.ok(script)
    assert booted.ok("sudo -n id -u", user="carl") == "0"
    assert booted.ok("id -Gn carl").split() == ["carl", "video"]
    refused = booted.ssh("true", user="anna")
    assert refused.returncode == 255  # her key is no longer in the files
    assert booted.ok("getent shadow anna | cut -d: -f2").startswith("!")
    assert booted.ok("sudo -l -U anna").endswith("not allowed to run sudo on desk.")
    assert booted.ok("date +%Z") == "JST"
    assert booted.ok("lsof -v 2>&1 | head -1").startswith("lsof version")
    assert booted.ssh("mountpoint -q '/mnt/my share'").returncode != 0
    assert "x-phoenix" not in booted.ok("cat /etc/fstab")
    keys = booted.ok("cat /root/.ssh/authorized_keys")
    assert stage.key in keys
    assert "AAAAsomebodyelse" in keys

    watched = "/etc/fstab /etc/hosts /etc/passwd /etc/shadow /etc/group /root/.ssh/authorized_keys"
    before = booted.ok(f"sha256sum {watched}")
    booted.ok(script)
    assert booted.ok(f"sha256sum {watched}") == before


def test_new_addresses_come_with_a_restart_and_nothing_is_made_anew(stage: Stage) -> None:
    booted, guest = stage.booted, stage.guest
    identity = (
        "cat /etc/ssh/ssh_host_ed25519_key.pub /etc/machine-id /var/lib/cloud/data/instance-id"
    )
    before = booted.ok(identity)
    assert before.endswith("phoenix-lab-201")
    moved = replace(
        guest, packages=("cowsay",), nics=(replace(guest.nics[0], address=f"{NEW}/24"),)
    )
    cloud_image.seed(stage.drive, stage.documents(moved).nocloud())
    booted.ssh("systemctl reboot")
    booted.wait_for("finished at", times=2)
    assert f"{NEW}/24" in booted.ok("ip -4 -brief address show lan0", at=NEW)
    assert OLD not in booted.ok("ip -4 -brief address show lan0", at=NEW)
    assert booted.ok(identity, at=NEW) == before
    assert booted.ok("cat /root/once", at=NEW) == "made"
    assert booted.ok("cat /root/each-start", at=NEW).split() == ["started", "started"]
    assert booted.ssh("dpkg -s cowsay", at=NEW).returncode != 0
