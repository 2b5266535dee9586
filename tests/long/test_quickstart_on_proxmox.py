"""The quickstart on Proxmox VE: its own files, with only `hypervisor` changed.

The API is the double's; the insides are real LXC containers with the same ids, on a node that is
reached by SSH. The product runs in that node's network, since this machine may have the
quickstart's own network (`make up`) with the same addresses.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.pve.folder import HYPERVISOR, LXC, PHOENIX, ROOT, NodeFolder
from tests.support import lab, pve
from tests.support.node import Node
from tests.support.player import Player, playing

from phoenix_hypervisor.drivers.proxmox import privileges
from phoenix_hypervisor.drivers.proxmox.api.client import path

pytestmark = [pytest.mark.incus, pytest.mark.long]
POOL, BRIDGE, NETWORK = "phoenix-quickstart", "phxquick0", "10.98.76"
WEB, API = 103, 102
TEMPLATE = "debian-13-standard_13.1-2_amd64.tar.zst"
ADDRESSES = {
    "lxc/900": [],
    "lxc/101": [f"{NETWORK}.11"],
    "lxc/102": [f"{NETWORK}.12"],
    "lxc/103": [f"{NETWORK}.13"],
    "lxc/104": [f"{NETWORK}.14"],
}


@dataclass(frozen=True)
class Quickstart(NodeFolder):
    """The folder, on the double with its node; `on_incus` is the same one on this machine."""

    node: Node
    player: Player
    double: pve.Pve

    def run(self, *words: str, limit_s: float = 300) -> subprocess.CompletedProcess[str]:
        """Runs a command in the node's network."""
        return self._run(*self.node.from_there(), PHOENIX, "--dir", self.path, *words)

    def on_incus(self, *words: str) -> str:
        """What a command on this machine's Incus prints."""
        done = self._run(PHOENIX, "--dir", self.path, "--on", "incus", *words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def fetch(self, where: str) -> str:
        """What the web guest answers."""
        script = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=20).read())"
        url = f"http://{NETWORK}.13{where}"
        done = self._run(*self.node.from_there(), sys.executable, "-c", script, url)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def by_hand(self, method: str, vmid: int, *more: str, **params: Any) -> None:
        """What a person does on Proxmox VE's own pages."""

        async def run() -> None:
            async with self.double.api() as api:
                await api.run(method, path("nodes", "pve1", "lxc", vmid, *more), **params)

        asyncio.run(run())

    def asked(self) -> tuple[pve.Request, ...]:
        """What the API was asked so far."""
        return asyncio.run(self.double.asked()).requests

    def ids(self) -> dict[str, str]:
        """The states of the real containers, by id."""
        script = "for f in /var/lib/lxc/*; do echo ${f##*/} $(phx-guest state ${f##*/}); done"
        return dict(line.split() for line in self.node.sh(script).splitlines())

    def _run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env=dict(self.environ),
        )


@pytest.fixture(scope="module")
def quickstart(
    incus_daemon: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Quickstart]:
    folder = tmp_path_factory.mktemp("proxmox")
    node = Node(folder / "node", guests=NETWORK, bridge=BRIDGE)
    player = Player(node)
    try:
        node.make()
        with playing(player) as url, pve.started(files=True, insides=url) as double:
            node.use_api(double.url, "root@pam", pve.PASSWORD)
            node.use_files(double.files)
            asyncio.run(_prepare(double))
            _copy(folder / "quickstart", node, double)
            own = {k: v for k, v in os.environ.items() if not k.startswith("PHOENIX_")}
            yield Quickstart(folder / "quickstart", own, node, player, double)
            asked = asyncio.run(double.asked())
            assert [f"{one}: {one.reason}" for one in asked.refused] == []
            print(f"{len(asked.requests)} requests, none refused for its parameters")  # noqa: T201
    finally:
        node.clear()


async def _prepare(double: pve.Pve) -> None:
    """What a fresh node has: the documented role's token, a storage, a bridge, a template."""
    await double.token(*privileges.BASE)
    await double.storage(POOL, "zfspool", "rootdir,images", pool="tank/quickstart")
    await double.bridge(BRIDGE, f"{NETWORK}.1/24")
    await double.template(TEMPLATE)


def _copy(to: Path, node: Node, double: pve.Pve) -> None:
    """The example as it is, but for `hypervisor`."""
    ignored = shutil.ignore_patterns(".phoenix*", "__pycache__")
    shutil.copytree(ROOT / "examples" / "quickstart", to, ignore=ignored)
    words = json.loads((to / HYPERVISOR).read_text())
    words["hypervisor"] |= {
        "driver": "proxmox",
        "endpoint": double.url,
        "node": "pve1",
        "token_id": pve.TOKEN,
        "token_secret": {"secret": "PVE_TOKEN"},
        "ca_file": double.ca_file,
        "ssh": {
            "host": node.address,
            "identity_file": str(node.key),
            "known_hosts": str(node.known_hosts),
        },
    }
    (to / HYPERVISOR).write_text(json.dumps(words, indent=1))
    secrets = to / ".phoenix-secrets.env"
    secrets.touch(mode=0o600)
    own = "PORTFOLIO_DB_PASSWORD=of-the-test-7\nLLM_API_KEY=of-the-test-8\n"
    secrets.write_text(f"{own}PVE_TOKEN={pve.TOKEN_SECRET}\n")


def addresses(status: Any) -> dict[str, list[str]]:
    """The addresses in `phoenix --json status`, by guest."""
    return {one["address"]: one["addresses"] for one in status["guests"]}


class TestQuickstart:
    def test_from_nothing_to_verified_data(self, quickstart: Quickstart) -> None:
        print(quickstart.ok("apply", "--yes"))  # noqa: T201
        assert "<title>Portfolio</title>" in quickstart.fetch("/")
        assert "tsvector" in quickstart.fetch("/api/projects?q=postgres")
        assert quickstart.ids() == {
            "101": "running",
            "102": "running",
            "103": "running",
            "104": "running",
            "900": "stopped",
        }

    def test_a_second_apply_changes_nothing(self, quickstart: Quickstart) -> None:
        done, asked = list(quickstart.player.played), len(quickstart.asked())
        assert quickstart.changes() == []
        assert "no changes" in quickstart.ok("apply", "--yes")
        assert {one.method for one in quickstart.asked()[asked:]} == {"GET"}
        assert quickstart.player.played == done

    def test_status_tells_health_and_addresses(self, quickstart: Quickstart) -> None:
        status = quickstart.json("status")
        running = [one for one in status["guests"] if one["state"] == "running"]
        assert [one["healthy"] for one in running] == [True] * 4
        assert addresses(status) == ADDRESSES

    def test_the_same_files_on_incus_give_the_same_addresses(self, quickstart: Quickstart) -> None:
        """Where `make up` has made the same stack, that one is left alone, and planned against."""
        if BRIDGE in {one["name"] for one in lab.query("/1.0/networks?recursion=1")}:
            print(f"{BRIDGE} is here already, of `make up`: compared by a plan, not by an apply")  # noqa: T201
            changes = json.loads(quickstart.on_incus("--json", "plan"))["changes"]
            moved = [(c["address"], f) for c in changes for f in c["fields"] if _is_of_network(f)]
            assert moved == []
            return
        try:
            quickstart.on_incus("apply", "--yes")
            assert addresses(json.loads(quickstart.on_incus("--json", "status"))) == ADDRESSES
        finally:
            quickstart.on_incus("destroy", "--all", "--yes")


def _is_of_network(field: Any) -> bool:
    return bool(field["path"].startswith("network."))


class TestWorstReports:
    """What users of other tools suffer from."""

    def test_a_new_mount_keeps_the_guest(self, quickstart: Quickstart) -> None:
        quickstart.ok("exec", "web", "--", "sh", "-c", "echo kept >/root/kept")
        words = quickstart.words()
        words["lxc_configs"][str(WEB)]["mount_points"] = [
            {"host_path": "/srv/pictures", "container_path": "/srv/pictures"}
        ]
        quickstart.write(words)
        assert quickstart.changes() == [(f"lxc/{WEB}", "update", "live")]
        done = list(quickstart.player.played)
        quickstart.ok("apply", "--yes")
        assert quickstart.player.played == done
        said = quickstart.ok(
            "exec", "web", "--", "sh", "-c", "cat /root/kept; echo a >/srv/pictures/a"
        )
        assert said.strip() == "kept"
        assert quickstart.node.sh("cat /srv/pictures/a").strip() == "a"
        assert quickstart.changes() == []

    def test_a_lost_answer_makes_no_second_guest(self, quickstart: Quickstart) -> None:
        """The guest is made, the answer gets lost: it is kept, and configured to the end."""
        quickstart.by_hand("POST", WEB, "status", "stop")
        quickstart.by_hand("DELETE", WEB)
        assert [change[:2] for change in quickstart.changes()] == [(f"lxc/{WEB}", "create")]
        done = len(quickstart.player.played)
        asyncio.run(quickstart.double.answer("POST", "/900/clone", 599, when="after"))
        quickstart.ok("apply", "--yes")
        lost = [one for one in quickstart.asked() if one.status == 599]
        assert [str(one) for one in lost] == ["POST /nodes/pve1/lxc/900/clone"]
        assert quickstart.player.played[done:] == [f"vzclone {WEB}", f"vzstart {WEB}"]
        assert "<title>Portfolio</title>" in quickstart.fetch("/")
        assert quickstart.changes() == []


class TestRollbackByHand:
    def test_the_plan_is_not_empty_where_the_inside_differs(self, quickstart: Quickstart) -> None:
        quickstart.by_hand("POST", API, "snapshot", snapname="byhand")
        words = quickstart.words(LXC)
        service = words["lxc_configs"][str(API)]["python_api_service"]
        service["environment"]["EXTRA"] = "of-the-test"
        quickstart.write(words)
        quickstart.ok("apply", "--yes")
        assert "EXTRA" in _environment(quickstart)
        assert quickstart.changes() == []

        quickstart.by_hand("POST", API, "snapshot", "byhand", "rollback", start="1")
        assert "EXTRA" not in _environment(quickstart)
        (change,) = quickstart.json("plan")["changes"]
        assert (change["address"], change["action"]) == (f"lxc/{API}", "configure")
        quickstart.ok("apply", "--yes")
        assert "EXTRA" in _environment(quickstart)
        assert quickstart.changes() == []
        assert "tsvector" in quickstart.fetch("/api/projects?q=postgres")


def _environment(quickstart: Quickstart) -> str:
    """The settings of the service in its guest."""
    return quickstart.ok("exec", "api", "--", "cat", "/etc/phoenix/portfolio-api/environment")
