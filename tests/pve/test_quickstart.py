"""The quickstart on a real node: its page and its data, changed, rolled back by hand, and away."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from tests.pve.folder import LXC, NodeFolder, quickstart
from tests.pve.node import PveKit, Setting

from phoenix_hypervisor.drivers.proxmox.api.client import path

pytestmark = pytest.mark.pve
_FIRST = 40  # of the range of ids: the conformance suite has those before


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> PveKit:
    return PveKit.make(tmp_path_factory.mktemp("pve-quickstart"), Setting())


@pytest.fixture(scope="module")
def folder(kit: PveKit) -> Iterator[NodeFolder]:
    made = quickstart(kit, kit.folder / "quickstart", _FIRST)
    made.ok("destroy", "--all", "--yes")  # what an earlier run left
    yield made
    made.ok("destroy", "--all", "--yes")


def _fetch(folder: NodeFolder, kit: PveKit, url_path: str) -> str:
    """What the web guest answers, asked from inside another guest: this machine may not route."""
    web = kit.ip(_FIRST + 3).partition("/")[0]
    script = (
        "import sys, urllib.request as u; "
        f"sys.stdout.write(u.urlopen('http://{web}{url_path}', timeout=20).read().decode())"
    )
    return folder.ok("exec", "api", "--", "python3", "-c", script)


class TestQuickstart:
    def test_from_nothing_to_verified_data(
        self, folder: NodeFolder, kit: PveKit, request: pytest.FixtureRequest
    ) -> None:
        began = time.monotonic()
        said = folder.ok("apply", "--yes")
        took = f"applied and verified in {time.monotonic() - began:.0f} s"
        request.config.get_terminal_writer().line(f"{said}\n{took}")
        assert "<title>Portfolio</title>" in _fetch(folder, kit, "/")
        assert "tsvector" in _fetch(folder, kit, "/api/projects?q=postgres")
        assert folder.changes() == []

    def test_health_is_told(self, folder: NodeFolder) -> None:
        guests = folder.json("check")["guests"]
        assert [one["healthy"] for one in guests if one["state"] == "running"] == [True] * 4

    def test_memory_is_one_live_change(self, folder: NodeFolder, kit: PveKit) -> None:
        words = folder.words()
        ident = str(kit.id(_FIRST + 3))
        words["lxc_configs"][ident]["memory_mb"] = 640
        folder.write(words)
        assert folder.changes() == [(f"lxc/{ident}", "update", "live")]
        folder.ok("apply", "--yes")
        assert folder.changes() == []

    def test_a_new_mount_keeps_the_guest(self, folder: NodeFolder, kit: PveKit) -> None:
        """The worst report on today's tools: there it destroys the container."""
        folder.ok("exec", "web", "--", "sh", "-c", "echo kept >/root/kept")
        words = folder.words()
        ident = str(kit.id(_FIRST + 3))
        words["lxc_configs"][ident]["mount_points"] = [
            {"host_path": kit.host_folder("quick"), "container_path": "/srv/quick"}
        ]
        folder.write(words)
        assert folder.changes() == [(f"lxc/{ident}", "update", "live")]
        folder.ok("apply", "--yes")
        said = folder.ok("exec", "web", "--", "sh", "-c", "cat /root/kept; touch /srv/quick/a")
        assert said.strip() == "kept"
        assert folder.changes() == []
        asyncio.run(kit.clear_folders())

    def test_after_a_rollback_by_hand_the_plan_is_not_empty(
        self, folder: NodeFolder, kit: PveKit
    ) -> None:
        vmid = kit.id(_FIRST + 2)
        node = kit.setting.get("NODE")

        async def by_hand(*steps: tuple[str, str, dict[str, str]]) -> None:
            async with kit.setting.api() as api:
                for method, end, params in steps:
                    where = path("nodes", node, "lxc", vmid, *end.split("/"))
                    await api.run(method, where, None, 600, **params)

        asyncio.run(by_hand(("POST", "snapshot", {"snapname": "byhand"})))
        words = folder.words()
        words["lxc_configs"][str(vmid)]["python_api_service"]["environment"]["EXTRA"] = "1"
        folder.write(words)
        folder.ok("apply", "--yes")
        assert folder.changes() == []

        asyncio.run(by_hand(("POST", "snapshot/byhand/rollback", {})))
        changes = folder.changes()
        assert [address for address, *_ in changes] == [f"lxc/{vmid}"]
        folder.ok("apply", "--yes")
        assert folder.changes() == []
        assert "tsvector" in _fetch(folder, kit, "/api/projects?q=postgres")
        asyncio.run(by_hand(("DELETE", "snapshot/byhand", {})))

    def test_a_guest_left_out_is_kept_until_it_is_pruned(self, folder: NodeFolder) -> None:
        words = folder.words()
        web = next(i for i, one in words["lxc_configs"].items() if one["name"] == "web")
        del words["lxc_configs"][web]
        folder.write(words, LXC)
        # Others may have to be configured anew: who else is there is a part of their inside.
        assert "delete" not in [action for _, action, _ in folder.changes()]
        plan = folder.json("plan", "--prune")
        gone = [c["address"] for c in plan["changes"] if c["action"] == "delete"]
        assert gone == [f"lxc/{web}"]
        folder.ok("apply", "--yes", "--prune", "--allow-destructive", f"lxc/{web}")
        assert folder.json("plan", "--prune")["changes"] == []
