"""Proxmox Backup Servers as storages of Proxmox VE, over its API (`/storage`, type `pbs`).

The password is given by the API and never read back: Proxmox VE keeps it in a file that only root
can read, and there it is compared, with the files' own value coming in by standard input.

Source: the Proxmox VE API documentation, `/storage`; PVE::Storage::PBSPlugin.
"""

import shlex
from collections.abc import Mapping
from typing import Any

from phoenix_hypervisor.host.part import Choice, Decided, Seen, Task, Wanted, differences
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action
from phoenix_hypervisor.model.desired import Desired, Json
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import DriverError, Unsupported
from phoenix_hypervisor.model.host.backups import BackupServer
from phoenix_hypervisor.model.node import Node, Reveals
from phoenix_hypervisor.model.secret import HIDDEN

_STORAGES = "/storage"
_NEEDS = "Datastore.Allocate"
_FIXED = ("type", "server", "datastore")
_SAME = """\
file=/etc/pve/priv/storage/{id}.pw
[ -e "$file" ] || exit {other}
{{ cat; echo; }} | cmp -s - "$file" || exit {other}
"""
_OTHER = 70


class _BackupServers:
    name = "backup_servers"
    turn = 14

    async def look(self, node: Node, desired: Desired) -> Seen:
        """All storages of Proxmox VE; of those of the files, whether the password is the same."""
        servers = desired.host.setup.backups.servers
        if not servers:
            return Seen()
        if not node.is_pve:
            raise Unsupported("a Proxmox Backup Server is a storage of Proxmox VE only")
        found: list[Mapping[str, Any]] = await node.get(_STORAGES)
        allowed = await node.get("/access/permissions") or {}
        things = {Address(f"storage/{one['storage']}"): _told(one) for one in found}
        for one in servers:
            there = things.get(one.address)
            if there is not None and there["type"] == "pbs" and await _has_password(node, one):
                there["password"] = HIDDEN
        return Seen(things, facts={"may": _NEEDS in allowed.get("/storage", allowed.get("/", {}))})

    def decide(self, desired: Desired, seen: Seen, choice: Choice) -> Decided:
        """Servers to add and to change; another place of one that is there is refused."""
        del choice
        servers = desired.host.setup.backups.servers
        refusals = [line for one in servers for line in _refused(one, seen)]
        tasks = differences([Wanted(one.address, wanted(one)) for one in servers], seen)
        if tasks and not seen.facts.get("may", True):
            refusals.append(
                f"the login of the API lacks {_NEEDS} on /storage, to add Proxmox Backup Servers:"
                " `pveum acl modify /storage` gives it a role that has it"
            )
        return Decided(tuple(tasks), tuple(refusals))

    async def make(self, node: Node, task: Task, desired: Desired, tell: Tell) -> None:
        """Adds one, or changes it. Proxmox VE asks the server at once, and refuses where it can't.

        Raises `SecretMissing` where the password has no value.
        """
        one = next(s for s in desired.host.setup.backups.servers if s.address == task.address)
        fields: dict[str, Any] = {change.path: change.after for change in task.fields}
        if "password" in fields:
            fields["password"] = _reveal(node, one)
        now = (await self.look(node, desired)).things.get(one.address)
        if task.action is Action.CREATE and now is None:
            tell(f"adding the Proxmox Backup Server {one.id}")
            await node.send("POST", _STORAGES, storage=one.id, content="backup", **fields)
            return
        tell(f"changing {', '.join(fields)} of the Proxmox Backup Server {one.id}")
        known = {name: value for name, value in fields.items() if name not in _FIXED}
        await node.send("PUT", f"{_STORAGES}/{one.id}", **known)


def wanted(one: BackupServer) -> dict[str, Json]:
    """What the storage is to show; what the files leave open is left alone."""
    told: dict[str, Json] = {
        "type": "pbs",
        "server": one.server,
        "datastore": one.datastore,
        "username": one.username,
        "password": HIDDEN,
        "fingerprint": one.fingerprint,
        "namespace": one.namespace,
        "port": one.port,
    }
    return {name: value for name, value in told.items() if value is not None}


def _told(row: Mapping[str, Any]) -> dict[str, Json]:
    told = {name: row[name] for name in (*_FIXED, "username", "namespace") if name in row}
    if row.get("fingerprint"):
        told["fingerprint"] = str(row["fingerprint"]).upper()
    if row.get("port") is not None:
        told["port"] = int(row["port"])
    return told


def _refused(one: BackupServer, seen: Seen) -> list[str]:
    there = seen.things.get(one.address)
    fields = wanted(one)
    for name in _FIXED if there is not None else ():
        if there is not None and there.get(name) != fields[name]:
            return [
                f"{one.address}: its {name} is {there.get(name)}, the files say {fields[name]}. "
                "Proxmox VE can't change that: give the server another name in the files, or remove"
                f" the storage by hand (`pvesm remove {one.id}`, which deletes no backup)"
            ]
    return []


def _reveal(node: Node, one: BackupServer) -> str:
    if not isinstance(node, Reveals):
        raise Unsupported(f"{node.name} can't be told passwords")
    return node.reveal(one.password)


async def _has_password(node: Node, one: BackupServer) -> bool:
    script = _SAME.format(id=shlex.quote(one.id), other=_OTHER)
    value = _reveal(node, one).encode()
    said = await node.run(script, f"the password of the backup server {one.id}", stdin=value)
    if said.status not in (0, _OTHER):
        raise DriverError(
            f"the password of the backup server {one.id} can't be compared: {said.err or said.out}"
        )
    return said.status == 0


PART = _BackupServers()
