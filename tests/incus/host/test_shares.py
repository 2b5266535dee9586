"""Shares of the host for real: smbd with a client of another machine, exports with exportfs."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.support.host_machine import HostMachine

pytestmark = pytest.mark.incus

CONF = "/etc/samba/smb.conf"
EXPORTS = "/etc/exports.d/phoenix.exports"
PASSWORD = "a p$ss\"w0rd'"
SMB: dict[str, Any] = {
    "user": "files",
    "users": {"kim": {"password": {"secret": "KIM"}}, "bob": {"password": {"secret": "BOB"}}},
    "shares": [
        {
            "name": "media",
            "path": "quick/media",
            "options": "browseable=yes writable=yes",
            "valid_users": ["kim"],
        },
        {"name": "papers", "path": "/srv/papers", "options": {"read only": True}},
    ],
}
Client = Callable[..., str]


@pytest.fixture
def samba(node: HostMachine) -> HostMachine:
    """A host that shares by SMB, as the files say."""
    node.words = {"samba": SMB}
    node.secrets = {"KIM": PASSWORD, "BOB": "bob's"}
    node.apply()
    return node


@pytest.fixture
def client(samba: HostMachine) -> Client:
    """Runs a command of smbclient on another machine; what it says, whether it worked or not."""
    bench = samba.bench
    bench.sh("user", "command -v smbclient || apt-get update && apt-get install -qy smbclient")

    def run(share: str, user: str, command: str, password: str = PASSWORD) -> str:
        bench.sh("user", "cat >/root/login", stdin=f"username={user}\npassword={password}\n")
        where = f"//{bench.ip('node')}/{share}"
        return bench.sh("user", f"smbclient -A /root/login {where} -c '{command}' 2>&1 || true")

    return run


def test_who_may_writes_and_others_may_not(samba: HostMachine, client: Client) -> None:
    samba.bench.sh("user", "echo from afar >/tmp/letter")
    assert "putting file" in client("media", "kim", "put /tmp/letter letter")
    assert samba.sh("cat /quick/media/letter; stat -c %U /quick/media/letter") == (
        "from afar\nfiles"
    )
    assert "letter" in client("media", "kim", "ls")
    denied = "NT_STATUS_ACCESS_DENIED"
    assert denied in client("media", "bob", "ls", "bob's")
    assert "NT_STATUS_LOGON_FAILURE" in client("media", "kim", "ls", "wrong")
    assert "NT_STATUS_LOGON_FAILURE" in client("media", "root", "ls", "")
    assert denied in client("papers", "bob", "put /tmp/letter letter", "bob's")
    assert denied not in client("papers", "bob", "ls", "bob's")


def test_accounts_for_shares_can_not_log_in(samba: HostMachine) -> None:
    for user in ("kim", "bob", "files"):
        assert samba.sh(f"getent passwd {user}").endswith(":/usr/sbin/nologin")
    assert samba.sh("pdbedit -L | cut -d: -f1 | sort").split() == ["bob", "kim"]


def test_what_was_changed_by_hand_is_found_and_mended(samba: HostMachine, client: Client) -> None:
    samba.sh(f"sed -i 's/valid users = kim/valid users = kim bob/' {CONF}; chmod 666 {CONF}")
    samba.sh("systemctl disable --now smbd 2>&1")
    samba.sh("smbpasswd -s kim", stdin="other\nother\n")
    found = samba.pending()["samba"]
    assert found[f"file {CONF}"] == "valid users = kim"
    assert found[f"mode {CONF}"] == "644"
    assert found["service smbd.service"] == "started at boot"
    samba.apply()
    assert "letter" not in client("media", "kim", "ls", "other")
    assert "blocks" in client("media", "kim", "ls")
    samba.sh("smbpasswd -d kim")
    assert set(samba.pending()) == {"samba"}
    samba.apply()
    assert "blocks" in client("media", "kim", "ls")


def test_a_password_alone_is_found_and_never_shown(samba: HostMachine) -> None:
    samba.secrets["BOB"] = "bob has a new one"
    plan = samba.phoenix("host", "plan")
    assert "configure host/samba" in plan.stdout
    assert "bob has" not in plan.stdout + plan.stderr
    samba.apply()
    samba.sh("smbpasswd -s bob", stdin="by hand\nby hand\n")
    (change,) = samba.plan()["changes"]
    assert change["reason"] == "it is no longer as it was applied"
    assert [one["path"] for one in change["fields"]] == ["command Set the SMB password of bob"]
    samba.sh(f"sed -i 's/path = .*papers/path = \\/srv\\/others/' {CONF}")
    told = samba.phoenix("host", "plan").stdout
    assert "then: Set the SMB password of bob" in told
    assert "-   path = /srv/others" in told
    samba.apply()


def test_a_whole_file_by_hand_is_shown_kept_and_told(samba: HostMachine) -> None:
    shares = "".join(f"[share{n}]\n   path = /srv/{n}\n" for n in range(90))
    samba.sh(f"cat >{CONF}", stdin=f"[global]\n   workgroup = MINE\n{shares}")
    plan = samba.phoenix("host", "plan").stdout
    name = samba.sh("uname -n")
    assert f"Plan for the host {name}, by the stack" in plan
    assert "-   workgroup = MINE" in plan
    assert "more lines (" in plan
    assert f"{CONF} was not written by Phoenix: it is replaced" in plan.replace("\n", " ")
    found = samba.plan()
    (field,) = [one for one in found["changes"][0]["fields"] if one["path"] == f"file {CONF}"]
    assert all(f"-[share{n}]\n" in field["diff"] for n in range(90))
    assert (found["host"], found["here"]) == (name, False)
    samba.apply()
    assert "workgroup = MINE" in samba.sh(f"cat {CONF}.before-phoenix")
    samba.sh(f"rm {CONF}.before-phoenix")


def test_what_can_not_be_known_yet_is_in_the_plan(samba: HostMachine) -> None:
    words = {"options": {"writable": True}}
    shares = [{"name": "old", "path": "/srv/older"} | words]
    samba.words = {"samba": SMB | {"shares": shares}, "timezone": "Europe/Paris"}
    samba.apply()
    samba.sh("chown nobody /srv/older; chmod 755 /srv/older")
    samba.sh("ln -sfn /usr/share/zoneinfo/UTC /etc/localtime")
    due = {change["address"]: change["reason"] for change in samba.plan()["changes"]}
    assert set(due) == {"host/base_setup", "host/samba"}
    assert "who may not write there" in due["host/samba"]
    samba.sh("chown files: /srv/older")
    samba.apply()


def test_a_user_who_is_taken_out_loses_the_login(samba: HostMachine, client: Client) -> None:
    assert "blocks" in client("papers", "bob", "ls", "bob's")
    samba.sh("useradd -M carl; smbpasswd -s -a carl", stdin="carl1\ncarl1\n")
    samba.words = {"samba": SMB | {"users": {"kim": SMB["users"]["kim"]}}}
    samba.apply()
    assert samba.sh("pdbedit -L | cut -d: -f1 | sort").split() == ["carl", "kim"]
    samba.sh("smbpasswd -x carl; userdel carl")


def test_a_folder_with_data_keeps_its_owner(samba: HostMachine) -> None:
    samba.sh("mkdir -p /srv/old /srv/empty; echo data >/srv/old/file")
    words = {"options": {"writable": True}}
    shares = [{"name": name, "path": f"/srv/{name}"} | words for name in ("old", "empty")]
    samba.words = {"samba": SMB | {"shares": shares}}
    assert "/srv/old is shared to be written as files, who may not write there" in samba.refused()
    assert samba.sh("stat -c %U /srv/old") == "root"
    samba.sh("chown files: /srv/old")
    samba.apply()
    assert samba.sh("stat -c '%U %a' /srv/empty") == "files 2770"


def test_a_dataset_is_shared_from_where_it_is_mounted_now(samba: HostMachine) -> None:
    """ZFS is played by a script that knows one dataset; a kernel with ZFS is not at hand."""
    zfs = '#!/bin/sh\n[ "$5" = quick ] && echo /mnt/elsewhere\n'
    samba.sh("cat >/usr/local/sbin/zfs; chmod +x /usr/local/sbin/zfs", stdin=zfs)
    assert "path = /mnt/elsewhere/media" in samba.pending()["samba"][f"file {CONF}"]
    samba.apply()
    assert "path = /mnt/elsewhere/media" in samba.sh(f"cat {CONF}")
    samba.sh("rm /usr/local/sbin/zfs")


def ended(node: HostMachine) -> dict[str, tuple[str, list[str]]]:
    """What a plan would end: the feature to the action and the files that go."""
    return {
        change["address"]: (change["action"], [one["path"] for one in change["fields"]])
        for change in node.plan()["changes"]
    }


def test_shares_that_leave_the_files_are_ended_and_data_stays(
    samba: HostMachine, client: Client
) -> None:
    samba.sh("echo dear >/srv/papers/letter")
    samba.words = {}
    assert ended(samba) == {"host/samba": ("stop", [f"file {CONF}"])}
    assert samba.sh("systemctl is-active smbd") == "active"
    assert samba.sh("systemctl is-active nmbd || true") == "inactive", "NetBIOS is off"
    samba.apply()
    assert samba.sh("systemctl is-active smbd || true") == "inactive"
    assert samba.sh("systemctl is-enabled smbd || true") == "disabled"
    assert "NT_STATUS_CONNECTION_REFUSED" in client("papers", "kim", "ls")
    assert samba.sh("cat /srv/papers/letter; command -v smbd") == "dear\n/usr/sbin/smbd"
    assert samba.sh(f"ls {CONF} 2>&1 || true").endswith("No such file or directory")
    samba.sh(f"echo '[global]' >{CONF}; systemctl start smbd")
    assert ended(samba) == {}  # it is another's now
    samba.sh("systemctl stop smbd")
    samba.words = {"samba": SMB}
    samba.apply()
    assert "letter" in client("papers", "kim", "ls")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("kernel oplocks=perhaps", "value is not boolean"),
        ("writable=yes colour=blue", 'Unknown parameter encountered: "colour"'),
        ("create mask=9999", "Invalid octal number"),
    ],
)
def test_a_wrong_option_is_refused_and_the_old_ones_stay(
    samba: HostMachine, client: Client, options: str, told: str
) -> None:
    before = samba.sh(f"cat {CONF}")
    share = SMB["shares"][0] | {"options": options}
    samba.words = {"samba": SMB | {"shares": [share]}}
    said = samba.refused()
    assert "the old one is back" in said
    assert told in said
    assert samba.sh(f"cat {CONF}; ls /etc/samba").startswith(before)
    assert "blocks" in client("papers", "bob", "ls", "bob's")


def test_exports_are_tested_by_exportfs_and_others_stay(node: HostMachine) -> None:
    export = {"path": "/srv/vm data", "clients": ["10.40.0.0/24", "*.lan"]}
    options = ["rw", "sync", "no_subtree_check"]
    node.sh("mkdir -p /srv/mine /etc/exports.d; echo '/srv/mine 10.1.0.0/24(ro)' >/etc/exports")
    node.words = {"nfs": {"exports": [export | {"options": options}]}}
    said = node.refused()
    assert "this kernel has no NFS server (nfsd)" in said
    assert "the exports are written and tested" in said
    assert node.sh(f"tail -n 1 {EXPORTS}") == (
        '"/srv/vm data" 10.40.0.0/24(rw,sync,no_subtree_check) *.lan(rw,sync,no_subtree_check)'
    )
    table = node.sh("cat /var/lib/nfs/etab").splitlines()
    assert sorted(line.partition("(")[0] for line in table) == [
        "/srv/mine\t10.1.0.0/24",
        "/srv/vm\\040data\t*.lan",
        "/srv/vm\\040data\t10.40.0.0/24",
    ]
    (change,) = node.plan()["changes"]
    assert "as things are this will fail: this kernel has no NFS server" in change["reason"]


def test_an_export_that_exportfs_refuses_leaves_the_old_ones(node: HostMachine) -> None:
    node.words = {"nfs": {"exports": [{"path": "/srv/a", "clients": ["10.40.0.0/24"]}]}}
    assert "no NFS server" in node.refused()
    before = node.sh(f"cat {EXPORTS}")
    node.sh("echo '/srv/mine *(rw,by_hand)' >/etc/exports.d/mine.exports")
    node.words = {"nfs": {"exports": [{"path": "/srv/b", "clients": ["*"]}]}}
    said = node.refused()
    node.sh("rm /etc/exports.d/mine.exports")
    assert "The new list of NFS exports was refused; the old one is back" in said
    assert 'mine.exports:1: unknown keyword "by_hand"' in said
    assert node.sh(f"cat {EXPORTS}") == before


def test_exports_that_leave_the_files_go_and_others_stay(node: HostMachine) -> None:
    node.sh("mkdir -p /srv/mine /etc/exports.d; echo '/srv/mine 10.1.0.0/24(ro)' >/etc/exports")
    node.words = {"nfs": {"exports": [{"path": "/srv/a", "clients": ["10.40.0.0/24"]}]}}
    assert "no NFS server" in node.refused()
    assert "/srv/a" in node.sh("cat /var/lib/nfs/etab")
    node.words = {}
    assert ended(node) == {"host/nfs_server": ("stop", [f"file {EXPORTS}"])}
    node.apply()
    assert node.sh("cut -f1 /var/lib/nfs/etab") == "/srv/mine"
    assert node.sh("systemctl is-enabled nfs-server") == "enabled"
    node.words = {"nfs": {"exports": [{"path": "/srv/a", "clients": ["10.40.0.0/24"]}]}}
    assert "no NFS server" in node.refused()
    node.sh("echo >/etc/exports")
    node.words = {}
    node.apply()
    assert node.sh("cat /var/lib/nfs/etab") == ""
    assert node.sh("systemctl is-enabled nfs-server || true") == "disabled"
    assert node.sh("test -d /srv/a && echo there") == "there"
