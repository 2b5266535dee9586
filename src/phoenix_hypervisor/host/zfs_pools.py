"""ZFS pools: made where they are missing, on disks that are empty; never changed, never removed.

A disk with anything on it is only used where its serial number was named (`--wipe-disks`), and is
looked at again right before: it must still be what was shown.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from phoenix_hypervisor.host import _disks, _guest_disks, _mounts, _zfs
from phoenix_hypervisor.host.part import Choice, Decided, Seen, Task
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, FieldChange, Impact
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import Conflict
from phoenix_hypervisor.model.host.storage import ZfsPool
from phoenix_hypervisor.model.host.zfs_values import human
from phoenix_hypervisor.model.node import Node

_SECTORS = "ashift=12"  # 4 KiB: right for all disks of today, and never to be changed later
_SECONDS = 10.0
_LEAST = 64 * 2**20  # smaller disks are refused by `zpool create`, and not by its `-n`


class _Pools:
    name = "zfs_pools"
    turn = 10

    async def look(self, node: Node, desired: Desired) -> Seen:
        """All imported pools, and the disks that the files name."""
        wanted = desired.host.setup.storage.pools
        if not wanted:
            return Seen()
        live = await _zfs.pools(node)
        asked = [disk for pool in wanted for disk in pool.disks]
        missing = [pool for pool in wanted if pool.name not in live.pools and not live.failed]
        guests = await _guest_disks.look(node) if missing else _guest_disks.GuestDisks()
        disks = {} if live.failed else await _disks.look(node, asked, live.pools, guests.given)
        facts: dict[str, Any] = {
            "failed": live.failed,
            "guests": guests.unknown,
            "full": await _mounts.full(node, [pool.root for pool in missing]),
            "pools": dict(live.pools),
            "disks": dict(disks),
            "serials": dict(await _disks.serials(node)),
        }
        things = {
            Address(f"zpool/{pool.name}"): {"raid_level": pool.level, "health": pool.health}
            for pool in live.pools.values()
        }
        return Seen(things, facts=facts)

    def decide(self, desired: Desired, seen: Seen, choice: Choice) -> Decided:
        """Pools to make, and why others can't be."""
        wanted = desired.host.setup.storage.pools
        facts: Mapping[str, Any] = seen.facts
        if not wanted:
            unused = [f"--wipe-disks {one}: the files name no pool" for one in sorted(choice.wipe)]
            return Decided(refusals=tuple(unused))
        if facts["failed"]:
            return Decided(refusals=(no_zfs(facts["failed"]),))
        pools, disks = facts["pools"], facts["disks"]
        tasks, refusals, notes = list[Task](), list[str](), list[str]()
        known, told = _known(choice.wipe, facts["serials"], disks)
        refusals += told
        missing = [pool for pool in wanted if pool.name not in pools]
        if facts["guests"]:
            refusals.append(
                f"whether guests have disks of new pools is not known: {facts['guests']}"
            )
        refusals += _twice([disks[name] for pool in missing for name in pool.disks])
        for pool in wanted:
            if pool.name in pools:
                no, note = _compare(pool, pools[pool.name], disks)
                refusals += no
                notes += note
                continue
            mine = [disks[name] for name in pool.disks]
            no = [f"{pool.address}: {why}" for disk in mine for why in _judge(disk, known)]
            if pool.root in facts["full"]:
                no.append(f"{pool.address}: {not_empty(pool.root)}")
            refusals += no
            if not no:
                tasks.append(_task(pool, mine))
        notes += _unneeded(choice.wipe & known, [d for p in missing for d in p.disks], disks)
        return Decided(tuple(tasks), tuple(refusals), tuple(notes))

    async def make(self, node: Node, task: Task, desired: Desired, tell: Tell) -> None:
        """Makes one pool, after a second look at its disks."""
        pools = desired.host.setup.storage.pools
        pool = next(one for one in pools if one.address == task.address)
        live = await _zfs.pools(node)
        if pool.name in live.pools:
            raise Conflict(
                f"the pool {pool.name} is there now: somebody else made or imported it",
                hint="phoenix host plan shows what is left",
            )
        shown = {change.path: change for change in task.fields}
        guests = await _guest_disks.look(node)
        disks = await _disks.look(node, pool.disks, live.pools, guests.given)
        for name in pool.disks:
            _still(disks[name], shown[f"disks.{name}"])
        await _can_be_made(node, pool, [disks[name] for name in pool.disks], guests.unknown)
        for disk in disks.values():
            if disk.holds:
                tell(f"destroys what is on {disk.path}: {disk.content}")
                await _disks.wipe(node, disk)
        disks = await _disks.look(node, pool.disks, live.pools, guests.given)
        for disk in disks.values():
            if disk.wrong or disk.holds:
                why = "; ".join((*disk.wrong, *disk.holds))
                raise Conflict(f"{disk.path} is not empty: {why}", hint="nothing was made on it")
        tell(f"makes the pool {pool.name}")
        said = await node.run(
            _create(pool, [disks[name] for name in pool.disks]),
            "makes a ZFS pool",
            timeout_s=_zfs.LONG_S,
        )
        _zfs.done(said, f"zpool create {pool.name} failed")


def no_zfs(why: str) -> str:
    """Why pools and datasets can't be looked at."""
    return (
        f"ZFS does not answer on this host: {why}; on Debian `apt install zfsutils-linux zfs-dkms`,"
        " then `modprobe zfs`"
    )


def not_empty(folder: str) -> str:
    """Why nothing can be mounted there."""
    return (
        f"{folder} is not empty: what is mounted there would hide what is in it. Move that away, or"
        " choose another mount point"
    )


async def _can_be_made(
    node: Node, pool: ZfsPool, disks: Sequence[_disks.Disk], unknown: str
) -> None:
    """Raises `Conflict` or `DriverError`: what can fail, fails before a disk is written."""
    if unknown:
        raise Conflict(f"whether guests have disks of {pool.name} is not known: {unknown}")
    if await _mounts.full(node, [pool.root]):
        raise Conflict(f"{pool.address}: {not_empty(pool.root)}", hint="nothing was written")
    held = any(disk.holds for disk in disks)
    words = _create(pool, disks, "-n", *["-f"] * held)
    said = await node.run(words, "asks whether a ZFS pool can be made", timeout_s=_zfs.LONG_S)
    _zfs.done(said, f"zpool create -n {pool.name} failed, and nothing was written")


def _create(pool: ZfsPool, disks: Sequence[_disks.Disk], *options: str) -> str:
    words = ["zpool", "create", *options, "-o", _SECTORS]
    if len({disk.size for disk in disks}) > 1 and pool.level != "single":
        words.append("-f")  # else disks of different sizes are refused
    if pool.mountpoint is not None:
        words += ["-m", pool.mountpoint]
    words.append(pool.name)
    if pool.level != "single":
        words.append(pool.level)
    return shlex.join([*words, *(disk.given for disk in disks)])


def _task(pool: ZfsPool, disks: Sequence[_disks.Disk]) -> Task:
    fields = [FieldChange("raid_level", None, pool.level)]
    fields.append(FieldChange("mountpoint", None, pool.root))
    fields += [FieldChange(f"disks.{d.path}", d.content or None, d.label) for d in disks]
    held = [disk for disk in disks if disk.holds]
    reason = "it is not there"
    if held:
        lost = "; ".join(f"{disk.path}: {', '.join(disk.holds)}" for disk in held)
        reason += f", and everything on these disks is destroyed: {lost}"
    impact = Impact.DESTRUCTIVE if held else Impact.LIVE
    return Task(
        pool.address, Action.CREATE, tuple(fields), reason, impact=impact, estimate_s=_SECONDS
    )


def _judge(disk: _disks.Disk, named: frozenset[str]) -> Iterable[str]:
    """Why a pool can't be made on this disk."""
    if disk.wrong:
        yield f"{disk.path} can't be used: {'; '.join(disk.wrong)}"
    elif disk.size < _LEAST:
        yield f"{disk.path} ({disk.label}) is too small: ZFS takes {human(_LEAST)} and more"
    elif disk.holds and not disk.serial:
        yield (
            f"{disk.path} ({disk.label}) is not empty: {', '.join(disk.holds)}. It tells no serial"
            " number to name it by: empty it by hand, if that is what you want"
        )
    elif disk.holds and disk.serial not in named:
        of_pool = any("zfs_member" in held for held in disk.holds)
        kept = " `zpool import` on the node shows whose it is: import that pool, to keep it."
        yield (
            f"{disk.path} ({disk.label}) is not empty: {', '.join(disk.holds)}.{kept * of_pool} If"
            f" all of it may be destroyed: --wipe-disks {disk.serial}"
        )


def _known(
    wipe: frozenset[str], serials: Mapping[str, Sequence[str]], disks: Mapping[str, _disks.Disk]
) -> tuple[frozenset[str], list[str]]:
    """The named serials that are one disk of the files each, and what is wrong with the others."""
    good, told = set[str](), list[str]()
    ours = {disk.serial: disk.real for disk in disks.values() if disk.serial}
    for serial in sorted(wipe):
        found = serials.get(serial, ())
        if not found:
            there = ", ".join(sorted(serials)) or "none that tells its number"
            told.append(f"--wipe-disks {serial}: no disk has this serial number; there are {there}")
        elif len(found) > 1:
            told.append(f"--wipe-disks {serial}: several disks have it: {', '.join(found)}")
        elif serial not in ours:
            told.append(f"--wipe-disks {serial}: {found[0]} is in no pool of the files")
        else:
            good.add(serial)
    return frozenset(good), told


def _unneeded(
    named: frozenset[str], missing: Sequence[str], disks: Mapping[str, _disks.Disk]
) -> Iterable[str]:
    wiped = {disks[name].serial for name in missing if disks[name].holds}
    for serial in sorted(named - wiped):
        yield f"--wipe-disks {serial}: nothing of it has to be wiped"


def _twice(disks: Sequence[_disks.Disk]) -> Iterable[str]:
    first: dict[str, str] = {}
    for disk in disks:
        before = first.setdefault(disk.real or disk.path, disk.path)
        if before != disk.path:
            yield f"{before} and {disk.path} are the same disk, {disk.real}"


def _compare(
    pool: ZfsPool, live: _zfs.LivePool, disks: Mapping[str, _disks.Disk]
) -> tuple[list[str], list[str]]:
    """A pool is never rebuilt: refusals and notes where it isn't as the files say."""
    refusals, notes = list[str](), list[str]()
    at = pool.address
    if live.level != pool.level:
        refusals.append(
            f"{at} is {live.level}, the files say {pool.level}: a pool that is there is never"
            f" rebuilt. Write `{live.level}`, or move the data and destroy the pool by hand"
        )
    strangers = [one for one in pool.disks if disks[one].pool != pool.name]
    held = [disk for vdev in live.vdevs for disk in vdev.disks]
    if strangers or len(held) != len(pool.disks):
        which = f" ({', '.join(strangers)} is not in it)" if strangers else ""
        notes.append(
            f"{at} has the disks {', '.join(held)}, the files say {', '.join(pool.disks)}{which}:"
            " left as it is"
        )
    if live.health != "ONLINE":
        notes.append(f"{at} is {live.health}: `zpool status {pool.name}` says why")
    return refusals, notes


def _still(disk: _disks.Disk, shown: FieldChange) -> None:
    """Raises `Conflict` where a disk is no longer what the plan showed."""
    now = "; ".join((*disk.wrong, disk.content)) if disk.wrong else disk.content
    if now == (shown.before or "") and (disk.label == shown.after):
        return
    raise Conflict(
        f"{disk.path} is no longer what the plan showed: {now or 'empty'} ({disk.label}),"
        f" and it was {shown.before or 'empty'} ({shown.after})",
        hint="nothing was written to it; phoenix host plan shows it as it is now",
    )


PART = _Pools()
