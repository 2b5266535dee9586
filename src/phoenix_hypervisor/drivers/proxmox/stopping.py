"""Who stopped a guest, from the node's list of tasks.

What somebody asks for is a task with its user. A guest that is shut down from inside, or that died,
leaves none. A task that works on it now (a backup in mode `stop`, which has no task to stop it, or
a rollback) holds its lock. Source: the Proxmox VE API viewer, `/nodes/{node}/tasks`; the tasks'
types stand in PVE::API2::LXC::Status, PVE::API2::LXC::Snapshot and PVE::API2::Qemu, how they end in
PVE::RESTEnvironment.
"""

from collections.abc import Sequence
from typing import Any

from phoenix_hypervisor.drivers.proxmox.api.client import Api
from phoenix_hypervisor.drivers.proxmox.api.paths import path
from phoenix_hypervisor.drivers.proxmox.permissions import Permissions, grant
from phoenix_hypervisor.drivers.proxmox.state import State
from phoenix_hypervisor.model.errors import Denied

_STARTS = frozenset({"vzstart", "qmstart", "vzreboot", "qmreboot", "vzresume", "qmresume"})
_STOPS = frozenset(
    {
        "vzstop",
        "vzshutdown",
        "vzsuspend",
        "vzrollback",
        "qmstop",
        "qmshutdown",
        "qmsuspend",
        "qmpause",
        "qmrollback",
    }
)
_SHUTDOWNS = frozenset({"vzshutdown", "qmshutdown"})
_LATEST = 50


async def who_stopped(api: Api, guest: State, permissions: Permissions) -> str | None:
    """Who asked for its last stop; None where nobody did since it was started.

    A guest that is locked is nobody's to start, whoever stopped it. Raises `Denied` where others'
    tasks can't be seen.
    """
    if lock := guest.config.get("lock"):
        return f"a task that holds its lock ({lock})"
    where = f"/nodes/{guest.node}"
    if not permissions.has(where, "Sys.Audit"):
        raise Denied(
            f"{guest.address}: who stopped it can't be seen",
            missing=f"Sys.Audit on {where}",
            hint=grant(api.user, where, ["Sys.Audit"]),
        )
    found = await api.get(
        path("nodes", guest.node, "tasks"), vmid=guest.vmid, source="all", limit=_LATEST
    )
    return asker(found or ())


def asker(tasks: Sequence[dict[str, Any]]) -> str | None:
    """From the tasks of one guest that rests, in any order. A stop that failed did not stop it, but
    for a shutdown that was not awaited any longer: it was asked for, and may have come to its end.

    PVE tells whole seconds: since it rests, the stop was the later of two in the same one.
    """
    for task in sorted(
        tasks, key=lambda one: (int(one["starttime"]), one["type"] in _STOPS), reverse=True
    ):
        if task["type"] in _STARTS:
            return None
        if task["type"] in _STOPS and _may_have_stopped(task):
            return str(task["user"])
    return None


def _may_have_stopped(task: dict[str, Any]) -> bool:
    if "endtime" not in task:
        return True
    status = str(task.get("status"))
    late = task["type"] in _SHUTDOWNS and "timeout" in status
    return status == "OK" or status.startswith("WARNINGS") or late
