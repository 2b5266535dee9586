"""`phoenix host` and the firewall above the guests, on the tests' double of Proxmox VE."""

import asyncio
import json
import os
from collections.abc import Iterator
from copy import deepcopy
from typing import Any
from urllib.parse import quote

import pytest
from tests.unit.cli import on_pve
from tests.unit.cli.on_pve import OnPve

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the node mounts folders")

_FROM = "10.0.0.7"
_NODE = "/nodes/pve1/firewall"
_CLUSTER = "/cluster/firewall"
_SERVICES = (22, 8006, 80, 443, 53, 111, 2049, 139, 445, 3128, 5432, 6333, 6379, 8000, 8080, 9000,
             9090, 9100, 9443, 11434)  # fmt: skip
FIREWALL: dict[str, Any] = {
    "default_input_policy": "DROP",
    "aliases": {"office": "10.0.0.0/24", "builder": "10.0.3.9"},
    "ipsets": {"admins": ["office", "203.0.113.8"], "shut": ["10.0.66.0/24", "!10.0.66.1"]},
    "groups": {
        "web": [
            {"type": "in", "action": "ACCEPT", "macro": "Web"},
            {"type": "in", "action": "DROP", "proto": "tcp", "port": "8000-8100"},
        ]
    },
    "node_rules": [
        {"type": "in", "action": "ACCEPT", "macro": "SSH", "source": "+admins"},
        {"type": "in", "action": "ACCEPT", "proto": "tcp", "port": 8006, "source": "office"},
    ],
    "global_firewall_rules": [
        *(
            {"type": "in", "action": "ACCEPT", "proto": "tcp", "port": port,
             "source": "10.0.0.0/16", "comment": f"service {port}"}
            for port in _SERVICES
        ),
        *(
            {"type": "in", "action": "REJECT", "proto": "udp", "port": port}
            for port in ("137-138", 161, 1900, 5353)
        ),
        {"group": "web"},
        {"type": "out", "action": "DROP", "dest": "198.51.100.0/24"},
        {"type": "in", "action": "DROP", "source": "+shut"},
        {"type": "in", "action": "ACCEPT", "proto": "icmp", "source": "builder"},
    ],
}  # fmt: skip


class Host:
    """A folder with a firewall, and the commands on it."""

    def __init__(self, on: OnPve) -> None:
        self.on = on
        self.folder = on.place / "home"
        self.folder.mkdir(exist_ok=True)

    def write(self, firewall: dict[str, Any]) -> None:
        target = {
            "driver": "proxmox",
            "endpoint": self.on.double.url,
            "token_id": "phoenix@pve!tests",
            "token_secret": {"secret": "PHOENIX_PVE_TOKEN"},
            "ca_file": self.on.double.ca_file,
            "stack": "home",
        }
        words = {"hypervisor": target, "firewall": firewall}
        (self.folder / "phoenix_hypervisor_config.json").write_text(json.dumps(words))

    def run(self, *words: str, came_from: str = _FROM) -> str:
        done = self.on.run(
            "--dir",
            str(self.folder),
            "host",
            *words,
            SSH_CONNECTION=f"{came_from} 40000 10.0.0.2 22",
        )
        return f"{done.stdout}{done.stderr}\nstatus {done.returncode}"

    def get(self, path: str) -> Any:
        async def ask() -> Any:
            async with self.on.double.api() as api:
                return await api.get(path)

        return asyncio.run(ask())

    def send(self, method: str, path: str, **values: Any) -> None:
        async def ask() -> None:
            async with self.on.double.api() as api:
                await api.run(method, path, **values)

        asyncio.run(ask())

    async def emptied(self) -> None:
        """What tests before left is taken away: the double keeps it."""
        async with self.on.double.api() as api:
            names = [one["group"] for one in await api.get(f"{_CLUSTER}/groups")]
            groups = [f"{_CLUSTER}/groups/{name}" for name in names]
            for path in (f"{_NODE}/rules", f"{_CLUSTER}/rules", *groups):
                for _ in await api.get(path):
                    await api.delete(f"{path}/0")
            for path in groups:
                await api.delete(path)
            for one in await api.get(f"{_CLUSTER}/ipset"):
                path = f"{_CLUSTER}/ipset/{one['name']}"
                for entry in await api.get(path):
                    await api.delete(f"{path}/{quote(entry['cidr'], safe='')}")
                await api.delete(path)
            for one in await api.get(f"{_CLUSTER}/aliases"):
                await api.delete(f"{_CLUSTER}/aliases/{one['name']}")
            await api.put(f"{_CLUSTER}/options", delete="enable,policy_in,policy_out")

    def rules(self, where: str = _CLUSTER) -> list[str]:
        rows = sorted(self.get(f"{where}/rules"), key=lambda row: row["pos"])
        assert all(row["enable"] == 1 for row in rows)
        return [
            f"{r['type']} {r['action']} {r.get('dport', '')} {r.get('comment', '')}".strip()
            for r in rows
        ]


@pytest.fixture(scope="module")
def _on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnPve]:
    with on_pve.started(tmp_path_factory.mktemp("pve")) as on:
        yield on


@pytest.fixture
def host(_on: OnPve) -> Host:
    found = Host(_on)
    asyncio.run(found.emptied())
    return found


def test_thirty_rules_are_planned_applied_and_then_nothing_is_left(host: Host) -> None:
    host.write(FIREWALL)
    count = len(FIREWALL["node_rules"]) + len(FIREWALL["global_firewall_rules"])
    assert count == 30
    planned = host.run("plan", "--detailed-exitcode")
    assert "status 2" in planned
    for said in (
        "firewall/datacenter",
        "firewall/pve1",
        "ipset/admins",
        "group/web",
        "(service 22)",
    ):
        assert said in planned
    assert host.rules() == []
    applied = host.run("apply", "--yes")
    assert "status 0" in applied, applied
    rules = host.rules()
    assert len(rules) == 28
    assert rules[0] == "in ACCEPT 22 service 22 [phoenix home]"
    assert rules[-3] == "out DROP  [phoenix home]"
    assert len(host.rules(_NODE)) == 2
    assert host.get(f"{_CLUSTER}/options")["enable"] >= 1
    assert "status 0" in host.run("plan", "--detailed-exitcode")


def test_drift_is_mended_and_foreign_rules_keep_their_place(host: Host) -> None:
    for port in (1, 2):
        host.send("POST", f"{_CLUSTER}/rules", type="in", action="ACCEPT", enable="1", proto="tcp",
                  dport=str(port), comment=f"theirs {port}")  # fmt: skip
    host.write(FIREWALL)
    assert "status 0" in host.run("apply", "--yes")
    ours = host.rules()[:-2]
    assert host.rules()[-2:] == ["in ACCEPT 2 theirs 2", "in ACCEPT 1 theirs 1"]
    host.send("PUT", f"{_CLUSTER}/rules/29", moveto="3")  # theirs 1 is put between ours
    host.send("DELETE", f"{_CLUSTER}/rules/0")  # service 22
    host.send("PUT", f"{_CLUSTER}/rules/6", dport="54")
    host.send("PUT", f"{_CLUSTER}/rules/9", moveto="1")
    host.send("POST", f"{_CLUSTER}/ipset/admins", cidr="10.9.9.9")
    host.send("PUT", f"{_CLUSTER}/aliases/builder", cidr="10.0.3.8")
    host.send("PUT", f"{_CLUSTER}/options", policy_in="ACCEPT")
    planned = host.run("plan", "--detailed-exitcode")
    for said in ("status 2", "ipset/admins", "alias/builder", "policy_in", "port 54"):
        assert said in planned
    applied = host.run("apply", "--yes")
    assert "status 0" in applied, applied
    after = host.rules()
    assert [rule for rule in after if "phoenix home" in rule] == ours
    theirs = [rule for rule in after if "theirs" in rule]
    assert theirs == ["in ACCEPT 1 theirs 1", "in ACCEPT 2 theirs 2"]
    assert 0 < after.index(theirs[0]) < 6
    assert host.get(f"{_CLUSTER}/options")["policy_in"] == "DROP"
    assert "status 0" in host.run("plan", "--detailed-exitcode")


def test_what_the_files_no_longer_name_goes_and_what_is_theirs_stays(host: Host) -> None:
    host.write(FIREWALL)
    assert "status 0" in host.run("apply", "--yes")
    host.send("POST", f"{_CLUSTER}/rules", type="in", action="DROP", enable="1",
              comment="[phoenix x]", source="203.0.113.99")  # fmt: skip
    fewer = deepcopy(FIREWALL)
    fewer["global_firewall_rules"] = fewer["global_firewall_rules"][:3]
    host.write(fewer)
    assert "status 0" in host.run("apply", "--yes")
    assert len(host.rules()) == 4
    assert host.rules()[0] == "in DROP  [phoenix x]"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {"node_rules": [{"type": "in", "action": "DROP", "source": "10.0.0.0/8"}]},
            "rule 0 of the node: in DROP from 10.0.0.0/8",
        ),
        (
            {"node_rules": [], "global_firewall_rules": []},
            "the policy for incoming traffic, DROP",
        ),
        ({"ipsets": {"blacklist": ["10.0.0.7"], "admins": ["office"], "shut": []}}, "blacklist"),
    ],
)
def test_what_locks_the_operator_out_is_refused(
    host: Host, change: dict[str, Any], why: str
) -> None:
    host.write(FIREWALL | change)
    planned = host.run("plan")
    assert "status 1" in planned
    assert f"connections from {_FROM} to port 22" in " ".join(planned.split())
    assert why in " ".join(planned.split())
    assert "status 0" not in host.run("apply", "--yes")
    assert host.rules() == []
    assert host.get(f"{_CLUSTER}/options").get("enable", 0) == 0


def test_others_who_must_get_in_and_names_that_nobody_knows(host: Host) -> None:
    host.write(FIREWALL | {"operators": ["192.0.2.4"]})
    assert "connections from 192.0.2.4 to port 22" in " ".join(host.run("plan").split())
    rule = {"type": "in", "action": "ACCEPT", "source": "+nobody"}
    host.write(FIREWALL | {"node_rules": [*FIREWALL["node_rules"], rule]})
    assert "the IP set nobody is neither declared nor there" in " ".join(host.run("plan").split())


def test_it_is_switched_off_without_touching_a_rule(host: Host) -> None:
    host.write(FIREWALL)
    assert "status 0" in host.run("apply", "--yes")
    before = host.rules()
    host.write(FIREWALL | {"enabled": False, "global_firewall_rules": []})
    assert "status 0" in host.run("apply", "--yes")
    assert host.get(f"{_CLUSTER}/options")["enable"] == 0
    assert host.rules() == before


def test_switched_on_it_is_judged_for_the_other_nodes_too(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with on_pve.started(tmp_path_factory.mktemp("two"), "pve1", "pve2") as on:
        host, there = Host(on), "/nodes/pve2/firewall/rules"
        host.write(FIREWALL)
        host.send("POST", there, type="in", action="DROP", enable="1", source=_FROM)
        told = " ".join(host.run("plan").split())
        assert f"connections from {_FROM} to port 22 of pve2 meet rule 0 of the node" in told
        host.send("PUT", f"{there}/0", action="ACCEPT")
        assert "status 0" in host.run("plan")
        asyncio.run(on.double.call("set_node_offline", "pve2"))
        told = " ".join(host.run("apply", "--yes").split())
        assert "it holds on pve2 too" in told
        assert host.get(f"{_CLUSTER}/options").get("enable", 0) == 0
