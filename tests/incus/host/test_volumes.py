"""One folder of the host in several unprivileged containers: who may write in it, and who not."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stack import HYPERVISOR, Stack, write
from tests.support import lab

pytestmark = [pytest.mark.incus, pytest.mark.usefixtures("incus_daemon")]

GUESTS: dict[str, dict[str, Any]] = {
    "301": {"name": "one", "template": "debian-13-standard"},
    "302": {"name": "two", "template": "debian-13-standard"},
    "303": {"name": "other", "template": "debian-13-standard"},
}
WORDS: dict[str, Any] = {"owner": "1000:1000", "mode": "2770", "writers": [1001]}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, incus_daemon: None) -> Iterator[Stack]:
    corner = lab.Lab("w")
    place = tmp_path_factory.mktemp("volumes")
    made = write(place / "folder", corner, GUESTS)
    mounts = {"301": "/shared", "302": "/srv/shared"}
    with made.edit(HYPERVISOR) as words:
        words["shared_volumes"] = {
            "media": {"host_path": str(place / "tank" / "media"), "mounts": mounts, **WORDS}
        }
    try:
        made.ok("host", "apply", "--yes")
        made.ok("apply", "--yes")
        yield made
    finally:
        lab.clear(corner.name)
        shutil.rmtree(f"/var/lib/phoenix/volumes/{corner.name}", ignore_errors=True)


def media(stack: Stack) -> Path:
    return stack.folder.parent / "tank" / "media"


def host_changes(stack: Stack) -> list[tuple[str, str, str]]:
    plan = stack.json("host", "plan")
    return [(c["address"], c["action"], c["reason"]) for c in plan["changes"]]


def as_user(uid: int, script: str) -> str:
    return f"setpriv --reuid={uid} --regid={uid} --clear-groups sh -c '{script}'"


def test_guests_with_different_id_maps_write_into_one_folder(stack: Stack) -> None:
    first, second = (
        json.loads(lab.query(f"/1.0/instances/{name}?project={stack.project}")["config"][key])
        for name in ("lxc-301", "lxc-302")
        for key in ("volatile.idmap.current",)
    )
    assert first[0]["Hostid"] != second[0]["Hostid"] != 0
    stack.inside("one", as_user(1000, "echo one >/shared/file"))
    assert stack.inside("two", as_user(1001, "echo two >>/srv/shared/file; cat /srv/shared/file"))
    stack.inside("two", as_user(1001, "echo new >/srv/shared/new"))
    stack.inside("one", as_user(1000, "echo more >>/shared/new"))
    stack.inside("one", "echo root >>/shared/new")
    assert (media(stack) / "file").read_text() == "one\ntwo\n"
    assert (media(stack) / "new").read_text() == "new\nmore\nroot\n"
    assert host_changes(stack) == []


def test_nobody_else_reads_it(stack: Stack) -> None:
    """Neither another user of these guests, nor the guest that was not given it."""
    done = stack.run("exec", "one", "--", "sh", "-c", as_user(1002, "ls /shared"))
    assert "Permission denied" in done.stderr
    assert stack.inside("other", "ls / /srv | grep shared || echo none") == "none"
    # Even handed the plain folder by hand, its ids are not the folder's.
    where = ("--project", stack.project, "lxc-303")
    lab.incus("config", "device", "add", *where, "x", "disk", f"source={media(stack)}", "path=/x")
    try:
        done = stack.run("exec", "other", "--", "ls", "/x")
        assert "Permission denied" in done.stderr
    finally:
        lab.incus("config", "device", "remove", *where, "x")


def test_what_was_changed_by_hand_is_found_and_mended(stack: Stack) -> None:
    media(stack).chmod(0o755)
    subprocess.run(["setfacl", "-x", "user:1001", str(media(stack))], check=True)
    (changed,) = host_changes(stack)
    assert changed == ("volume/media", "update", "writers, mode differ")
    stack.ok("host", "apply", "--yes")
    assert host_changes(stack) == []
    stack.inside("two", as_user(1001, "echo again >>/srv/shared/file"))


def test_another_path_moves_nothing_and_says_so(stack: Stack) -> None:
    old, new = media(stack), media(stack).with_name("elsewhere")
    with stack.edit(HYPERVISOR) as words:
        words["shared_volumes"]["media"]["host_path"] = str(new)
    ((address, action, reason),) = host_changes(stack)
    assert (address, action) == ("volume/media", "update")
    assert reason == (
        f"another folder: nothing is moved; {old} stays, with 2 entries in it; "
        f"{new} will be made, empty"
    )
    told = stack.run("plan").stdout
    assert f"lxc/301: /shared was {old}, and what is in that stays there" in told
    stack.ok("host", "apply", "--yes")
    stack.ok("apply", "--yes")
    assert stack.inside("one", "ls -A /shared") == ""
    assert sorted(one.name for one in old.iterdir()) == ["file", "new"]
    assert host_changes(stack) == []
