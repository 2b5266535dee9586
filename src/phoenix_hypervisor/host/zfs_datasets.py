"""ZFS datasets: made where they are missing, their properties mended live; never removed.

Only properties that the files name are looked at. What can't be changed later is refused.
"""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from phoenix_hypervisor.host import _mounts, _zfs
from phoenix_hypervisor.host.part import Choice, Decided, Seen, Task, Wanted, differences
from phoenix_hypervisor.host.zfs_pools import no_zfs, not_empty
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, Impact
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import Conflict
from phoenix_hypervisor.model.host.storage import Storage, ZfsDataset
from phoenix_hypervisor.model.host.zfs_values import AT_CREATION, human, normal, shown
from phoenix_hypervisor.model.node import Node
from phoenix_hypervisor.model.observed import Fields

_LIMITS = {"quota": "used", "refquota": "referenced"}


class _Datasets:
    name = "zfs_datasets"
    turn = 11

    async def look(self, node: Node, desired: Desired) -> Seen:
        """The datasets that the files name, with all their properties."""
        wanted = desired.host.setup.storage.datasets
        live = await _zfs.pools(node) if wanted else _zfs.Live({})
        paths = [one.path for one in wanted if one.pool in live.pools]
        found = await _zfs.properties(node, paths)
        facts: dict[str, Any] = {"failed": live.failed, "pools": sorted(live.pools)}
        mounts = await _mounts.look(node, [one.pool for one in wanted if one.pool in live.pools])
        moved = _mounts.moved(desired.host.setup.storage, mounts)
        facts |= {"mounts": mounts, "full": await _mounts.full(node, moved.values())}
        facts["properties"] = {f"dataset/{path}": dict(each) for path, each in found.items()}
        things: dict[Address, Fields] = {
            one.address: _told(one, found[one.path]) for one in wanted if one.path in found
        }
        return Seen(things, facts=facts)

    def decide(self, desired: Desired, seen: Seen, choice: Choice) -> Decided:
        """Datasets to make, and properties to set."""
        storage, facts = desired.host.setup.storage, seen.facts
        if not storage.datasets:
            return Decided()
        if facts["failed"]:
            again = bool(storage.pools)  # then the pools tell it
            return Decided(refusals=() if again else (no_zfs(facts["failed"]),))
        made = {pool.name for pool in storage.pools}
        refusals, wanted = list[str](), list[Wanted]()
        mounts = _mounts.after(storage, facts["mounts"])
        for one in storage.datasets:
            if one.pool not in made and one.pool not in facts["pools"]:
                why = f"{one.address}: there is no pool {one.pool}, neither here nor in the files"
                refusals.append(why)
                continue
            refusals += _refused(one, facts["properties"].get(one.address))
            wanted.append(Wanted(one.address, _wanted(one), _after(one, storage, mounts)))
        refusals += _hidden(storage, facts["mounts"], facts["full"])
        tasks = [_with_cost(task) for task in differences(wanted, seen)]
        return Decided(tuple(tasks), tuple(refusals))

    async def make(self, node: Node, task: Task, desired: Desired, tell: Tell) -> None:
        """Makes one, or sets what differs."""
        storage = desired.host.setup.storage
        dataset = next(one for one in storage.datasets if one.address == task.address)
        seen = await self.look(node, desired)
        there = task.address in seen.things
        if told := _hidden(storage, seen.facts["mounts"], seen.facts["full"], dataset):
            raise Conflict("; ".join(told), hint="nothing was changed")
        if task.action is Action.CREATE and not there:
            tell(f"makes {dataset.path}")
            options = [f"-o{name}={value}" for name, value in dataset.properties.items()]
            words = ["zfs", "create", "-p", *_apart(options), dataset.path]
            said = await node.run(shlex.join(words), "makes ZFS datasets", timeout_s=_zfs.LONG_S)
            _zfs.done(said, f"zfs create {dataset.path} failed")
            return
        for change in task.fields:
            value = f"{change.path}={dataset.properties[change.path]}"
            tell(f"sets {value}")
            words = ["zfs", "set", value, dataset.path]
            said = await node.run(shlex.join(words), "sets ZFS properties", timeout_s=_zfs.LONG_S)
            _zfs.done(said, f"zfs set {value} {dataset.path} failed")


def _hidden(
    storage: Storage,
    live: Mapping[str, _mounts.Mount],
    full: frozenset[str],
    by: ZfsDataset | None = None,
) -> list[str]:
    """What datasets would hide that come to be mounted elsewhere; with `by`, by this one alone."""
    after, told = _mounts.after(storage, live), list[str]()
    for path, folder in _mounts.moved(storage, live).items():
        along = by and path in live and path.startswith(f"{by.path}/")
        above = by and path not in live and by.path.startswith(f"{path}/")
        if by is not None and path != by.path and not along and not above:
            continue
        twins = [one for one, mount in after.items() if one != path and mount.folder == folder]
        told += [f"dataset/{path}: {one} is mounted at {folder} too" for one in twins]
        there = [one for one, mount in live.items() if one != path and mount.folder == folder]
        if there and folder in full:
            told.append(
                f"dataset/{path}: {there[0]} is mounted at {folder} now; move that one first, in "
                "an apply of its own"
            )
        elif folder in full:
            told.append(f"dataset/{path}: {not_empty(folder)}")
    return told


def _apart(options: list[str]) -> list[str]:
    """`-oa=b` as two words, which every version of ZFS reads."""
    return [word for option in options for word in (option[:2], option[2:])]


def _wanted(dataset: ZfsDataset) -> Fields:
    return {name: shown(name, normal(name, value)) for name, value in dataset.properties.items()}


def _told(dataset: ZfsDataset, found: Mapping[str, str]) -> Fields:
    return {
        name: shown(name, normal(name, found[name])) for name in dataset.properties if name in found
    }


def _after(
    dataset: ZfsDataset, storage: Storage, mounts: Mapping[str, _mounts.Mount]
) -> tuple[Address, ...]:
    """The pool, the datasets that it lies in, and those in whose folder it is mounted."""

    def order(one: ZfsDataset) -> tuple[int, int]:  # so that two never wait for each other
        return one.name.count("/"), len(mounts[one.path].folder or "")

    own = f"{mounts[dataset.path].folder or ''}/"
    above = [
        one.address
        for one in storage.datasets
        if order(one) < order(dataset)
        and (
            dataset.path.startswith(f"{one.path}/")
            or ((folder := mounts[one.path].folder) and own.startswith(f"{folder}/"))
        )
    ]
    return (Address(f"zpool/{dataset.pool}"), *above)


def _refused(dataset: ZfsDataset, found: Mapping[str, str] | None) -> list[str]:
    """What ZFS could not do, with the sums."""
    if found is None:
        return []
    at, told = dataset.address, list[str]()
    if found.get("type") != "filesystem":
        return [f"{at} is a {found.get('type')}, no file system: choose another name"]
    for name, value in dataset.properties.items():
        now, goal = normal(name, found.get(name, "")), normal(name, value)
        if now == goal:
            continue
        if name in AT_CREATION:
            told.append(
                f"{at}: {name} is {now or 'not known to this ZFS'} and can't become {goal}: it is"
                " fixed when a dataset is made. Make another one and copy the data"
            )
        used = int(found.get(_LIMITS.get(name, ""), "0") or 0)
        if name in _LIMITS and 0 < int(goal) < used:
            told.append(
                f"{at}: {name}={value} is {human(used - int(goal))} less than the {human(used)}"
                " that it holds: free as much, or allow more"
            )
    return told


def _with_cost(task: Task) -> Task:
    """A dataset that is mounted elsewhere is gone for a moment from where it was."""
    moved = next((one for one in task.fields if one.path == "mountpoint"), None)
    if task.action is Action.CREATE or moved is None:
        return task
    why = f"{task.reason}; what uses {moved.before} finds nothing there any more"
    return replace(task, reason=why, impact=Impact.RESTART)


PART = _Datasets()
