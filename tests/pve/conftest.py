"""Around all tests on a real node: only the given ids are touched, and what was done is told."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from tests.pve.node import Setting, missing

from phoenix_hypervisor.drivers.proxmox.api.client import path


@pytest.fixture(scope="session", autouse=True)
def only_its_own(request: pytest.FixtureRequest) -> Iterator[None]:
    """The node is looked at before and after: other guests are as they were, and none is left."""
    if told := missing():
        pytest.fail(f"a real node is needed: set {', '.join(told)} (docs/testing-on-proxmox.md)")
    setting = Setting()
    before, begun = asyncio.run(_guests(setting)), time.time()
    yield
    after = asyncio.run(_guests(setting))
    tell = request.config.get_terminal_writer()
    tell.line(f"\non {setting.get('NODE')}, ids {setting.get('IDS')}:")
    for kind, count in sorted(asyncio.run(_tasks(setting, begun)).items()):
        tell.line(f"  {count:4} x {kind}")
    left = [vmid for vmid in after if vmid in setting.ids]
    assert not left, f"guests {left} were left behind"
    others = {vmid: digest for vmid, digest in before.items() if vmid not in setting.ids}
    changed = [vmid for vmid, digest in others.items() if after.get(vmid) != digest]
    if changed:  # somebody else works there too: his tasks tell whether it was these tests
        tell.line(f"  guests {changed} changed meanwhile; they are not of the tests")
    strayed = asyncio.run(_strayed(setting, begun))
    assert not strayed, f"the tests' own login worked on guests {strayed}"


async def _guests(setting: Setting) -> dict[int, str]:
    """The digests of all configurations by id."""
    async with setting.api() as api:
        rows: list[dict[str, Any]] = await api.get("/cluster/resources", type="vm")
        found = {}
        for row in rows:
            where = path("nodes", row["node"], row["type"], row["vmid"], "config")
            found[int(row["vmid"])] = str((await api.get(where)).get("digest"))
        return found


async def _strayed(setting: Setting, since: float) -> list[str]:
    """Guests out of the range that the tests' own login had tasks for."""
    async with setting.api() as api:
        where = path("nodes", setting.get("NODE"), "tasks")
        rows: list[dict[str, Any]] = await api.get(where, since=int(since), limit=5000)
        ids = {str(vmid) for vmid in setting.ids}
        own = [row for row in rows if row["upid"].split(":")[7] == api.user]
    return sorted({str(row["id"]) for row in own if str(row.get("id")).isdigit()} - ids)


async def _tasks(setting: Setting, since: float) -> Counter[str]:
    """How many tasks of each kind were begun for the tests' guests."""
    async with setting.api() as api:
        where = path("nodes", setting.get("NODE"), "tasks")
        rows: list[dict[str, Any]] = await api.get(where, since=int(since), limit=5000)
    ids = {str(vmid) for vmid in setting.ids}
    return Counter(str(row["type"]) for row in rows if str(row.get("id")) in ids)
