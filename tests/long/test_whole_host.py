"""A whole server's host file, applied by the command line: afterwards nothing is left to do, and
whatever is changed by hand is found and mended while all the rest stays as it is.

The node is a container in which ZFS (zfs-fuse), smbd, exportfs and apt are real. Proxmox VE's API
is the tests' double. This kernel has no NFS server: its unit only runs exportfs here.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support import lab, pve, zfs_container
from tests.support.featurebench import Bench
from tests.unit.docs import test_home_server

pytestmark = [pytest.mark.incus, pytest.mark.long]

PHOENIX = Path(sys.executable).with_name("phoenix")
FILE = Path(__file__).with_name("whole_host") / "phoenix_hypervisor_config.json"
SECRETS = {
    "PVE_TOKEN": pve.TOKEN_SECRET,
    "KIM": "a p$ss\"w0rd'",
    "BOB": "bob's",
    "ANN_HASH": "$6$salt$" + "a" * 86,
}
CLUSTER, NODE = "/cluster/firewall", "/nodes/pve1/firewall"
SOURCES = "/etc/apt/sources.list.d"
# A fresh Proxmox VE: its package sources (nobody answers under its servers' names, which is told at
# once), the folder of its files, and a kernel that could serve NFS.
_PREPARE = f"""
mkdir -p /etc/pve/qemu-server /etc/pve/lxc
key=/usr/share/keyrings/proxmox-archive-keyring.gpg
cp /usr/share/keyrings/debian-archive-keyring.gpg $key
echo '127.0.0.1 download.proxmox.com enterprise.proxmox.com' >>/etc/hosts
printf 'Types: deb\\nURIs: https://enterprise.proxmox.com/debian/pve\\nSuites: trixie
Components: pve-enterprise\\nSigned-By: %s\\n' $key >{SOURCES}/pve-enterprise.sources
printf '#!/bin/sh\\n[ "$*" = "-n -q nfsd" ]\\n' >/usr/local/sbin/modprobe
chmod +x /usr/local/sbin/modprobe
cat >/etc/systemd/system/nfs-server.service <<END
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/exportfs -r
ExecStopPost=/usr/sbin/exportfs -au
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
"""
_STATE = f"""
zfs list -H -o name; zfs list -H -o name |
while read -r one; do zfs get -H -o name,property,value,source all "$one" </dev/null; done |
    grep -E '	(quota|recordsize|compression|sync|atime|mountpoint|mounted|phx:[a-z]*)	'
cat /etc/modprobe.d/zfs.conf /sys/module/zfs/parameters/zfs_arc_max
cat /etc/samba/smb.conf; pdbedit -Lw | cut -d: -f1-5
systemctl show -p MainPID,ActiveState,UnitFileState smbd
cat /etc/exports.d/phoenix.exports; sort /var/lib/nfs/etab
readlink /etc/localtime; getent passwd ann eve; cat /etc/sudoers.d/phoenix-* /home/*/.ssh/*
for each in {SOURCES}/*; do echo "$each"; cat "$each"; done; cat /srv/papers/letter
"""


@dataclass
class Server:
    """The node, Proxmox VE's API, and the folder with the file."""

    node: zfs_container.ZfsContainer
    double: pve.Pve
    folder: Path
    first: str = ""
    """What the first plan said."""
    example: str = ""
    """What the plan of examples/home-server said, when nothing was there yet."""

    def write(self, words: dict[str, Any], stack: str) -> None:
        """The host file, for this node."""
        words["hypervisor"] |= {
            "endpoint": self.double.url,
            "ca_file": self.double.ca_file,
            "token_id": pve.TOKEN,
            "stack": stack,
        }
        self.folder.mkdir(exist_ok=True)
        (self.folder / FILE.name).write_text(json.dumps(words))

    def phoenix(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs a command on the folder."""
        return subprocess.run(
            [str(PHOENIX), "--dir", str(self.folder), *words],
            env=os.environ
            | dict.fromkeys(test_home_server.SECRETS, "an example's value")
            | SECRETS
            | {"PHOENIX_NODE_SHELL": self.node.shell},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )

    def planned(self) -> str:
        """A plan that is possible, with changes."""
        done = self.phoenix("host", "plan", "--detailed-exitcode")
        assert done.returncode == 2, done.stdout + done.stderr
        return done.stdout

    def apply(self) -> str:
        """Applies; it looks again itself, and fails where something is left."""
        done = self.phoenix("host", "apply", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def pending(self) -> dict[str, dict[str, tuple[Any, Any]]]:
        """What a plan would change: address to fields, each from what to what."""
        done = self.phoenix("--json", "host", "plan")
        assert done.returncode == 0, done.stdout + done.stderr
        assert not any(secret in done.stdout + done.stderr for secret in SECRETS.values())
        return {
            change["address"]: {
                one["path"]: (one["before"], one["after"]) for one in change["fields"]
            }
            for change in json.loads(done.stdout.splitlines()[-1])["changes"]
        }

    def state(self) -> list[str]:
        """All that the file is about, as the node and the API tell it."""
        told = self.node.run(_STATE).splitlines()
        for path in ("/storage", *(f"{at}/{what}" for at in (CLUSTER, NODE)
                                   for what in ("options", "rules"))):  # fmt: skip
            told += self._rows(path)
        for path in (f"{CLUSTER}/aliases", f"{CLUSTER}/ipset", f"{CLUSTER}/groups"):
            told += self._rows(path)
        told += [
            row for name in ("admins", "shut") for row in self._rows(f"{CLUSTER}/ipset/{name}")
        ]
        return told + self._rows(f"{CLUSTER}/groups/web")

    def _rows(self, path: str) -> list[str]:
        found = self.get(path)
        rows = found if isinstance(found, list) else [found]
        if path == f"{CLUSTER}/options":  # Proxmox VE's own policies, where none is said
            rows = [{"policy_in": "DROP", "policy_out": "ACCEPT"} | one for one in rows]
        bare = [{key: one[key] for key in sorted(one) if key != "digest"} for one in rows]
        return [f"{path} {json.dumps(one)}" for one in bare]

    def get(self, path: str) -> Any:
        """A read of the API."""

        async def ask() -> Any:
            async with self.double.api() as api:
                return await api.get(path)

        return asyncio.run(ask())

    def send(self, method: str, path: str, **values: Any) -> None:
        """A write by somebody else."""

        async def ask() -> None:
            async with self.double.api() as api:
                await api.run(method, path, **values)

        asyncio.run(ask())

    def smb(self, share: str, user: str, command: str) -> str:
        """What a client says of a share, whether it worked or not."""
        login = f"username={user}\npassword={SECRETS[user.upper()]}\n"
        script = f"smbclient -A /root/login //127.0.0.1/{share} -c '{command}' 2>&1 || true"
        self.node.run(f"cat >/root/login <<'END'\n{login}END")
        return self.node.run(script)


def _example(server: Server, stack: str) -> Server:
    """examples/home-server with what everybody must put in: the disks, and no more memory than
    there is."""
    shutil.copytree(test_home_server.ROOT / "examples/home-server", server.folder)
    text = (server.folder / FILE.name).read_text()
    for number, name in enumerate(("FIRST", "SECOND", "THIRD"), start=1):
        text = text.replace(f"nvme-{name}", f"phxt-nvme{number}")
    words: dict[str, Any] = json.loads(text)
    words["zfs"]["arc_max_gb"] = 0.5
    server.write(words, stack)
    return server


@pytest.fixture(scope="module")
def server(incus_daemon: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The node as it is after the first apply."""
    corner, folder = lab.Lab("r"), tmp_path_factory.mktemp("whole")
    bench = Bench.of(corner, folder, "node")
    bench.change("node", unprivileged=False)
    try:
        bench.make()
        with (
            pve.started(time_scale=0.001) as double,
            zfs_container.started(bench, "node", folder) as node,
        ):
            asyncio.run(double.token(*pve.PRIVILEGES, "Datastore.Allocate"))
            for name in ("nvme1", "nvme2", "nvme3"):
                node.disk(name)
            node.run(_PREPARE)
            found = Server(node, double, folder / "files")
            example = Server(node, double, folder / "example")
            found.example = _example(example, corner.name).planned()
            found.write(json.loads(FILE.read_text()), corner.name)
            found.first = found.planned()
            assert node.run("ls /mnt; zpool list") == "no pools available\n"
            found.apply()
            node.run("apt-get install -qqy smbclient >/dev/null; echo dear >/srv/papers/letter")
            yield found
    finally:
        lab.clear(corner.name)


def test_the_whole_file_is_planned_applied_and_then_nothing_is_left(server: Server) -> None:
    words = json.loads(FILE.read_text())
    assert (len(words["zfs"]["pools"]), len(words["zfs"]["datasets"])) == (2, 11)
    rules = words["firewall"]["node_rules"] + words["firewall"]["global_firewall_rules"]
    assert (len(words["samba"]["shares"]), len(rules)) == (5, 30)
    for said in ("zpool/quickOS", "dataset/fastData/models/llm", "storage/fastData-shared-iso",
                 "firewall/datacenter", "host/samba", "host/nfs_server", "host/base_setup",
                 "host/package_sources"):  # fmt: skip
        assert said in server.first
    done = server.phoenix("host", "plan", "--detailed-exitcode")
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.pending() == {}

    assert sorted(server.node.pools()) == ["fastData", "quickOS"]
    made = {one["storage"] for one in server.get("/storage")}
    assert len([one for one in made if one.startswith(("quickOS-", "fastData-"))]) == 8
    assert (len(server.get(f"{CLUSTER}/rules")), len(server.get(f"{NODE}/rules"))) == (28, 2)
    exported = server.node.run("cut -d'(' -f1 /var/lib/nfs/etab | sort").splitlines()
    assert exported == [
        "/mnt/pve/fastData/models\t10.0.0.0/16",
        "/mnt/pve/fastData/shared-bulk-data\t10.0.0.0/24",
        "/mnt/pve/fastData/shared-bulk-data\t10.0.3.9",
        "/mnt/pve/quickOS/shared-prod-data\t10.0.0.0/24",
    ]
    assert server.node.run("readlink /etc/localtime").endswith("/Europe/Vienna\n")
    assert "(ALL : ALL) ALL" in server.node.run("sudo -l -U ann")


def test_the_file_of_the_example_is_possible_here_too(server: Server) -> None:
    for said in ("zpool/tank", "dataset/tank/models/gguf", "storage/tank-backups", "host/samba",
                 "host/dnsmasq", "firewall/pve1", "backup/nightly"):  # fmt: skip
        assert said in server.example


def test_all_shares_are_served_from_their_datasets(server: Server) -> None:
    server.node.run("echo from afar >/tmp/letter")
    for share, user, folder in (
        ("prod", "kim", "/mnt/pve/quickOS/shared-prod-data"),
        ("test", "bob", "/mnt/pve/fastData/shared-test-data"),
        ("bulk", "kim", "/mnt/pve/fastData/shared-bulk-data"),
        ("papers", "bob", "/srv/papers"),
    ):
        assert "putting file" in server.smb(share, user, "put /tmp/letter note")
        told = server.node.run(f"cat {folder}/note; stat -c %U {folder}/note; rm {folder}/note")
        assert told == "from afar\nfiles\n"
    assert "NT_STATUS_ACCESS_DENIED" in server.smb("models", "kim", "put /tmp/letter note")
    assert "blocks" in server.smb("models", "kim", "ls")
    assert "NT_STATUS_ACCESS_DENIED" in server.smb("prod", "bob", "ls")


def properties(server: Server) -> None:
    server.node.run("zfs set sync=disabled quickOS/vm-disks; zfs set recordsize=8K quickOS/ssl")
    server.node.run("zfs set compression=off fastData/shared-backups")


def quota(server: Server) -> None:
    server.node.run("zfs set quota=9M fastData/models")


def cache(server: Server) -> None:
    server.node.run("echo 12345 >/sys/module/zfs/parameters/zfs_arc_max")


def content(server: Server) -> None:
    server.send("PUT", "/storage/fastData-shared-iso", content="iso")
    server.send("DELETE", "/storage/quickOS-vm-disks")


def share(server: Server) -> None:
    server.node.run(
        "sed -i '/^\\[models\\]/,$ s/read only = yes/read only = no/' /etc/samba/smb.conf"
    )
    server.node.run("smbcontrol smbd reload-config")


def password(server: Server) -> None:
    server.node.run("printf 'other\\nother\\n' | smbpasswd -s bob")


def export(server: Server) -> None:
    server.node.run("sed -i '/models/ s/(ro,/(rw,/' /etc/exports.d/phoenix.exports; exportfs -ra")


def rules(server: Server) -> None:
    server.send("PUT", f"{CLUSTER}/rules/4", dport="54")
    server.send("DELETE", f"{NODE}/rules/1")
    server.send("POST", f"{CLUSTER}/ipset/admins", cidr="10.9.9.9")
    builder = server.get(f"{CLUSTER}/aliases/builder")
    told = {"cidr": "10.0.3.8", "comment": builder["comment"]}
    server.send("PUT", f"{CLUSTER}/aliases/builder", **told)
    server.send("PUT", f"{CLUSTER}/options", policy_in="ACCEPT")


def people(server: Server) -> None:
    server.node.run("rm /etc/sudoers.d/phoenix-ann; sed -i /desk/d /home/eve/.ssh/authorized_keys")
    server.node.run("ln -sf /usr/share/zoneinfo/UTC /etc/localtime")


def sources(server: Server) -> None:
    server.node.run(f"sed -i /Enabled/d {SOURCES}/pve-enterprise.sources")


DRIFTS: dict[Callable[[Server], None], dict[str, dict[str, tuple[Any, Any]]]] = {
    properties: {
        "dataset/quickOS/vm-disks": {"sync": ("disabled", "standard")},
        "dataset/quickOS/ssl": {"recordsize": ("8 KiB", "16 KiB")},
        "dataset/fastData/shared-backups": {"compression": ("off", "zstd-3")},
    },
    quota: {"dataset/fastData/models": {"quota": ("9 MiB", "8 MiB")}},
    cache: {"host/zfs-arc": {"now": ("12.06 KiB (12345 bytes)", "512 MiB")}},
    content: {
        "storage/fastData-shared-iso": {"content": ("iso", "iso,vztmpl")},
        "storage/quickOS-vm-disks": {},
    },
    share: {"host/samba": {}},
    password: {"host/samba": {}},
    export: {"host/nfs_server": {}},
    rules: {
        "firewall/datacenter": {},
        "firewall/options": {"policy_in": ("ACCEPT", "DROP")},
        "firewall/pve1": {},
        "ipset/admins": {},
        "alias/builder": {},
    },
    people: {"host/base_setup": {}},
    sources: {"host/package_sources": {}},
}


@pytest.mark.parametrize("drift", DRIFTS, ids=lambda drift: drift.__name__)
def test_what_was_changed_by_hand_is_found_and_mended_live(
    server: Server, drift: Callable[[Server], None]
) -> None:
    before, wanted = server.state(), DRIFTS[drift]
    drift(server)
    assert server.state() != before
    found = server.pending()
    assert sorted(found) == sorted(wanted)
    assert {at: fields for at, fields in found.items() if wanted[at]} == {
        at: fields for at, fields in wanted.items() if fields
    }
    server.apply()
    assert server.pending() == {}
    assert server.state() == before
