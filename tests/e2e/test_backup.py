"""A database's backup: exported, and proven by a restored guest that answers the SQL check."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stack import HYPERVISOR, Stack, environ_secrets, write
from tests.support import lab

pytestmark = [pytest.mark.incus, pytest.mark.usefixtures("incus_daemon")]

SPARE = "lxc-9900"
QUERY = "select title from notes"
GUESTS: dict[str, dict[str, Any]] = {
    "401": {
        "name": "db",
        "template": "debian-13-standard",
        "memory_mb": 512,
        "zfs_volumes": [{"name": "files", "size_gb": 1, "mount_point": "/srv/files"}],
        "features": ["base_setup", "postgresql"],
        "postgresql": {
            "version": 17,
            "roles": [{"name": "shop", "password": {"secret": "SHOP"}}],
            "databases": [{"name": "shop", "owner": "shop"}],
        },
        "checks": [
            {"tcp": {"name": "it listens", "port": 5432, "from": "inside"}},
            {"command": {"name": "a file on its volume", "command": "test -d /srv/files"}},
        ],
    },
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, incus_daemon: None) -> Iterator[Stack]:
    corner = lab.Lab("w")
    place = tmp_path_factory.mktemp("backup")
    made = write(place / "folder", corner, GUESTS)
    environ_secrets(made.folder, SHOP="pa55 word")
    with made.edit(HYPERVISOR) as words:
        words["backups"] = {
            "folder": str(place / "store"),
            "jobs": {"nightly": {"keep": {"last": 2}, "mode": "suspend"}},
        }
    try:
        made.ok("apply", "--yes")
        psql(made, "create table notes (title text); insert into notes values ('kept')")
        made.inside("db", "echo kept >/srv/files/note")
        with made.edit() as words:  # from now on they prove what is in the database
            words["lxc_configs"]["401"]["checks"] = [
                {"sql": {"name": "the note", "database": "shop", "query": QUERY, "expect": "kept"}},
                {"tcp": {"name": "it listens", "port": 5432, "from": "inside"}},
                {
                    "command": {
                        "name": "the file",
                        "command": "cat /srv/files/note",
                        "expect": "kept",
                    }
                },
                {"http": {"name": "somebody else", "address": "192.0.2.1", "deadline_s": 1}},
            ]
        yield made
    finally:
        lab.clear(corner.name)


def psql(stack: Stack, query: str) -> str:
    return stack.inside("db", f"runuser -u postgres -- psql -XAtqc {query!r} shop")


def instances(stack: Stack) -> list[str]:
    return [one["name"] for one in lab.query(f"/1.0/instances?recursion=1&project={stack.project}")]


def volumes(stack: Stack) -> list[str]:
    found = lab.query(
        f"/1.0/storage-pools/{stack.project}/volumes/custom?recursion=1&project={stack.project}"
    )
    return [one["name"] for one in found]


def original(stack: Stack) -> Any:
    return lab.query(f"/1.0/instances/lxc-401?project={stack.project}")


def verdict(stack: Stack, *words: str) -> tuple[dict[str, bool], Any]:
    """The checks' answers, and the whole proof."""
    (proof,) = stack.json("backup", "verify", *words)["guests"]
    return {one["name"]: one["ok"] for one in proof["checks"]}, proof


def test_a_restored_backup_answers_its_sql_check(stack: Stack) -> None:
    before = original(stack)
    said = stack.ok("backup", "run")
    assert "lxc/401 db" in said
    (listed,) = stack.json("backup", "list")["backups"]
    assert listed["address"] == "lxc/401"
    assert Path(listed["id"]).parent.stat().st_mode & 0o077 == 0
    # What is changed afterwards is not in the backup: it is the restored guest that answers.
    psql(stack, "update notes set title = 'changed'")
    stack.inside("db", "echo changed >/srv/files/note")
    answers, proof = verdict(stack, "db")
    assert (proof["ok"], proof["problem"], proof["spare"]) == (True, "", "lxc/9900")
    assert answers["the note"]
    assert answers["the file"]
    assert answers["it listens"]
    assert proof["not_asked"] == [{"name": "somebody else", "why": "it asks another machine"}]
    # The guest itself was not touched, and nothing is left.
    assert psql(stack, QUERY) == "changed"
    after = original(stack)
    assert (after["status"], after["devices"]) == ("Running", before["devices"])
    assert {k: v for k, v in after["config"].items() if not k.startswith("volatile.")} == {
        k: v for k, v in before["config"].items() if not k.startswith("volatile.")
    }
    assert instances(stack) == ["lxc-401"]
    assert volumes(stack) == ["lxc-401-files"]


@pytest.fixture(scope="module")
def backed_up(stack: Stack) -> Stack:
    """With at least one backup."""
    if not stack.json("backup", "list")["backups"]:
        stack.ok("backup", "run")
        psql(stack, "update notes set title = 'changed'")
    return stack


def until(holds: Callable[[], bool]) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within a minute")


def running(stack: Stack) -> bool:
    found = lab.query(f"/1.0/instances?recursion=1&project={stack.project}")
    return any(one["name"] == SPARE and one["status"] == "Running" for one in found)


@pytest.mark.long
def test_ctrl_c_removes_the_spare_guest_and_kill_is_mended_by_the_next(backed_up: Stack) -> None:
    stack = backed_up
    work = stack.start("backup", "verify")
    until(lambda: running(stack))
    spare = lab.query(f"/1.0/instances/{SPARE}?project={stack.project}")
    assert spare["devices"]["eth0"] == {"name": "eth0", "nictype": "p2p", "type": "nic"}
    assert spare["devices"]["volume-files"]["source"] == f"phoenix-spare-{SPARE}-files"
    assert set(spare["devices"]) == {"root", "eth0", "volume-files"}
    work.send_signal(signal.SIGINT)
    work.communicate(timeout=120)
    assert work.returncode == 130
    assert instances(stack) == ["lxc-401"]
    assert volumes(stack) == ["lxc-401-files"]

    work = stack.start("backup", "verify")
    until(lambda: running(stack))
    work.kill()
    work.communicate(timeout=60)
    assert SPARE in instances(stack)
    _, proof = verdict(stack)
    assert (proof["ok"], proof["spare"]) == (True, "lxc/9900")
    assert instances(stack) == ["lxc-401"]


@pytest.mark.long
def test_a_backup_that_lies_is_found_out(backed_up: Stack) -> None:
    stack = backed_up
    """Its check fails, and so does a file that is not as it was written."""
    stack.ok("backup", "run")  # the note is another one by now
    done = stack.run("backup", "verify")
    assert done.returncode == 1
    assert "✗ the note: expected 'kept'" in done.stdout
    newest = Path(stack.json("backup", "list")["backups"][-1]["id"])
    file = newest / "instance.tar.zst"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    done = stack.run("backup", "verify")
    assert done.returncode == 1
    assert "the backup is damaged" in done.stderr
    assert instances(stack) == ["lxc-401"]


@pytest.mark.long
def test_only_so_many_stay(backed_up: Stack) -> None:
    stack = backed_up
    psql(stack, "update notes set title = 'kept'")
    stack.inside("db", "echo kept >/srv/files/note")
    before = [one["id"] for one in stack.json("backup", "list")["backups"]]
    (made,) = stack.json("backup", "run", "db", "--job", "nightly")["backups"]
    after = [one["id"] for one in stack.json("backup", "list")["backups"]]
    assert after == [before[-1], made["backup"]["id"]]
    assert made["dropped"] == len(before) - 1
    assert json.loads((Path(after[-1]) / "phoenix.json").read_text())["guest"] == "lxc/401"
    assert verdict(stack)[1]["ok"]
    assert subprocess.run(stack.argv("check"), check=False, capture_output=True).returncode == 1


@pytest.mark.long
def test_a_guest_that_a_killed_backup_left_paused_goes_on(backed_up: Stack) -> None:
    stack = backed_up
    lab.incus("pause", "--project", stack.project, "lxc-401")
    assert stack.changes("--target", "db") == [("lxc/401", "start", "live")]
    with stack.edit() as words:  # what its other checks ask for was changed above
        words["lxc_configs"]["401"]["checks"] = []
    stack.ok("apply", "--yes")
    assert original(stack)["status"] == "Running"
    assert psql(stack, QUERY) == "kept"


ODD = {
    "boot.autostart": "true",
    "snapshots.schedule": "@daily",
    "user.user-data": "#cloud-config",
    "environment.ROLE": "shop",
    "raw.lxc": "lxc.environment=TWO=2\nlxc.mount.entry=/srv srv/raw none bind,create=dir 0 0\n",
}


@pytest.fixture
def odd(backed_up: Stack, tmp_path: Path) -> Iterator[Stack]:
    """The guest with all kinds of ways to its host and to data, and a backup of that."""
    stack = backed_up
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    own = ("--project", stack.project)
    lab.incus("storage", "volume", "create", *own, stack.project, "theirs")
    before = original(stack)["config"]
    device = ("config", "device", "add", *own, "lxc-401")
    listen = f"unix:{tmp_path}/proxy.sock"
    lab.incus(*device, "way", "proxy", f"listen={listen}", "connect=tcp:127.0.0.1:5432")
    lab.incus(*device, "zero", "unix-char", "source=/dev/zero", "path=/dev/theirs")
    lab.incus(*device, "folder", "disk", f"source={theirs}", "path=/srv/theirs")
    lab.incus(*device, "mount-own", "disk", f"source={theirs}", "path=/srv/own")
    lab.incus(*device, "more", "disk", f"pool={stack.project}", "source=theirs", "path=/srv/more")
    where = f"/1.0/instances/lxc-401?project={stack.project}"
    lab.incus("query", "-X", "PATCH", "--wait", where, "-d", json.dumps({"config": ODD}))
    with stack.edit() as words:
        words["lxc_configs"]["401"]["checks"] = [
            {"command": {"name": "alone", "command": "! ls -d /srv/own/x /dev/theirs /srv/raw"}}
        ]
    stack.ok("backup", "run", "db")
    yield stack
    for name in ("way", "zero", "folder", "mount-own", "more"):
        lab.incus("config", "device", "remove", *own, "lxc-401", name)
    lab.incus("storage", "volume", "delete", *own, stack.project, "theirs")
    back = {key: before.get(key, "") for key in ODD}
    lab.incus("query", "-X", "PATCH", "--wait", where, "-d", json.dumps({"config": back}))


@pytest.mark.long
def test_a_restored_guest_has_no_way_out_and_nothing_of_the_original(odd: Stack) -> None:
    stack = odd
    work = stack.start("backup", "verify")
    until(lambda: running(stack))
    spare = lab.query(f"/1.0/instances/{SPARE}?project={stack.project}")
    told, _ = work.communicate(timeout=120)
    assert work.returncode == 0, told
    assert {name: one["type"] for name, one in spare["expanded_devices"].items()} == {
        "root": "disk",
        "eth0": "nic",
        "volume-files": "disk",
    }
    config = spare["config"]
    assert config["raw.lxc"] == "lxc.environment=TWO=2\n"
    assert (config["environment.ROLE"], config["boot.autostart"]) == ("shop", "false")
    assert {"snapshots.schedule", "user.user-data"} & set(config) == set()
    words = told.replace("\n", " ")
    for gone in ("folder (disk)", "more (disk)", "mount-own (disk)", "way (proxy)",
                 "zero (unix-char)", "lxc.mount.entry", "snapshots.schedule"):  # fmt: skip
        assert gone in words
    assert volumes(stack) == ["lxc-401-files", "theirs"]
    assert original(stack)["devices"].keys() >= {"way", "zero", "folder", "mount-own", "more"}


@pytest.mark.long
def test_what_a_killed_run_restored_is_removed_and_no_copy_by_hand(backed_up: Stack) -> None:
    """Right after an import all still says the original's address, and so does a copy by hand."""
    stack = backed_up
    with stack.edit() as words:
        words["lxc_configs"]["401"]["checks"] = []
    stack.ok("backup", "run")
    own = ("--project", stack.project)
    new, second = f"phoenix-spare-{SPARE}", "phoenix-spare-lxc-9901"
    for name in (f"{SPARE}-files", "lxc-401-copy", f"{new}-files"):
        lab.incus("storage", "volume", "copy", *own, f"{stack.project}/lxc-401-files",
                  f"{stack.project}/{name}")  # fmt: skip
    for name in (SPARE, new, second):
        lab.incus("copy", "--instance-only", *own, "lxc-401", name)
    by_hand = ["lxc-401-copy", f"{SPARE}-files"]
    try:
        _, proof = verdict(stack)
        assert (proof["ok"], proof["problem"], proof["spare"]) == (True, "", "lxc/9901")
        assert instances(stack) == ["lxc-401", SPARE]
        assert volumes(stack) == sorted(["lxc-401-files", *by_hand])
    finally:
        lab.incus("delete", *own, SPARE)
        for name in by_hand:
            lab.incus("storage", "volume", "delete", *own, stack.project, name)
