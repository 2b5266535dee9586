# SPDX-License-Identifier: AGPL-3.0-or-later
"""Backup jobs, vzdump and restored containers, which fakepve answers and does not keep.

What is checked: parameters against Proxmox VE's own schema (by fakepve), privileges, locks, what a
restore may bring back. What is not there: the content of guests. A backup is a copy of the guest's
configuration.

Source: PVE::API2::Backup, PVE::API2::VZDump, PVE::LXC::Create (restore_configuration).
"""

import asyncio
import re
import time
from typing import Any

from tests.fakepve.rules import StrictPve

from fakepve.lxc import mount_type, parse_mount, parse_size  # type: ignore[import-not-found]
from fakepve.model import PveError, TaskError  # type: ignore[import-not-found]
from fakepve.qemu import (  # type: ignore[import-not-found]
    is_cdrom,
    join_drive,
    split_drive,
    with_mac,
)

Values = dict[str, Any]

_MOUNT = re.compile(r"rootfs|mp\d+")
_DRIVE = re.compile(r"(scsi|virtio|sata|ide|efidisk|tpmstate)\d+")
_VZDUMP_S = 2.0
_NEVER = ("digest", "lock", "snapshots", "parent", "template")


class KeptBackups(StrictPve):
    """The double, with backups that stay."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.backup_jobs: dict[str, Values] = {}
        self.archives: dict[str, Values] = {}
        """The configuration in each backup, by its volume."""
        self.clock_s = 0
        """Added to the time, so that tests need not wait for another second."""
        self.passwords: dict[str, str] = {}
        """Of storages, as `/etc/pve/priv/storage` keeps them."""
        self.merging: dict[int, Values] = {}
        """What restores under way take over from their backup, by the new guest's id."""
        self.commands: dict[int, Any] = {}

    def _routes_backups(self) -> list[Any]:
        return [
            ("GET", "/cluster/backup", self._jobs),
            ("POST", "/cluster/backup", self._job_new),
            ("PUT", "/cluster/backup/{id}", self._job_set),
            ("DELETE", "/cluster/backup/{id}", self._job_gone),
            ("POST", "/nodes/{node}/vzdump", self._vzdump),
            ("GET", "/nodes/{node}/vzdump/extractconfig", self._extract),
        ]

    # -- jobs -------------------------------------------------------------------------------

    async def _jobs(self, v: Values, user: str) -> list[Values]:
        self.require(user, "/", "Sys.Audit")
        return [_shown(name, job) for name, job in sorted(self.backup_jobs.items())]

    async def _job_new(self, v: Values, user: str) -> None:
        self.require(user, "/", "Sys.Modify")
        name = v.pop("id")
        if name in self.backup_jobs:
            raise PveError(500, f"Job '{name}' already exists\n")
        self._one_selection(v)
        self.backup_jobs[name] = v

    async def _job_set(self, v: Values, user: str) -> None:
        self.require(user, "/", "Sys.Modify")
        job = self._job(v.pop("id"))
        for key in str(v.pop("delete", "")).split(","):
            job.pop(key, None)
        if "vmid" in v:
            job.pop("all", None)
        elif v.get("all"):
            job.pop("vmid", None)
        job.update(v)
        self._one_selection(job)

    async def _job_gone(self, v: Values, user: str) -> None:
        self.require(user, "/", "Sys.Modify")
        self._job(v["id"])
        del self.backup_jobs[v["id"]]

    def _job(self, name: str) -> Values:
        if name not in self.backup_jobs:
            raise PveError(500, f"No such job '{name}'\n")
        return self.backup_jobs[name]

    @staticmethod
    def _one_selection(job: Values) -> None:
        if not job.get("schedule"):
            raise PveError(400, "Parameter verification failed.", {"schedule": "missing"})
        if bool(job.get("vmid")) == bool(job.get("all")):
            raise PveError(500, "value must be a list of VMIDs, or all\n")

    # -- vzdump -----------------------------------------------------------------------------

    async def _vzdump(self, v: Values, user: str) -> str:
        storage, vmid = v["storage"], int(v["vmid"])
        if "backup" not in self.storages.get(storage, {}).get("content", "").split(","):
            raise PveError(500, f"storage '{storage}' does not support backups\n")
        self.require(user, f"/storage/{storage}", "Datastore.AllocateSpace")
        if v.get("prune-backups"):
            self.require(user, f"/storage/{storage}", "Datastore.Allocate")
        self.require(user, f"/vms/{vmid}", "VM.Backup")
        guest = self.guest(vmid)
        if guest is None or guest.node != v["node"]:
            raise PveError(500, f"unable to find guest {vmid}\n")

        async def body() -> str:
            if guest.lock:
                raise TaskError(f"CT is locked ({guest.lock})")
            guest.lock = guest.config["lock"] = "backup"
            try:
                await self.pause(_VZDUMP_S)
            finally:
                guest.lock = None
                guest.config.pop("lock", None)
            self._keep(storage, guest, v)
            return f"INFO: Finished Backup of VM {vmid}"

        return str(await self.task(guest.node, "vzdump", vmid, user, body, vm=guest, lock=False))

    def _keep(self, storage: str, guest: Any, v: Values) -> None:
        now = int(time.time()) + self.clock_s
        kind = "lxc" if self.ct(guest.vmid) is not None else "qemu"
        stamp = time.strftime("%Y_%m_%d-%H_%M_%S", time.gmtime(now))
        ending = {"zstd": ".zst", "gzip": ".gz", "lzo": ".lzo"}.get(v.get("compress", "0"), "")
        name = (
            f"backup/vzdump-{kind}-{guest.vmid}-{stamp}.{'tar' if kind == 'lxc' else 'vma'}{ending}"
        )
        volumes = self.storages[storage].setdefault("volumes", {})
        volumes[name] = {
            "content": "backup",
            "format": f"tar{ending}",
            "size": 1000,
            "vmid": guest.vmid,
            "ctime": now,
            "notes": v.get("notes-template"),
        }
        config = {**guest.config, "unprivileged": guest.config.get("unprivileged", 0)}
        self.archives[f"{storage}:{name}"] = config
        keep = dict(
            part.split("=") for part in str(v.get("prune-backups") or "").split(",") if part
        )
        # Only what the tests use; the rules themselves are tested where they are made.
        last = int(keep.get("keep-last", 0))
        own = sorted(
            (one for one, volume in volumes.items() if volume.get("vmid") == guest.vmid),
            key=lambda one: volumes[one]["ctime"],
        )
        for gone in own[:-last] if last else []:
            del volumes[gone]
            del self.archives[f"{storage}:{gone}"]

    async def _extract(self, v: Values, user: str) -> str:
        config = self.archives.get(v["volume"])
        if config is None:
            raise PveError(500, f"volume '{v['volume']}' does not exist\n")
        lines = [f"{key}: {value}" for key, value in sorted(config.items()) if key not in _NEVER]
        return "\n".join(["#notes of the guest", *lines, "lxc.idmap: u 0 100000 65536"]) + "\n"

    # -- backup servers ---------------------------------------------------------------------

    async def _sc_create(self, v: Values, user: str) -> Values:
        made: Values = await super()._sc_create(v, user)
        self._keep_password(v)
        return made

    async def _sc_update(self, v: Values, user: str) -> Values:
        changed: Values = await super()._sc_update(v, user)
        self._keep_password(v)
        return changed

    def _keep_password(self, v: Values) -> None:
        if "password" in v:
            self.passwords[v["storage"]] = v["password"]

    # -- restore ----------------------------------------------------------------------------

    async def task(
        self, node: str, ttype: str, tid: Any, user: str, body: Any, **options: Any
    ) -> str:
        """A restored guest has what it was backed up with at the end of its task."""

        async def whole() -> Any:
            ended = await body()
            self.guest(tid).config.update(self.merging.pop(tid, {}))
            return ended

        if tid not in self.merging:
            return str(await super().task(node, ttype, tid, user, body, **options))
        kind = "qmrestore" if ttype == "qmcreate" else ttype
        return str(await super().task(node, kind, tid, user, whole, **options))

    async def _qm_create(self, v: Values, user: str) -> str:
        """PVE::QemuServer (restore_update_config_line, restore_merge_config)."""
        if not v.get("archive"):
            return str(await super()._qm_create(v, user))
        config = self.archives.get(v["archive"])
        if config is None:
            raise PveError(500, f"volume '{v['archive']}' does not exist\n")
        given = {key: value for key, value in v.items() if key not in {"archive", "unique"}}
        merged: Values = {}
        for key, value in config.items():
            volume, props = split_drive(str(value)) if _DRIVE.fullmatch(key) else ("", {})
            is_in_it = props.get("backup") != "0" and not is_cdrom(volume, props)
            if ":" in volume and is_in_it:
                size = int(parse_size(props.pop("size")) / 1024**3) or 1
                given[key] = join_drive(f"{volume.partition(':')[0]}:{size}", props)
            elif key not in {*given, *_NEVER}:
                merged[key] = with_mac(value, fresh=True) if key.startswith("net") else value
        self.merging[int(v["vmid"])] = merged
        return str(await super()._qm_create(given, user))

    # -- the guest agent --------------------------------------------------------------------

    async def _agent_call(self, match: Any, values: Values) -> Any:
        """Commands run, on this machine, as long as the agent of the machine is there."""
        command = match.template.rpartition("/")[2]
        if command == "exec-status" and values["pid"] in self.commands:
            process = self.commands[values["pid"]]
            if process.returncode is None:
                return {"exited": 0}
            out, err = await process.communicate()
            ended = {"exited": 1, "exitcode": process.returncode}
            return {**ended, "out-data": out.decode(), "err-data": err.decode()}
        answer = await super()._agent_call(match, values)
        if command == "exec":
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(
                *values["command"], stdin=pipe, stdout=pipe, stderr=pipe
            )
            assert process.stdin is not None
            process.stdin.write(values.get("input-data", "").encode())
            process.stdin.close()
            self.commands[answer["pid"]] = process
        return answer

    async def _lxc_create(self, user: str, v: Values) -> str:
        if not v.get("restore"):
            return str(await super()._lxc_create(user, v))
        config = self.archives.get(v["ostemplate"])
        if config is None:
            raise PveError(500, f"volume '{v['ostemplate']}' does not exist\n")
        given = dict(v)
        if "rootfs" not in given:  # then all mounts are as they were, also those of folders
            for key, value in config.items():
                is_mount = _MOUNT.fullmatch(key)
                if is_mount and mount_type(parse_mount(value).get("volume", "")) != "volume":
                    if user != "root@pam":
                        raise PveError(
                            500, f"restoring '{key}' to bind mount is only possible for root\n"
                        )
                elif is_mount:
                    given[key] = value
        given.setdefault("unprivileged", config.get("unprivileged", 0))
        # What is merged from the backup is asked no privileges: hooks and devices come along. Raw
        # options of LXC only do for root@pam himself.
        never = {*given, *_NEVER} | ({"lxc"} if user != "root@pam" else set())
        self.merging[int(v["vmid"])] = {
            key: value
            for key, value in config.items()
            if not _MOUNT.fullmatch(key) and key not in never
        }
        # There is no content to read: the storage has the volume by its name.
        return str(await super()._lxc_create(user, given))


def _shown(name: str, job: Values) -> Values:
    """A list shows property strings as what they mean."""
    shown = {"type": "vzdump", "id": name, "enabled": 1, **job}
    if "prune-backups" in shown:
        pairs = (part.split("=") for part in shown["prune-backups"].split(","))
        shown["prune-backups"] = dict(pairs)
    return shown
