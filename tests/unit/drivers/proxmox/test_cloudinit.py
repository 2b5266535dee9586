"""The documents of a machine's seed, and the script that brings edits into a running one."""

import email
import json
import subprocess
from dataclasses import replace
from typing import Any

import pytest

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
from phoenix_hypervisor.model.errors import ConfigError, SecretMissing
from phoenix_hypervisor.model.secret import Secret

HASH = "$6$salt$" + "a" * 86
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG1hZGUgdXAga2V5IGZvciB0aGVzZSB0ZXN0cyAxMjM0 anna@desk"
PHOENIX = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPHOENIX phoenix"
MAC = "BC:24:11:2E:36:47"
HOST = Host(
    domain="lab.example",
    timezone="Europe/Berlin",
    users=(HostUser("anna", sudo=True), HostUser("ben", True, Secret(name="BEN"), (KEY,))),
)
NIC = Nic("eth0", "vmbr0", "10.0.0.21/24", "10.0.0.1", ("9.9.9.9", "2620:fe::fe"))


def guest(**words) -> Guest:
    given = {
        "address": address.vm(201),
        "kind": "vm",
        "id": 201,
        "name": "desk",
        "source": Image("debian-13.qcow2"),
        "memory_mb": 2048,
        "cores": 2,
        "nics": (NIC,),
    }
    return Guest(**{**given, **words})


FULL = guest(
    user=CloudUser("anna", (KEY,), Secret(name="ANNA"), True, "/bin/zsh", ("video",)),
    packages=("zsh", "nfs-common", "gre"),
    shares=(NfsShare("10.0.0.2", "/tank/share", "/mnt/my share"), NfsShare("fd00::2", "/b", "/b")),
)


FSTAB = [
    "10.0.0.2:/tank/share /mnt/my\\040share nfs defaults,nofail,_netdev,x-phoenix 0 0",
    "[fd00::2]:/b /b nfs defaults,nofail,_netdev,x-phoenix 0 0",
]


def reveal(secret: Secret) -> str:
    values = {"ANNA": HASH, "BEN": "!"}
    if secret.name not in values:
        raise SecretMissing(f"the secret {secret.name} has no value")
    return values[secret.name]


def made(one: Guest = FULL, host: Host = HOST, **words) -> cloudinit.Documents:
    given: dict[str, Any] = {"reveal": reveal, "keys": [PHOENIX], "macs": [MAC], **words}
    return cloudinit.documents(one, host, "lab", **given)


def read(text: str) -> Any:
    assert text.startswith("#cloud-config\n")
    return json.loads(text.partition("\n")[2])


def test_user_data_in_full():
    assert read(made().user) == {
        "hostname": "desk",
        "fqdn": "desk.lab.example",
        "manage_etc_hosts": "localhost",
        "ssh_pwauth": False,
        "disable_root": False,
        "users": [
            {"name": "root", "lock_passwd": True, "ssh_authorized_keys": [PHOENIX]},
            {
                "name": "anna",
                "shell": "/bin/zsh",
                "lock_passwd": False,
                "groups": ["video"],
                "hashed_passwd": HASH,
                "sudo": ["ALL=(ALL:ALL) ALL"],
                "ssh_authorized_keys": [KEY],
            },
            {
                "name": "ben",
                "shell": "/bin/bash",
                "lock_passwd": False,
                "hashed_passwd": "!",
                "sudo": ["ALL=(ALL:ALL) ALL"],
                "ssh_authorized_keys": [KEY],
            },
        ],
        "timezone": "Europe/Berlin",
        "package_update": True,
        "packages": ["qemu-guest-agent", "nfs-common", "zsh", "gre"],
        "runcmd": [
            ["sed", "-i", "/x-phoenix/d", "/etc/fstab"],
            ["sh", "-c", 'printf "%s\\n" "$@" >>/etc/fstab', "sh", *FSTAB],
            ["mkdir", "-p", "/mnt/my share", "/b"],
            ["systemctl", "daemon-reload"],
            ["mount", "--all", "--types", "nfs,nfs4"],
            ["systemctl", "--no-block", "start", "qemu-guest-agent.service"],
        ],
    }


def test_a_machine_that_asks_for_nothing_gets_nothing():
    told = read(made(guest(agent=False, nics=()), Host(), keys=()).user)
    assert told == {
        "hostname": "desk",
        "fqdn": "desk",
        "manage_etc_hosts": "localhost",
        "ssh_pwauth": False,
        "disable_root": True,
        "users": [],
    }


def test_a_name_with_a_domain_keeps_it():
    told = read(made(guest(name="desk.other.example")).user)
    assert (told["hostname"], told["fqdn"]) == ("desk", "desk.other.example")


@pytest.mark.parametrize("text", ["swordfish", "", "$6$salt$a b", "$9$x$y", HASH + "\n"])
def test_what_is_not_a_hash_never_gets_into_a_document(text):
    with pytest.raises(ConfigError, match="anna is not the hash of a password") as caught:
        made(reveal=lambda _: text)
    assert not text or text not in caught.value.message


def test_a_secret_without_a_value_is_told():
    with pytest.raises(SecretMissing):
        made(guest(user=CloudUser("carl", (), Secret(name="CARL"))), Host())


@pytest.mark.parametrize(
    ("nic", "card"),
    [
        (
            NIC,
            {
                "match": {"macaddress": "bc:24:11:2e:36:47"},
                "set-name": "eth0",
                "addresses": ["10.0.0.21/24"],
                "routes": [{"to": "0.0.0.0/0", "via": "10.0.0.1"}],
                "nameservers": {"addresses": ["9.9.9.9", "2620:fe::fe"], "search": ["lab.example"]},
            },
        ),
        (
            Nic("lan0", "vmbr0", "fd00::21/64", "fd00::1"),
            {
                "match": {"macaddress": "bc:24:11:2e:36:47"},
                "set-name": "lan0",
                "addresses": ["fd00::21/64"],
                "routes": [{"to": "::/0", "via": "fd00::1"}],
            },
        ),
        (
            Nic("eth0", "vmbr0", "203.0.113.7/32", "198.51.100.1"),
            {
                "match": {"macaddress": "bc:24:11:2e:36:47"},
                "set-name": "eth0",
                "addresses": ["203.0.113.7/32"],
                "routes": [{"to": "0.0.0.0/0", "via": "198.51.100.1", "on-link": True}],
            },
        ),
        (
            Nic("eth0", "vmbr0", "dhcp"),
            {
                "match": {"macaddress": "bc:24:11:2e:36:47"},
                "set-name": "eth0",
                "dhcp4": True,
            },
        ),
        (
            Nic("eth0", "vmbr0"),
            {"match": {"macaddress": "bc:24:11:2e:36:47"}, "set-name": "eth0"},
        ),
    ],
    ids=["v4", "v6", "gateway-elsewhere", "dhcp", "none"],
)
def test_the_network(nic, card):
    told = json.loads(made(guest(nics=(nic,))).network)
    assert told == {"version": 2, "ethernets": {nic.name: card}}


def test_a_card_is_found_by_its_name_where_its_address_is_not_known():
    told = json.loads(made(guest(nics=(Nic("ens18", "vmbr0", "dhcp"),)), macs=()).network)
    assert told["ethernets"] == {"ens18": {"dhcp4": True}}


def test_the_instance_id_is_the_same_through_all_edits():
    meta = made().meta
    assert json.loads(meta) == {"instance-id": "phoenix-lab-201", "local-hostname": "desk"}
    assert made(guest(), Host(), keys=(), macs=(), own="#!/bin/sh\n").meta == meta


def test_a_digest_changes_with_its_own_document_only():
    before = made()
    assert set(before.digests) == set(before.snippets()) == {"user", "network", "vendor", "meta"}
    assert before.digests == made().digests
    people = made(replace(FULL, user=None)).digests
    assert {part for part in people if people[part] != before.digests[part]} == {"user"}
    moved = made(replace(FULL, nics=(replace(NIC, address="10.0.0.22/24"),))).digests
    assert {part for part in moved if moved[part] != before.digests[part]} == {"network"}


def test_the_networks_digest_is_known_before_the_card_has_an_address():
    assert made(macs=()).digests == made().digests
    assert made(macs=()).network != made().network
    asked = made(replace(FULL, nics=(replace(NIC, mac=MAC),)))
    assert asked.digests["network"] != made().digests["network"]


def test_the_folders_own_text_comes_as_a_second_part():
    own = "#cloud-config\nruncmd: [[touch, /größe]]\n"
    first = made(own=own)
    assert made(own=own).user == first.user
    parts = list(email.message_from_string(first.user).walk())[1:]
    assert [part.get_content_type() for part in parts] == ["text/cloud-config"] * 2
    texts = [part.get_payload(decode=True) for part in parts]
    assert isinstance(texts[0], bytes)
    assert texts[0].decode() == made().user
    assert texts[1] == own.encode()
    assert {part["Merge-Type"] for part in parts} == {"list(append)+dict(recurse_array)+str()"}
    script = list(email.message_from_string(made(own="#!/bin/sh\n").user).walk())[2]
    assert script.get_content_type() == "text/x-shellscript"
    assert script["Merge-Type"] is None


def test_the_seeds_files_have_the_names_that_cloud_init_reads():
    files = made().nocloud()
    assert set(files) == {"user-data", "network-config", "vendor-data", "meta-data"}
    assert all(text.endswith("\n") for text in files.values())
    assert read(files["vendor-data"])["updates"] == {
        "network": {"when": ["boot-new-instance", "boot"]}
    }


def script(one: Guest = FULL, host: Host = HOST, keys=(PHOENIX,)) -> str:
    return cloudlive.script(one, host, cloudinit.people(one, host, reveal), keys)


def test_the_script_says_the_same_as_the_documents():
    lines = script().splitlines()
    calls = lines[lines.index("be_called desk 'desk.lab.example desk'") :]
    assert calls == [
        "be_called desk 'desk.lab.example desk'",
        "live_in Europe/Berlin",
        "install qemu-guest-agent nfs-common zsh gre",
        f"also_key '{PHOENIX}'",
        f"person anna /bin/zsh video '{HASH}'",
        "only_keys anna <<'PHOENIX-END'",
        KEY,
        "PHOENIX-END",
        "person ben /bin/bash '' '!'",
        "only_keys ben <<'PHOENIX-END'",
        KEY,
        "PHOENIX-END",
        "sudoers <<'PHOENIX-END'",
        "anna ALL=(ALL:ALL) ALL",
        "ben ALL=(ALL:ALL) ALL",
        "PHOENIX-END",
        "shares <<'PHOENIX-END'",
        *FSTAB,
        "PHOENIX-END",
        "exit $failed",
    ]


def test_nothing_in_the_files_is_a_word_of_the_shell():
    evil = "$(touch /x) `y` ' \" ; z"
    one = guest(
        user=CloudUser("anna", (evil,)), packages=(evil,), shares=(NfsShare("s", evil, "/m"),)
    )
    text = script(one, Host(), keys=(evil,))
    calls = text[text.index("be_called desk") :]
    quoted = "'$(touch /x) `y` '\"'\"' \" ; z'"
    assert f"also_key {quoted}\n" in calls
    assert f"install qemu-guest-agent nfs-common {quoted}\n" in calls


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_every_posix_shell_understands_the_script(shell):
    done = subprocess.run(
        [shell, "-n"], input=script(), text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
