"""Backup jobs as objects of Proxmox VE, which runs them by itself.

A job of Phoenix bears the stack's mark in its comment; all others are left alone. Off Proxmox VE
there is nothing that runs jobs: there `phoenix backup run` does.

Source: the Proxmox VE API documentation, `/cluster/backup`.
"""

import re
from collections.abc import Mapping
from typing import Any

from phoenix_hypervisor.host.part import Choice, Decided, Seen, Task, Wanted, differences
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action
from phoenix_hypervisor.model.desired import Desired, Json
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import Conflict, Denied, Unsupported
from phoenix_hypervisor.model.host.backups import COMPRESS, BackupJob
from phoenix_hypervisor.model.node import Node

_JOBS = "/cluster/backup"
_LONGEST_ID = 50
_USUAL: dict[str, Json] = {"mode": "snapshot", "compress": "none", "enabled": True}


class BackupJobs:
    """The part."""

    name = "backups"
    turn = 80

    async def look(self, node: Node, desired: Desired) -> Seen:
        """All jobs of the cluster; those of the stack as things."""
        jobs = desired.host.setup.backups.jobs
        if not node.is_pve:
            if not jobs:
                return Seen()
            raise Unsupported(
                "backup jobs are run by Proxmox VE only; here `phoenix backup run` takes the "
                "backups, from a timer of your own"
            )
        try:
            rows: list[Mapping[str, Any]] = await node.get(_JOBS)
        except Denied:
            if jobs:
                raise
            return Seen()  # who may not see jobs, and wants none, is not hindered
        own = {
            Address(f"backup/{name}"): fields(row)
            for row in rows
            if (name := _name(row, desired.stack)) is not None
        }
        foreign = [row["id"] for row in rows if _name(row, desired.stack) is None]
        return Seen(own, facts={"foreign": foreign})

    def decide(self, desired: Desired, seen: Seen, choice: Choice) -> Decided:
        """Jobs of the files are made and kept so; a marked one that is in no file goes."""
        del choice
        foreign: Any = seen.facts.get("foreign", [])
        jobs = [job for job in desired.host.setup.backups.jobs if job.schedule is not None]
        refusals = [
            f"{_address(job)}: a backup job {job_id(desired.stack, job.name)} is there already, "
            "and is not of this stack"
            for job in jobs
            if job_id(desired.stack, job.name) in foreign
        ]
        tasks = differences(
            [Wanted(_address(job), wanted(job), _grounds(job)) for job in jobs], seen
        )
        named = {_address(job) for job in jobs}
        why = "the files don't name it any more, or give it no schedule; its backups stay"
        tasks += [Task(one, Action.DELETE, reason=why) for one in seen.things if one not in named]
        by_hand = [job.name for job in desired.host.setup.backups.jobs if job.schedule is None]
        notes = [
            f"backup/{name}: without a schedule it is no job of Proxmox VE: `phoenix backup run "
            f"--job {name}`"
            for name in by_hand
        ]
        return Decided(tuple(tasks), tuple(refusals), tuple(notes))

    async def make(self, node: Node, task: Task, desired: Desired, tell: Tell) -> None:
        """Writes or removes one job. Raises `Conflict` where another one has its id by now."""
        name = addresses.ident(task.address)
        ident = job_id(desired.stack, name)
        rows: list[Mapping[str, Any]] = await node.get(_JOBS)
        there = next((row for row in rows if row["id"] == ident), None)
        if there is not None and _name(there, desired.stack) is None:
            raise Conflict(f"the backup job {ident} is not of this stack: left alone")
        if task.action is Action.DELETE:
            if there is not None:
                tell("removing the job")
                await node.send("DELETE", f"{_JOBS}/{ident}")
            return
        job = next(one for one in desired.host.setup.backups.jobs if one.name == name)
        given = _params(job) | {"comment": _mark(desired.stack, name)}
        if there is None:
            tell("making the job")
            await node.send("POST", _JOBS, id=ident, **given)
            return
        tell("changing the job")
        gone = [key for key in ("prune-backups", "notes-template") if key not in given]
        gone = [key for key in gone if key in there]
        if gone:
            given["delete"] = ",".join(gone)
        await node.send("PUT", f"{_JOBS}/{ident}", **given)


def job_id(stack: str, name: str) -> str:
    """The job's id in Proxmox VE: `phoenix-<stack>-<name>`, at most 50 characters."""
    room = _LONGEST_ID - len(f"phoenix--{name}")
    return f"phoenix-{re.sub(r'[^A-Za-z0-9-]', '-', stack)[:room]}-{name}"


def wanted(job: BackupJob) -> dict[str, Json]:
    """What the job is to show."""
    guests = job.guests
    idents = sorted(int(addresses.ident(one)) for one in guests or ())
    return {
        "schedule": job.schedule,
        "guests": "all" if guests is None else ", ".join(map(str, idents)),
        "storage": job.storage,
        "mode": job.mode,
        "compress": job.compress,
        "keep": ", ".join(f"{name} {count}" for name, count in job.keep.pairs()) or None,
        "notes": job.notes,
        "enabled": job.enabled,
    }


def fields(row: Mapping[str, Any]) -> dict[str, Json]:
    """What a job of the API shows, in the same words."""
    compress = str(row.get("compress", "0"))
    numbers = sorted(int(one) for one in str(row.get("vmid") or "").split(",") if one.strip())
    return _USUAL | {
        "schedule": row.get("schedule"),
        "guests": "all" if str(row.get("all", 0)) == "1" else ", ".join(map(str, numbers)),
        "storage": row.get("storage"),
        "mode": row.get("mode", "snapshot"),
        "compress": next((word for word, told in COMPRESS.items() if told == compress), compress),
        "keep": _kept(row.get("prune-backups")),
        "notes": row.get("notes-template"),
        "enabled": str(row.get("enabled", 1)) == "1",
    }


def _kept(told: Any) -> str | None:
    """From a map or a property string, in the order of the files' words."""
    pairs = told.items() if isinstance(told, Mapping) else _split(str(told or ""))
    counts = {key.removeprefix("keep-"): str(value) for key, value in pairs}
    order = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
    return ", ".join(f"{name} {counts[name]}" for name in order if name in counts) or None


def _split(text: str) -> list[tuple[str, str]]:
    parts = (part.partition("=") for part in text.split(",") if part)
    return [(key.strip(), value.strip()) for key, _, value in parts]


def _params(job: BackupJob) -> dict[str, Any]:
    """The job in the API's words."""
    given: dict[str, Any] = {
        "schedule": job.schedule,
        "storage": job.storage,
        "mode": job.mode,
        "compress": COMPRESS[job.compress],
        "enabled": job.enabled,
    }
    if job.guests is None:
        given["all"] = True
    else:
        given["vmid"] = str(wanted(job)["guests"]).replace(" ", "")
    if job.keep.pairs():
        given["prune-backups"] = job.keep.pruning()
    if job.notes is not None:
        given["notes-template"] = job.notes
    return given


def _mark(stack: str, name: str) -> str:
    return f"phoenix.{stack} {name}"


def _name(row: Mapping[str, Any], stack: str) -> str | None:
    """The job's name in the files; None for one that the stack did not make."""
    head, _, name = str(row.get("comment") or "").partition(" ")
    return name.strip() if head == f"phoenix.{stack}" and name.strip() else None


def _address(job: BackupJob) -> Address:
    return Address(f"backup/{job.name}")


def _grounds(job: BackupJob) -> tuple[Address, ...]:
    return () if job.storage is None else (Address(f"storage/{job.storage}"),)


PART = BackupJobs()
