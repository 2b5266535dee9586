"""One guest's configuration as PVE holds it, with what waits for a restart, marks and place."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from phoenix_hypervisor.drivers.proxmox.api.client import Api, path
from phoenix_hypervisor.drivers.proxmox.cluster import Listed
from phoenix_hypervisor.drivers.proxmox.marks import Notes, Tags
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address

_MAKING = ("vzcreate", "qmcreate")
_API_KIND = {"lxc": "lxc", "vm": "qemu"}
_LOCKS_OF_MAKING = ("create", "clone", "import")


@dataclass(frozen=True, slots=True)
class State:
    """`config` is what the next start takes: pending values are in it, and keys that wait for
    their deletion are not. `pending` names the keys that wait for a restart.
    """

    address: Address
    node: str
    config: Mapping[str, object]
    pending: tuple[str, ...] = ()

    @property
    def vmid(self) -> int:
        """Its id."""
        return int(addresses.ident(self.address))

    @property
    def digest(self) -> str | None:
        """PVE's optimistic lock."""
        value = self.config.get("digest")
        return str(value) if value is not None else None

    @property
    def tags(self) -> Tags:
        """Its tags."""
        return Tags.read(str(self.config.get("tags") or ""), self.vmid)

    @property
    def notes(self) -> Notes:
        """Its notes."""
        return Notes.read(str(self.config.get("description") or ""), self.vmid)

    @property
    def stack(self) -> str | None:
        """Whose it is: by its tags, or, where a rollback went behind them, by its notes."""
        return self.tags.stack or self.notes.stack

    @property
    def complete(self) -> bool:
        """Whether its making came to its end: once it is marked so, whoever locks it now."""
        if self.tags.complete:
            return True
        locked = self.config.get("lock") in _LOCKS_OF_MAKING
        return not locked and self.tags.stack is None and not self.notes.making

    @property
    def is_template(self) -> bool:
        """Whether PVE holds it as a template, which can't be started."""
        return str(self.config.get("template", "0")) == "1"


def url(node: str, address: Address, *more: str | int) -> str:
    """The path of a guest in the API: `/nodes/pve1/lxc/101/config`."""
    return path("nodes", node, _API_KIND[addresses.kind(address)], addresses.ident(address), *more)


async def read(api: Api, listed: Listed) -> State:
    """The guest's state, from its one list of values and what waits for a restart.

    Raw lines of LXC are not in that list; where the notes say that there are some, they are read
    in addition.
    """
    rows = await api.get(url(listed.node, listed.address, "pending"))
    state = from_rows(listed.address, listed.node, rows)
    if "raw" in state.notes.asked:
        return await with_raw(api, state)
    return state


async def with_raw(api: Api, state: State) -> State:
    """The same with the raw lines of LXC."""
    if "lxc" in state.config:
        return state
    config = await api.get(url(state.node, state.address, "config"))
    whole = {**state.config, "lxc": config.get("lxc", [])}
    return State(state.address, state.node, whole, state.pending)


def from_rows(address: Address, node: str, rows: Iterable[Mapping[str, Any]]) -> State:
    """From PVE's list of `{key, value?, pending?, delete?}`."""
    config: dict[str, object] = {}
    pending: list[str] = []
    for row in rows:
        key = str(row["key"])
        if row.get("delete"):
            pending.append(key)
        elif "pending" in row:
            pending.append(key)
            config[key] = row["pending"]
        elif "value" in row:
            config[key] = row["value"]
    return State(address, node, config, tuple(sorted(pending)))


async def is_making(api: Api, now: State) -> bool:
    """Whether a guest that bears no marks yet is one that this user was just creating."""
    if now.config.get("lock") != "create" or now.stack is not None:
        return False  # only the lock is written at first
    rows = await api.get(path("nodes", now.node, "tasks"), vmid=now.vmid, limit=1, source="all")
    return any(
        row.get("type") in _MAKING and api.user in (str(row.get("user")), _token(row))
        for row in rows or ()
    )


def _token(row: dict[str, object]) -> str:
    return f"{row.get('user')}!{row.get('tokenid')}"
