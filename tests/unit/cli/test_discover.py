"""`phoenix discover` and `adopt` on the double of Proxmox VE: look, write, take over, no change."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import pve
from tests.unit.cli.on_pve import ODD, OnPve, started

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="needs root: the double's root shell mounts folders of its own"
)
LXC = "phoenix_lxc_configs.json"
RULES = (
    {"type": "in", "action": "ACCEPT", "proto": "tcp", "dport": "8000:8100", "enable": 1},
    {"type": "in", "action": "ACCEPT", "proto": "tcp", "dport": "80,443", "enable": 1,
     "source": "10.0.0.0/8", "comment": "web"},
)  # fmt: skip


@pytest.fixture
def there(tmp_path: Path) -> Iterator[OnPve]:
    with started(tmp_path) as found:
        yield found


def by_hand(there: OnPve, method: str, path: str, **params: Any) -> None:
    async def ask() -> None:
        async with there.double.api() as api:
            await api.run(method, path, **params)

    asyncio.run(ask())


def guarded(there: OnPve, vmid: int, *rules: dict[str, Any]) -> None:
    where = f"/nodes/pve1/lxc/{vmid}/firewall"
    by_hand(there, "PUT", f"{where}/options", enable=1)
    for rule in reversed(rules):
        by_hand(there, "POST", f"{where}/rules", **rule)


def folder_of(there: OnPve, *words: str) -> Path:
    """A folder that `discover` writes."""
    done = there.run("discover", *words, "--write", "found", *there.reach())
    assert done.returncode == 0, done.stderr
    return there.place / "found"


def guests_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / LXC).read_text())["lxc_configs"]
    return found


def test_it_needs_nothing_but_an_endpoint_and_a_login(there: OnPve) -> None:
    there.container(201, "odd", config=ODD)
    there.container(202, "idle", status="stopped")
    shown = there.run("discover", *there.reach())
    assert shown.returncode == 0, shown.stderr
    for word in ("pve1", "lxc/201", "odd", "running", "prod web", "tank", "vmbr0", "debian-13"):
        assert word in shown.stdout
    told = there.json("discover", *there.reach())
    assert (told["format"], told["target"], told["would_change"]) == (1, "proxmox", None)
    assert [one["name"] for one in told["nodes"]] == ["pve1"]
    odd, idle = told["guests"]
    assert (odd["address"], odd["state"], odd["stack"]) == ("lxc/201", "running", None)
    assert (odd["tags"], odd["protected"], odd["cards"]) == (
        ["prod", "web"],
        True,
        ["/dev/dri/renderD128"],
    )
    assert "10.88.0.21" in odd["addresses"]
    assert (idle["state"], idle["sayable"]) == ("stopped", True)
    assert {one["name"] for one in told["storages"]} >= {"tank", "local"}
    assert [(one["name"], one["cidr"]) for one in told["bridges"]] == [("vmbr0", "10.88.0.1/24")]
    assert told["templates"][0]["name"] == "debian-13-standard_13.1-2_amd64.tar.zst"
    asked = asyncio.run(there.double.asked())
    assert {one.method for one in asked.requests} <= {"GET"}
    assert asked.refused == []


def test_found_written_and_taken_over_nothing_is_left_to_change(there: OnPve) -> None:
    there.container(201, "odd", config=ODD)
    there.container(202, "plain")
    guarded(there, 201, *RULES)
    before = {vmid: there.config(vmid) for vmid in (201, 202)}
    folder = folder_of(there)
    text = "".join(path.read_text() for path in folder.glob("*.json"))
    assert pve.TOKEN_SECRET not in text
    assert "my notes" not in text
    told = there.run("--dir", "found", "validate")
    assert (told.returncode, told.stderr) == (0, "0 errors, 0 warnings\n")

    refused = there.run("--dir", "found", "plan")
    assert refused.returncode == 1
    assert "`phoenix adopt lxc/201`" in refused.stdout
    assert there.run("--dir", "found", "adopt", "--all").returncode == 64
    assert {vmid: there.config(vmid) for vmid in before} == before

    done = there.run("--dir", "found", "adopt", "--all", "--yes")
    assert done.returncode == 0, done.stderr
    for vmid, was in before.items():
        now = there.config(vmid)
        marks = ("tags", "description")
        assert {k: v for k, v in now.items() if k not in marks} == {
            k: v for k, v in was.items() if k not in marks
        }
    assert "my notes" in there.config(201)["description"]
    assert {"prod", "web"} <= set(there.config(201)["tags"].split(";"))
    plan = there.json("--dir", "found", "plan")
    assert (plan["changes"], plan["refusals"]) == ([], [])
    again = there.run("--dir", "found", "adopt", "--all", "--yes")
    assert (again.returncode, again.stdout) == (0, "there is none that nobody manages\n")
    assert asyncio.run(there.double.asked()).refused == []


def test_what_the_files_cant_say_is_left_out_with_the_reason(there: OnPve) -> None:
    card = "name=eth0,bridge=vmbr0,firewall=1,ip=10.88.0.3/24,type=veth"
    there.container(203, "macro", config={"net0": card})
    guarded(there, 203, {"type": "in", "action": "ACCEPT", "macro": "SSH", "enable": 1})
    there.container(204, "idle", status="stopped")
    there.container(205, "base", status="stopped", template=True)
    there.container(206, "same")
    there.container(207, "same")
    there.container(208, "off", config={"net0": "name=eth0,bridge=vmbr0,ip=10.88.0.8/24,"
                                        "gw=10.99.0.1,type=veth"})  # fmt: skip
    done = there.run("discover", "--write", "found", *there.reach())
    assert done.returncode == 0, done.stderr
    left = json.loads((there.place / "found/phoenix_hypervisor_config.json").read_text())[
        "_left_out"
    ]
    assert set(left) == {"lxc/203", "lxc/204", "lxc/205", "lxc/208"}
    assert "macro" in left["lxc/203"]
    assert "the files would start it" in left["lxc/204"]
    assert "outside the subnet of its gateway" in left["lxc/208"]
    for address in left:
        assert f"left out: {address}" in done.stderr
    guests = guests_of(there.place / "found")
    assert {ident: words["name"] for ident, words in guests.items()} == {
        "206": "same",
        "207": "same-207",
    }
    assert "the next apply changes name (same → same-207)" in done.stderr
    assert there.run("--dir", "found", "validate").returncode == 0


def test_named_guests_alone_are_written_stopped_ones_too(there: OnPve) -> None:
    there.container(204, "idle", status="stopped")
    there.container(206, "other")
    folder = folder_of(there, "idle")
    assert list(guests_of(folder)) == ["204"]
    told = there.run("--dir", "found", "adopt", "204", "--yes")
    assert "the next apply starts it" in told.stdout
    unknown = there.run("discover", "999", "--write", "more", *there.reach())
    assert unknown.returncode == 64
    assert "lxc/206 (other)" in unknown.stderr
    assert not (there.place / "more").exists()


def test_secrets_in_raw_lines_and_environments_stay_where_they_are(there: OnPve) -> None:
    raw = [["lxc.environment", "PASSWORD=hidden"], ["lxc.mount.entry", "/a b none bind"]]
    there.container(209, "raw", config={"lxc": raw, "env": "KEY=hidden"})
    folder = folder_of(there)
    assert "hidden" not in "".join(path.read_text() for path in folder.glob("*.json"))
    (words,) = guests_of(folder).values()
    assert "lxc_options" not in words
    assert any("may hold a secret" in line for line in words["_not_said"])


def test_a_folder_that_is_there_is_not_overwritten_and_tells_what_it_would_change(
    there: OnPve,
) -> None:
    there.container(202, "plain")
    folder = folder_of(there)
    again = there.run("discover", "--write", "found", *there.reach())
    assert again.returncode == 64
    assert "nothing was written" in again.stderr
    there.run("--dir", "found", "adopt", "--all", "--yes")
    shown = there.run("--dir", "found", "discover")
    assert "would change here: nothing" in shown.stdout
    words = json.loads((folder / LXC).read_text())
    words["lxc_configs"]["202"]["memory_mb"] = 512
    (folder / LXC).write_text(json.dumps(words))
    told = there.json("--dir", "found", "discover")
    assert told["would_change"] == {"summary": {"update": 1}, "refusals": []}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--endpoint", "pve1"), "--endpoint: `pve1` is not a web address"),
        (("--token-id", "me"), "--token-id: `me` is not the id of an API token"),
        (("--token-id", "a@pve!b", "--username", "root@pam"), "two ways to log in"),
        (("lxc/201",), "only asked with --write"),
    ],
)
def test_wrong_usage(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = OnPve(None, tmp_path, dict(os.environ)).run("discover", *words)  # type: ignore[arg-type]
    assert done.returncode == 64
    assert said in done.stderr


def test_a_simulated_node_has_nothing_to_discover(tmp_path: Path) -> None:
    environ = os.environ | {"PHOENIX_ON": "sim"}
    done = OnPve(None, tmp_path, dict(environ)).run("discover")  # type: ignore[arg-type]
    assert done.returncode == 1
    assert "nothing to discover on sim" in done.stderr


def test_a_node_that_is_offline_hides_nothing_of_the_others(tmp_path: Path) -> None:
    with started(tmp_path, "pve1", "pve2") as there:
        there.container(201, "here")
        there.container(202, "away", node="pve2")
        asyncio.run(there.double.set("nodes", {"pve2": {"online": False}}))
        told = there.json("discover", *there.reach())
        assert {one["name"]: one["online"] for one in told["nodes"]} == {
            "pve1": True,
            "pve2": False,
        }
        states = {one["address"]: one["state"] for one in told["guests"]}
        assert states["lxc/201"] == "running"
        assert states["lxc/202"] in ("running", "unknown")
        assert any("pve2 is offline" in note for note in told["notes"])
        done = there.run("discover", "--write", "found", *there.reach())
        assert done.returncode == 0, done.stderr
        assert list(guests_of(there.place / "found")) == ["201"]
        assert "left out: lxc/202" in done.stderr


def test_a_token_that_sees_little_is_told(there: OnPve) -> None:
    there.container(201, "seen")
    there.container(202, "hidden")
    token = "phoenix@pve!little"
    asyncio.run(there.double.token("VM.Audit", path="/vms/201", token_id=token))
    asyncio.run(there.double.token("Sys.Audit", path="/", token_id=token))
    words = ("--endpoint", there.double.url, "--token-id", token)
    told = there.json("discover", *words, "--ca-file", there.double.ca_file)
    assert [one["address"] for one in told["guests"]] == ["lxc/201"]
