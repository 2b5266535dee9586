"""`phoenix doctor --on proxmox`: each finding with what mends it, and nothing is changed."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import pve
from tests.unit.cli.on_pve import OnPve, started

from phoenix_hypervisor.drivers.proxmox.privileges import BASE, ON_DEMAND, PRIVILEGES

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="needs root: the double's root shell mounts folders of its own"
)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnPve]:
    with started(tmp_path_factory.mktemp("doctor")) as found:
        local = {"type": "dir", "active": 1, "content": "vztmpl,snippets,import,rootdir,images"}
        asyncio.run(found.double.set("storages", {"local": local}))
        asyncio.run(found.double.template("debian-13-standard_13.1-2_amd64.tar.zst"))
        yield found


def findings(there: OnPve, *words: str, **environ: str) -> dict[str, Any]:
    done = there.run("--json", "doctor", *(words or there.reach()), **environ)
    told = json.loads(done.stdout)
    assert done.returncode == (0 if told["ok"] else 1)
    return {one["what"]: one for one in told["findings"]}


def test_a_cluster_that_lacks_nothing_that_is_needed(there: OnPve) -> None:
    asyncio.run(there.double.forget())
    found = findings(there)
    errors = {what: one["message"] for what, one in found.items() if one["severity"] == "error"}
    assert errors == {}
    assert found["privileges"]["ok"]
    assert found["version"]["message"].startswith("Proxmox VE ")
    assert found["root of pve1"]["ok"]
    assert found["bridges of pve1"]["message"] == "vmbr0"
    assert "debian-13-standard" in found["templates of pve1"]["message"]
    assert "PVE" not in found
    asked = asyncio.run(there.double.asked())
    assert {one.method for one in asked.requests} == {"GET"}


def test_missing_privileges_are_named_with_their_command(there: OnPve) -> None:
    def lacking(name: str) -> dict[str, Any]:
        token = f"phoenix@pve!{name.replace('.', '-')}"
        rest = set(BASE) - {name}
        asyncio.run(there.double.token(*rest, token_id=token))
        words = ("--endpoint", there.double.url, "--token-id", token)
        one: dict[str, Any] = findings(there, *words, "--ca-file", there.double.ca_file)[
            "privileges"
        ]
        return one

    one = lacking("VM.Snapshot")
    assert one["severity"] == "error"
    assert "VM.Snapshot (snapshots, and going back to them)" in one["message"]
    for word in ("pveum", "VM.Snapshot", "'phoenix@pve!VM-Snapshot'"):
        assert word in one["mend"]
    assert lacking("VM.Migrate")["severity"] == "warning"


def test_storages_bridges_and_templates_that_are_missing(there: OnPve) -> None:
    double = there.double
    local = {"type": "dir", "active": 1, "content": "iso"}
    try:
        asyncio.run(double.set("storages", {"local": local}))
        asyncio.run(double.unset("bridges", "vmbr0"))
        found = findings(there)
    finally:
        local["content"] = "vztmpl,snippets,import,rootdir,images"
        asyncio.run(double.set("storages", {"local": local}))
        asyncio.run(double.bridge("vmbr0", "10.88.0.1/24"))
    one = found["storage for vztmpl"]
    assert one["severity"] == "error"
    assert one["mend"] == "pvesm set local --content iso,vztmpl"
    assert found["storage for import"]["severity"] == "warning"
    assert found["storage for rootdir"]["ok"]
    assert found["bridges of pve1"]["severity"] == "error"
    assert "vmbr0" in found["bridges of pve1"]["mend"]
    assert "pveam update" in found["templates of pve1"]["mend"]


def test_no_way_to_root_is_a_finding_and_the_rest_is_told(there: OnPve) -> None:
    found = findings(there, PHOENIX_NODE_SHELL="sh -c 'exit 3'")
    one = next(one for what, one in found.items() if what == "root of pve1")
    assert one["severity"] == "error"
    assert one["mend"]
    assert found["bridges of pve1"]["ok"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "`hypervisor.endpoint` says nowhere"),
        (("--endpoint", "https://127.0.0.1:1", "--token-id", pve.TOKEN), "does not answer"),
    ],
)
def test_no_way_to_the_api(there: OnPve, words: tuple[str, ...], said: str) -> None:
    found = findings(there, "--on", "proxmox", *words)
    one = found["the target"]
    assert one["severity"] == "error"
    assert said in one["message"]
    assert one["mend"]


def test_the_documentation_has_the_role_and_every_privilege() -> None:
    page = (Path(__file__).parents[3] / "docs/proxmox.md").read_text()
    assert f'pveum role add Phoenix --privs "{" ".join(BASE)}"' in page
    for privilege, purpose in {**PRIVILEGES, **ON_DEMAND}.items():
        assert f"| `{privilege}` | {purpose} |" in page
