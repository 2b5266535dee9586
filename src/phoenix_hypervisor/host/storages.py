"""Storages of Proxmox VE on datasets, over its API (`/storage`, pve-storage's schema).

They are the cluster's: one that is made here is bound to this node, where there are others.
"""

from collections.abc import Mapping
from typing import Any

from phoenix_hypervisor.host import _zfs
from phoenix_hypervisor.host.part import Choice, Decided, Seen, Task, Wanted, differences
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.host.storage import PveStorage
from phoenix_hypervisor.model.node import Node
from phoenix_hypervisor.model.observed import Fields

_PLACE = {"zfspool": "pool", "dir": "path"}
_NEEDS = "Datastore.Allocate"  # as the endpoints' own `permissions` say
_OF_POOL = frozenset({"images", "rootdir", "none"})


class _Storages:
    name = "storages"
    turn = 13

    async def look(self, node: Node, desired: Desired) -> Seen:
        """All storages, and where the datasets of `dir` ones are mounted."""
        wanted = desired.host.setup.storage.storages
        if not wanted or not node.is_pve:
            return Seen(facts={"pve": node.is_pve})
        found = await node.get("/storage")
        nodes = await node.get("/nodes")
        allowed = await node.get("/access/permissions") or {}
        mounts = await _zfs.properties(node, [one.dataset for one in wanted if one.kind == "dir"])
        things = {Address(f"storage/{one['storage']}"): _told(one) for one in found}
        facts: dict[str, Any] = {
            "pve": True,
            "node": node.name,
            "may": _NEEDS in allowed.get("/storage", allowed.get("/", {})),
            "alone": len(nodes) < 2,  # noqa: PLR2004 - a cluster is two or more
            "mounts": {path: each.get("mountpoint", "") for path, each in mounts.items()},
        }
        return Seen(things, facts=facts)

    def decide(self, desired: Desired, seen: Seen, choice: Choice) -> Decided:
        """Storages to make and contents to change; another type or place is refused."""
        storages = desired.host.setup.storage.storages
        if storages and not seen.facts["pve"]:
            some = f"{len(storages)} storage{'s' * (len(storages) > 1)}"
            return Decided(
                notes=(f"{some} of Proxmox VE left out: this host is none of its nodes",)
            )
        refusals, wanted = list[str](), list[Wanted]()
        for one in storages:
            fields = _wanted(one, seen)
            refusals += _refused(one, fields, seen.things.get(one.address))
            above = Address(f"dataset/{one.dataset}")
            wanted.append(Wanted(one.address, fields, (above,)))
        tasks = differences(wanted, seen)
        if tasks and not seen.facts["may"]:
            refusals.append(
                f"the login of the API lacks {_NEEDS} on /storage, to make and change storages:"
                " `pveum acl modify /storage` gives it a role that has it"
            )
        return Decided(tuple(tasks), tuple(refusals))

    async def make(self, node: Node, task: Task, desired: Desired, tell: Tell) -> None:
        """Makes one, or changes what it holds."""
        storages = desired.host.setup.storage.storages
        one = next(each for each in storages if each.address == task.address)
        fields = {change.path: change.after for change in task.fields}
        there = task.address in (await self.look(node, desired)).things
        if task.action is Action.CREATE and not there:
            if one.kind == "dir":  # never fills the root file system while nothing is mounted there
                fields |= {"is_mountpoint": 1, "create-base-path": 0}
            tell(f"makes the storage {one.id}")
            await node.send("POST", "/storage", storage=one.id, **fields)
            return
        tell(f"changes {', '.join(fields)} of the storage {one.id}")
        now = await node.get(f"/storage/{one.id}")
        known = {name: fields[name] for name in ("content", "nodes") if name in fields}
        await node.send("PUT", f"/storage/{one.id}", digest=now.get("digest"), **known)


def _told(one: Mapping[str, Any]) -> Fields:
    told: dict[str, Any] = {"type": one["type"], "content": _sorted(one.get("content", ""))}
    told |= {key: one[key] for key in ("pool", "path") if key in one}
    if one.get("nodes"):
        told["nodes"] = _sorted(one["nodes"])
    return told


def _sorted(text: str) -> str:
    return ",".join(sorted(each.strip() for each in text.split(",") if each.strip()))


def _wanted(one: PveStorage, seen: Seen) -> Fields:
    facts = seen.facts
    mounted = str(facts["mounts"].get(one.dataset, ""))
    folder = mounted if mounted.startswith("/") else one.folder
    fields: dict[str, Any] = {"type": one.kind}
    fields[_PLACE[one.kind]] = one.dataset if one.kind == "zfspool" else folder
    if one.content is not None:
        fields["content"] = ",".join(one.content)
    there = seen.things.get(one.address)
    bound = str((there or {}).get("nodes") or "")
    if (there is None and not facts["alone"]) or (bound and facts["node"] not in bound.split(",")):
        fields["nodes"] = _sorted(f"{bound},{facts['node']}")
    return fields


def _refused(one: PveStorage, fields: Fields, there: Fields | None) -> list[str]:
    told = list[str]()
    others = [each for each in one.content or () if each not in _OF_POOL]
    if one.kind == "zfspool" and others:
        told.append(f"{one.address}: a zfspool can't hold {', '.join(others)}, a dir can")
    for name in ("type", "pool", "path"):
        if there is not None and name in fields and there.get(name) != fields[name]:
            told.append(
                f"{one.address}: its {name} is {there.get(name)}, the files say {fields[name]}."
                " Proxmox VE can't change that, and what it holds would not move along: rename the"
                " dataset's storage, or remove it by hand (`pvesm remove`, which deletes no data)"
            )
            break
    return told


PART = _Storages()
