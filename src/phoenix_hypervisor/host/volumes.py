"""Folders of the host that several guests mount: made, owned and open as the files say.

The ids of a guest are not the host's. On Incus a mount is shifted, so that the folder holds the
ids as guests see them. On Proxmox VE user 0 of an unprivileged container is the host's 100000, or
what its `id_maps` say; where guests differ in that, access lists let all of them write.

Nothing in a folder is ever moved or changed. The host keeps a link to each folder under the
volume's name, so that a changed path is seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from phoenix_hypervisor.host import _volume_scripts as scripts
from phoenix_hypervisor.host.part import Choice, Decided, Seen, Task
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, FieldChange, Impact
from phoenix_hypervisor.model.desired import Desired, Guest, Json
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import Conflict, DriverError
from phoenix_hypervisor.model.host.volumes import SharedFolder
from phoenix_hypervisor.model.id_maps import on_host
from phoenix_hypervisor.model.node import Node

_MODE = "0755"
_GROUP_BITS = 0o070


@dataclass(frozen=True, slots=True)
class Shift:
    """What the host's ids are: `by_range`, guests' ids are shifted by these numbers."""

    by_range: bool
    uid: int = 0
    gid: int = 0


class Volumes:
    """The part."""

    name = "volumes"
    turn = 30

    async def look(self, node: Node, desired: Desired) -> Seen:
        """Each folder, who may do what in it, and where it was before."""
        wanted = desired.host.setup.volumes.folders
        if not wanted:
            return Seen()
        script = scripts.look(desired.stack, wanted)
        said = await node.run(script, "a look at shared volumes", timeout_s=120)
        if said.status:
            raise DriverError(f"shared volumes can't be looked at: {said.err.strip()}")
        things, facts = scripts.read(said.out, wanted)
        return Seen(things, facts={**facts, "by_range": node.is_pve})

    def decide(self, desired: Desired, seen: Seen, choice: Choice) -> Decided:
        """Made where missing; owner and mode of one that is there only where the files say so."""
        del choice
        shift = _shift(seen.facts)
        tasks, refusals, notes = list[Task](), list[str](), list[str]()
        for folder in desired.host.setup.volumes.folders:
            there: Mapping[str, Any] = seen.things.get(folder.address, {})
            if why := _hindrance(folder, there):
                refusals.append(f"{folder.address}: {why}")
                continue
            wanted = wanted_fields(folder, desired, shift, new=there.get("kind") != "folder")
            task = _task(folder, wanted, there, _grounds(folder, desired))
            if task is not None:
                tasks.append(task)
            notes += _closed(folder, desired, shift, there, wanted)
        return Decided(tuple(tasks), tuple(refusals), tuple(notes))

    async def make(self, node: Node, task: Task, desired: Desired, tell: Tell) -> None:
        """Makes or changes the folder itself; what is in it stays as it is."""
        folders = desired.host.setup.volumes.folders
        folder = next(one for one in folders if one.address == task.address)
        seen = await self.look(node, desired)
        there: Mapping[str, Any] = seen.things.get(folder.address, {})
        if why := _hindrance(folder, there):
            raise Conflict(f"{folder.address}: {why}")
        is_new = there.get("kind") != "folder"
        wanted = wanted_fields(folder, desired, _shift(seen.facts), new=is_new)
        tell(f"making {folder.path}" if is_new else f"setting {folder.path}")
        mode = folder.mode or (_MODE if is_new else "")
        script = scripts.make(desired.stack, folder, wanted, there, mode)
        said = await node.run(script, f"the shared volume {folder.name}", timeout_s=300)
        if said.status:
            raise DriverError(
                f"{folder.address}: {said.err.strip() or 'it could not be made'}",
                hint="access lists need the package acl and a file system that has them; a ZFS "
                "dataset has them with the property acltype=posixacl"
                if "setfacl" in said.err
                else "",
            )


def wanted_fields(
    folder: SharedFolder, desired: Desired, shift: Shift, *, new: bool
) -> dict[str, Json]:
    """What the folder is to show: path, owner, mode and access list, in the host's ids."""
    found: dict[str, Json] = {"path": folder.path}
    governed = folder.uid is not None or bool(folder.writers)
    uid, gid = folder.uid or 0, folder.gid or 0
    guests = _guests(folder, desired)
    owner = _ids(guests, "uid", uid, shift)[0]
    if new or folder.uid is not None:
        found["owner"] = f"{owner}:{_ids(guests, 'gid', gid, shift)[0]}"
    acl: list[int] = []
    if new or governed:
        ids = [host for one in (uid, *folder.writers) for host in _ids(guests, "uid", one, shift)]
        # The host's own root, and a guest's on a shifted mount, need no leave. The owner needs it
        # for what the others make in the folder.
        several = {one for one in ids if one}
        acl = sorted(several) if several - {owner} else []
        found["writers"] = ", ".join(map(str, acl)) or None
    mode = folder.mode or (_MODE if new else None)
    if mode is not None:
        # With an access list, the group's bits are the most that anybody in it may do.
        found["mode"] = f"{int(mode, 8) | (_GROUP_BITS if acl else 0):04o}"
    return found


def _ids(
    guests: Sequence[Guest], kind: Literal["uid", "gid"], inside: int, shift: Shift
) -> list[int]:
    """The host's ids for one that the guests see, without repetition; of no guest, the usual."""
    if not shift.by_range:
        return [inside]
    base = shift.uid if kind == "uid" else shift.gid
    found = [
        on_host(one.id_maps, kind, inside, base) if one.unprivileged else inside for one in guests
    ]
    return list(dict.fromkeys(found)) or [base + inside]


def _task(
    folder: SharedFolder,
    wanted: Mapping[str, Json],
    there: Mapping[str, Any],
    after: tuple[Address, ...],
) -> Task | None:
    fields = tuple(
        FieldChange(path, there.get(path), value)
        for path, value in wanted.items()
        if there.get(path) != value
    )
    if not fields:
        return None
    before = there.get("path")
    is_new = there.get("kind") != "folder"
    if before is not None and before != folder.path:
        has = "will be made, empty" if is_new else f"has {_entries(there.get('entries'))}"
        old = there.get("old_entries")
        stays = "is not there any more" if old is None else f"stays, with {_entries(old)}"
        reason = f"another folder: nothing is moved; {before} {stays}; {folder.path} {has}"
    elif is_new:
        reason = "it is not there"
    elif before is None:
        reason = "it is there already: what is in it stays as it is"
    else:
        reason = f"{', '.join(one.path for one in fields)} differ{'s' * (len(fields) == 1)}"
    action = Action.CREATE if is_new and before is None else Action.UPDATE
    return Task(folder.address, action, fields, reason, Impact.LIVE, after, 0.5)


def _closed(
    folder: SharedFolder,
    desired: Desired,
    shift: Shift,
    there: Mapping[str, Any],
    wanted: Mapping[str, Json],
) -> list[str]:
    """A note where nobody asked for an owner, and guests can't write in what is there."""
    if "owner" in wanted or not shift.by_range or there.get("kind") != "folder":
        return []
    owner = int(str(there.get("owner", "0:0")).partition(":")[0])
    closed = [
        one.address
        for one in _guests(folder, desired)
        if one.unprivileged and owner not in _ids([one], "uid", 0, shift)
    ]
    if not closed or "writers" in wanted:
        return []
    return [
        f"{folder.address}: {folder.path} belongs to the host's user {owner}, so that "
        f"{', '.join(closed)} may not be able to write in it; `owner` or `writers` changes that"
    ]


def _hindrance(folder: SharedFolder, there: Mapping[str, Any]) -> str:
    if there.get("kind") == "other":
        return f"{folder.path} is there and is no folder"
    if real := there.get("leads_to"):
        # A guest may have made the link: root must not follow it.
        return f"{folder.path} leads to {real}: write that instead"
    return ""


def _grounds(folder: SharedFolder, desired: Desired) -> tuple[Address, ...]:
    """The datasets that it lies on: a folder made before one is mounted would be hidden by it."""
    storage = desired.host.setup.storage
    roots = {pool.name: pool.root for pool in storage.pools}
    found = []
    for dataset in storage.datasets:
        usual = f"{roots.get(dataset.pool, f'/{dataset.pool}')}/{dataset.name}"
        mounted = dataset.properties.get("mountpoint", usual).rstrip("/")
        if f"{folder.path}/".startswith(f"{mounted}/"):
            found.append(dataset.address)
    return tuple(found)


def _guests(folder: SharedFolder, desired: Desired) -> list[Guest]:
    return [desired.guests[one] for one in folder.guests if one in desired.guests]


def _shift(facts: Mapping[str, Any]) -> Shift:
    if not facts.get("by_range"):
        return Shift(by_range=False)
    return Shift(by_range=True, uid=facts["uid_base"], gid=facts["gid_base"])


def _entries(count: Any) -> str:
    if not count:
        return "nothing in it"
    if count == 1:
        return "1 entry in it"
    return f"{'at least ' * (count >= scripts.MOST)}{count} entries in it"


PART = Volumes()
