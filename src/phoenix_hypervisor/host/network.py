"""The node's own network: everything in one activation, which takes itself back when it cuts off.

arm the way back on the node -> stage all -> activate -> reach it anew -> disarm
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from phoenix_hypervisor.host import _interfaces, _operator, _revert
from phoenix_hypervisor.host._interfaces import Row
from phoenix_hypervisor.host.part import Choice, Decided, Seen, Task
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, FieldChange, Impact
from phoenix_hypervisor.model.check import Said
from phoenix_hypervisor.model.desired import Desired, Json
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import Conflict, DriverError, PhoenixError, Unsupported
from phoenix_hypervisor.model.host.network import HostInterface, HostNetwork
from phoenix_hypervisor.model.node import Node, ReachedAnew

_PENDING = """cd /etc/network || exit 0
[ ! -e interfaces.new ] || diff -u interfaces interfaces.new | tail -n +3
true
"""
_STAGED = "test -e /etc/network/interfaces.new"
_WEIGHTY = ("address", "address6", "gateway", "gateway6", "ports", "vlan_aware", "vlan_id",
            "device", "mtu", "type")  # fmt: skip
_KINDS = {"bridge": "a bridge", "vlan": "a VLAN interface", "eth": "a card", "bond": "a bond"}
_FIRST_S = 5.0
_PAUSE_S = 0.5
_ONE_TRY_S = 12.0


class NetworkPart:
    """Bridges, VLAN interfaces and cards of one node, as one thing: `network/pve1`."""

    name = "network"
    turn = 90

    async def look(self, node: Node, desired: Desired) -> Seen:
        """All interfaces, what waits to be activated, and where the operator comes in."""
        if not desired.host.setup.network.interfaces:
            return Seen()
        _only_pve(node)
        rows = await node.get(f"/nodes/{node.name}/network")
        pending = await node.run(_PENDING, "network changes that wait to be activated")
        mine = await _operator.connections(node)
        return Seen(
            facts={
                "node": node.name,
                "rows": list(rows),
                "pending": pending.out,
                "mine": [one.as_json() for one in mine],
            }
        )

    def decide(self, desired: Desired, seen: Seen, choice: Choice) -> Decided:
        """One change with all that differs. What others left waiting is never activated."""
        del choice
        network = desired.host.setup.network
        if not network.interfaces:
            return Decided()
        rows, node = _rows(seen), str(seen.facts.get("node", "host"))
        if refusals := tuple(_refused(network.interfaces, rows)):
            return Decided(refusals=refusals, notes=_notes(network))
        found = tuple(change for one in network.interfaces for change in _differences(one, rows))
        if not found:
            return Decided(notes=_notes(network))
        pending = str(seen.facts.get("pending") or "").strip()
        if pending:
            shown = "; ".join(
                line for line in pending.splitlines() if line[:1] in "+-" and line[1:].strip()
            )
            refusal = (
                f"network/{node}: changes that Phoenix did not make wait to be activated, and "
                f"would be activated along: {shown}. Apply or revert them first (in the web "
                "interface under System, Network)"
            )
            return Decided(refusals=(refusal,), notes=_notes(network))
        task = Task(
            Address(f"network/{node}"),
            Action.UPDATE,
            found,
            "the interfaces are not as the files say",
            estimate_s=10.0,
        )
        return Decided((_with_cost(task, network, rows, seen),), notes=_notes(network))

    async def make(self, node: Node, task: Task, desired: Desired, tell: Tell) -> None:
        """Stages, arms, activates and disarms. Raises `Conflict` where the world moved."""
        if not isinstance(node, ReachedAnew):
            raise Unsupported(f"{node.name} can't be reached by a new connection")
        seen = await self.look(node, desired)
        decided = self.decide(desired, seen, Choice())
        if decided.refusals or [one.fields for one in decided.tasks] != [task.fields]:
            why = decided.refusals[0] if decided.refusals else "it is not as the plan saw it"
            message = f"the network of {node.name} moved since the plan: {why}"
            raise Conflict(message, hint="plan again")
        network, rows = desired.host.setup.network, _rows(seen)
        address = _address(network, seen)
        change = _Activation(node, network.revert_after_s, address, tell)
        await change.arm()  # first: a node that restarts puts in place what is staged
        try:
            await change.stage(_stage(node, network.interfaces, rows))
        except BaseException:
            with contextlib.suppress(PhoenixError):  # else the timer does it
                await change.withdraw()
            raise
        await change.activate()
        if address is not None and (old := _left(network, seen)) not in {None, address}:
            node.moved(str(old), address)
            tell(
                f"{node.name} is reached on {address} now: where hypervisor.endpoint and "
                f"hypervisor.ssh.host lead to {old}, change them for the next run"
            )


class _Activation:
    """One activation with its way back."""

    def __init__(self, node: Node, seconds: int, address: str | None, tell: Tell) -> None:
        self._node, self._seconds, self._address, self._tell = node, seconds, address, tell
        self._token = secrets.token_hex(4)
        self._known = ""
        self._until = 0.0

    async def arm(self) -> None:
        """Raises `Conflict` where another change is under way, `DriverError` where it can't be."""
        said = await self._node.run('printf %s "${SSH_CONNECTION-}"', "a timed way back")
        self._known = said.out.replace("'", "")
        self._until = time.monotonic() + self._seconds
        said = await self._node.run(_revert.arm(self._token, self._seconds), "a timed way back")
        if said.status == _revert.ARMED_ALREADY:
            raise Conflict(f"{self._node.name}: {said.err.strip()}", hint="wait until it is over")
        if said.status != 0:
            raise DriverError(
                f"the way back can't be armed on {self._node.name}, so nothing is changed: "
                f"{said.err.strip() or said.out.strip()}"
            )

    async def stage(self, staging: Coroutine[None, None, None]) -> None:
        """Stages while the way back is armed: it takes away what is staged when its time is over.

        Raises `DriverError` where too little of that time is left to activate.
        """
        late = DriverError(
            f"staging the change of {self._node.name}'s network took too long: nothing is changed",
            hint="apply again when the node is quiet, or raise network.revert_after_s",
        )
        try:
            async with asyncio.timeout(self._seconds / 2):
                await staging
        except TimeoutError as error:
            raise late from error
        said = await self._node.run(_revert.is_armed(self._token), "a timed way back")
        if said.status != 0 or self._until - time.monotonic() < self._seconds / 3:
            raise late

    async def withdraw(self) -> None:
        """Where nothing was changed: nothing is to be activated, and no way back is needed."""
        await self._node.send("DELETE", f"/nodes/{self._node.name}/network")
        await self._node.run(_revert.withdraw(self._token), "a timed way back")

    async def activate(self) -> None:
        """Raises `DriverError` where the node took the change back."""
        self._tell(
            f"the network is changed; unless the node is reached again on "
            f"{self._address or 'its address'}, it takes that back after {self._seconds} s"
        )
        where = f"/nodes/{self._node.name}/network"
        sent = asyncio.ensure_future(self._node.send("PUT", where))
        try:
            await asyncio.wait([sent], timeout=min(_FIRST_S, self._seconds / 2))
            refused = sent.exception() if sent.done() else None
            if isinstance(refused, PhoenixError) and await self._is_staged():
                await self.withdraw()
                raise DriverError(
                    f"{self._node.name} refused to activate the change, so that its network is as "
                    f"before: {refused.message}"
                )
            if await self._disarmed():
                return
        finally:
            if not sent.done():
                sent.cancel()
            with contextlib.suppress(asyncio.CancelledError, PhoenixError):
                await sent
        await self._taken_back(refused)

    async def _is_staged(self) -> bool:
        """Whether the node certainly did not begin: it takes the staged file away first."""
        try:
            said = await self._node.run(_STAGED, "network changes that wait to be activated")
        except PhoenixError:
            return False
        return said.status == 0

    async def _disarmed(self) -> bool:
        """Whether a new connection to the declared address reached the node in time."""
        script = _revert.disarm(self._token, self._address, self._known)
        while (left := self._until - time.monotonic()) > 0:
            said = await self._anew(script, min(left, _ONE_TRY_S))
            if said is not None and said.status == 0:
                return True
            if said is not None and said.status == _revert.TOO_LATE:
                return False
            await asyncio.sleep(_PAUSE_S)
        return False

    async def _anew(self, script: str, seconds: float) -> Said | None:
        node = cast("ReachedAnew", self._node)
        try:
            async with asyncio.timeout(seconds + 1):
                return await node.anew(
                    script, "it is reached again", address=self._address, timeout_s=seconds
                )
        except (PhoenixError, TimeoutError):
            return None

    async def _taken_back(self, refused: BaseException | None) -> None:
        """Waits until the old network is there again, and says so."""
        node = cast("ReachedAnew", self._node)
        said = None
        until = time.monotonic() + _revert.RELOAD_S
        while time.monotonic() < until:
            with contextlib.suppress(PhoenixError, TimeoutError):
                async with asyncio.timeout(_ONE_TRY_S + 1):
                    script = _revert.state(self._token)
                    said = await node.anew(
                        script, "how it went", address=None, timeout_s=_ONE_TRY_S
                    )
                if said.out.startswith("reverted"):
                    break
            await asyncio.sleep(_PAUSE_S)
        name = self._node.name
        why = f"; the activation said: {refused}" if isinstance(refused, PhoenixError) else ""
        place = f"on {self._address} " if self._address else ""
        if said is None or not said.out.startswith("reverted"):
            raise DriverError(
                f"{name} was not reached {place}within {self._seconds} s, and not after that{why}",
                hint="it was to take the change back by itself; look at its console: "
                f"{_revert.FOLDER} holds the file of before and a log",
            )
        log = said.out.partition("\n")[2].strip()
        raise DriverError(
            f"{name} was not reached {place}within {self._seconds} s, so it took the change of its "
            f"network back; all is as before{why}" + (f" (ifreload: {log})" if log else ""),
            hint="check address, gateway, ports and VLAN in network.interfaces",
        )


async def _stage(node: Node, interfaces: Sequence[HostInterface], rows: Mapping[str, Row]) -> None:
    """Into interfaces.new, from which one activation takes all."""
    where = f"/nodes/{node.name}/network"
    differing = [one for one in interfaces if any(True for _ in _differences(one, rows))]
    # A port or a gateway has to be free before another interface gets it.
    for one in sorted(differing, key=lambda one: one.name not in rows):
        row = rows.get(one.name)
        told: Mapping[str, Any] = _interfaces.parameters(one, row)
        if row is None:
            await node.send("POST", where, iface=one.name, **told)
        else:
            await node.send("PUT", f"{where}/{one.name}", **told)


def _refused(interfaces: Sequence[HostInterface], rows: Mapping[str, Row]) -> Iterator[str]:
    """What exists as something else keeps that: it would lose its cards, or never come up."""
    for one in interfaces:
        row = rows.get(one.name)
        if row is None and one.kind == "eth":
            yield (
                f"network: the node has no card {one.name}, and Phoenix makes only bridges and "
                'VLAN interfaces. Mend its name, or say what it is: "ports" for a bridge, '
                '"vlan_id" for a VLAN'
            )
        elif row is not None and one.kind != "eth" and row.get("type") != one.kind:
            yield (
                f"network: {one.name} is {_KINDS[one.kind]} in the files, and on the node "
                f"{_kind(row)}. Mend the file, or remove the node's by hand first"
            )


def _kind(row: Row) -> str:
    return _KINDS.get(str(row.get("type")), f"an {row.get('type')}")


def _differences(one: HostInterface, rows: Mapping[str, Row]) -> Sequence[FieldChange]:
    row, wanted = rows.get(one.name), _interfaces.wanted(one)
    if row is None:
        fields: dict[str, Json] = {"type": one.kind, **wanted}
        return tuple(FieldChange(f"{one.name}.{key}", None, v) for key, v in fields.items())
    there = _interfaces.seen(row)
    return tuple(
        FieldChange(f"{one.name}.{key}", there[key], value)
        for key, value in wanted.items()
        if there[key] != value
    )


def _rows(seen: Seen) -> dict[str, Row]:
    rows = cast("list[Row]", seen.facts.get("rows") or [])
    return {str(row["iface"]): row for row in rows}


def _with_cost(task: Task, network: HostNetwork, rows: Mapping[str, Row], seen: Seen) -> Task:
    """What it costs the operator, who may come in over what changes."""
    changed = {change.path.rpartition(".")[0] for change in task.fields if _is_weighty(change)}
    mine = _operator.from_json(seen.facts.get("mine"))
    back = f"the node takes it back unless it is reached again within {network.revert_after_s} s"
    for one in mine:
        touched = changed & set(_interfaces.below(one.interface, rows))
        if one.interface and touched:
            new = _address(network, seen)
            moved = f", and goes on to {new}" if new and new != one.server else ""
            reason = (
                f"{task.reason}; your own connection comes in over {one.interface} ({one.server}): "
                f"it may break off{moved}; {back}"
            )
            return replace(task, impact=Impact.RESTART, reason=reason)
    is_known = bool(mine) and all(one.interface for one in mine)
    if changed & set(rows) and not is_known:
        reason = f"{task.reason}; whether your own connection comes in over it is not known; {back}"
        return replace(task, impact=Impact.RESTART, reason=reason)
    return replace(task, reason=f"{task.reason}; {back}")


def _is_weighty(change: FieldChange) -> bool:
    return change.path.rpartition(".")[2] in _WEIGHTY


def _address(network: HostNetwork, seen: Seen) -> str | None:
    """Where the node is to be reached then: on what the operator comes in over, as declared."""
    placed = [one for one in network.interfaces if one.address]
    declared = {one.name: str(one.address).partition("/")[0] for one in placed}
    mine = _entered(network, seen)
    if mine is not None:
        return declared.get(mine.interface, mine.server)
    routed = [one.name for one in network.interfaces if one.gateway]
    return next((declared[name] for name in (*routed, *declared) if name in declared), None)


def _left(network: HostNetwork, seen: Seen) -> str | None:
    """Where it was reached before, as far as that is known."""
    mine = _entered(network, seen)
    return mine.server if mine else None


def _entered(network: HostNetwork, seen: Seen) -> _operator.Connection | None:
    """By which connection the operator comes in; one over what the files declare, if any does."""
    declared = {one.name for one in network.interfaces if one.address}
    mine = _operator.from_json(seen.facts.get("mine"))
    return next((one for one in mine if one.interface in declared), next(iter(mine), None))


def _notes(network: HostNetwork) -> tuple[str, ...]:
    return tuple(
        f"{name}: Proxmox VE's API sets no address by DHCP; it is left as it is"
        for name in network.dhcp
    )


def _only_pve(node: Node) -> None:
    if not node.is_pve:
        raise Unsupported("bridges and addresses of the host are set up on Proxmox VE alone")


PART = NetworkPart()
