"""What is decided about Proxmox VE's storages: nothing moves, nothing is taken from others."""

from pathlib import Path
from typing import Any

from phoenix_hypervisor.host.part import Choice, Decided, Seen
from phoenix_hypervisor.host.storages import PART
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Host
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.storage import PveStorage, Storage

AT = Address("storage/q-a")
FACTS: dict[str, Any] = {"pve": True, "node": "pve1", "alone": True, "may": True, "mounts": {}}


def decide(one: PveStorage, things: dict[Address, Any] | None = None, **facts: Any) -> Decided:
    setup = HostSetup(storage=Storage(storages=(one,)))
    desired = Desired(Path(), "s", host=Host(setup=setup))
    return PART.decide(desired, Seen(things or {}, facts=FACTS | facts), Choice())


def folder(*content: str) -> PveStorage:
    return PveStorage("q-a", "dir", "q/a", "/q/a", content or None)


def test_a_folder_is_where_its_dataset_is_mounted_now() -> None:
    (task,) = decide(folder("iso"), mounts={"q/a": "/elsewhere"}).tasks
    found = {one.path: one.after for one in task.fields}
    assert found == {"type": "dir", "path": "/elsewhere", "content": "iso"}
    assert task.after == (Address("dataset/q/a"),)
    (task,) = decide(folder("iso"), mounts={"q/a": "legacy"}).tasks
    assert {one.path: one.after for one in task.fields}["path"] == "/q/a"


def test_one_of_a_cluster_is_bound_to_this_node() -> None:
    (task,) = decide(folder("iso"), alone=False).tasks
    assert {one.path: one.after for one in task.fields}["nodes"] == "pve1"
    there = {"type": "dir", "path": "/q/a", "content": "iso", "nodes": "pve2,pve3"}
    (task,) = decide(folder("iso"), {AT: there}, alone=False).tasks
    assert [(one.before, one.after) for one in task.fields] == [("pve2,pve3", "pve1,pve2,pve3")]
    there["nodes"] = "pve1,pve2"
    assert decide(folder("iso"), {AT: there}, alone=False).tasks == ()


def test_content_that_the_files_do_not_name_is_left_alone() -> None:
    there = {"type": "dir", "path": "/q/a", "content": "backup,iso"}
    assert decide(folder(), {AT: there}) == Decided()


def test_another_place_is_refused() -> None:
    there = {"type": "dir", "path": "/mnt/old", "content": "iso"}
    (refusal,) = decide(folder("iso"), {AT: there}).refusals
    assert refusal.startswith("storage/q-a: its path is /mnt/old, the files say /q/a.")


def test_a_zfspool_holds_no_files() -> None:
    (refusal,) = decide(PveStorage("q-a", "zfspool", "q/a", "/q/a", ("images", "iso"))).refusals
    assert refusal == "storage/q-a: a zfspool can't hold iso, a dir can"


def test_elsewhere_it_is_left_out_and_told() -> None:
    found = decide(folder("iso"), pve=False)
    assert (found.tasks, found.refusals) == ((), ())
    assert found.notes == ("1 storage of Proxmox VE left out: this host is none of its nodes",)


def test_a_missing_privilege_is_told_before_anything_is_changed() -> None:
    (refusal,) = decide(folder("iso"), may=False).refusals
    assert refusal.startswith("the login of the API lacks Datastore.Allocate on /storage")
    there = {"type": "dir", "path": "/q/a", "content": "iso"}
    assert decide(folder("iso"), {AT: there}, may=False) == Decided()
