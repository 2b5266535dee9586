"""What is installed on the host: features as in a guest, asked what differs and applied alone."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from phoenix_hypervisor import features
from phoenix_hypervisor.app.host import ended, foreign
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.configure import fingerprint
from phoenix_hypervisor.configure.plain import secrets_in
from phoenix_hypervisor.host.part import Decided, Task
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, Change, FieldChange
from phoenix_hypervisor.model.desired import Desired, FeatureUse, Guest, Image
from phoenix_hypervisor.model.drift import Difference, FeatureDrift
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.node import Node

INSIDE = Address("host/inside")
_LIMIT_S = 3 * 3600.0
_SECONDS = 20.0


class Software:
    """The host's features. Only one is applied at a time: packages are locked."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._host = as_guest(session.desired)
        self._turn = asyncio.Lock()
        for secret in secrets_in([use.options for use in self._host.features], {}):
            session.secrets.redactor.add(secret.literal or "")

    async def look(self, node: Node, tell: Tell) -> Decided:
        """Which features differ, or are to be ended. Asks the host, and changes nothing."""
        session = self._session
        ending = await ended.look(node, session.desired)
        if not self._host.features:
            return Decided(ending)
        async with session.configurator(_LIMIT_S) as work:
            found = await work.examine(
                self._host, session.desired, node.way_in, self._prints(), tell
            )
        found = found.without(session.secrets.redactor)
        turns = {use.name: _turn(use) for use in self._host.features}
        told = _behind(ending, decided(found.features, turns, found.notes))
        due = [task.address.partition("/")[2] for task in told.tasks if task not in ending]
        others = await foreign.look(node, [path for name in due for path in _files(name)])
        return replace(told, notes=(*told.notes, *map(foreign.note, others)))

    async def make(self, node: Node, change: Change, tell: Tell) -> None:
        """Applies, or ends, the one feature that the change names."""
        session, name = self._session, change.address.partition("/")[2]
        if change.action is Action.STOP:
            async with self._turn:
                await ended.end(node, name, tell)
            return
        alone = replace(
            self._host, features=tuple(use for use in self._host.features if use.name == name)
        )
        async with self._turn, session.configurator(_LIMIT_S) as work:
            await foreign.keep(node, _files(name), tell)
            await work.configure(
                alone, session.desired, node.way_in, self._prints(), tell, everything=True
            )

    def _prints(self) -> dict[str, str]:
        session = self._session
        return fingerprint.fingerprints(
            self._host,
            session.desired,
            features.available(),
            session.desired.folder,
            session.secrets.digest,
        )


def decided(
    found: Sequence[FeatureDrift], turns: dict[str, int], notes: Sequence[str] = ()
) -> Decided:
    """A task for each feature that differs, behind those with a smaller turn. Pure.

    Where one of them fails, only those that need it are not done. One that could not be examined is
    applied too: what it stumbled over may be what an earlier change makes, and else the apply says
    it. What this machine can't have is left out and told.
    """
    tasks = [_task(feature) for feature in found if not feature.unsupported and _is_due(feature)]
    told = [f"left out here: {one.unsupported}" for one in found if one.unsupported]
    turn = {Address(f"host/{name}"): number for name, number in turns.items()}
    ordered = []
    for task in tasks:
        first = [one.address for one in tasks if turn[one.address] < turn[task.address]]
        needs = features.available()[task.address.partition("/")[2]].host_needs
        after = tuple(one for one in first if one.partition("/")[2] in needs)
        ordered.append(replace(task, after=after, behind=tuple(first)))
    return Decided(tuple(ordered), notes=(*notes, *told))


def _behind(ending: tuple[Task, ...], others: Decided) -> Decided:
    """What is ended goes first: another one may want its port."""
    before = tuple(task.address for task in ending)
    rest = tuple(replace(task, behind=(*before, *task.behind)) for task in others.tasks)
    return replace(others, tasks=(*ending, *rest))


def as_guest(desired: Desired) -> Guest:
    """The host as features know guests: with those that the hypervisor file asks for, in turn."""
    return Guest(
        address=INSIDE,
        kind="host",
        id=0,
        name=desired.target.node or "host",
        source=Image(""),
        memory_mb=desired.host.capacity.memory_mb or 0,
        cores=desired.host.capacity.cores or 0,
        unprivileged=False,
        features=tuple(sorted(_chosen(desired), key=lambda use: (_turn(use), use.name))),
    )


def _chosen(desired: Desired) -> Iterator[FeatureUse]:
    for name, feature in features.available().items():
        options: Any = feature.for_host(desired)
        if options is not None:
            yield FeatureUse(name, options)


def _turn(use: FeatureUse) -> int:
    return features.available()[use.name].host_turn


def _files(name: str) -> Sequence[str]:
    return features.available()[name].host_files


def _is_due(feature: FeatureDrift) -> bool:
    """What can't be known yet is due as well: that it differs may come to light by the apply."""
    return feature.drifted or bool(feature.unknown)


def _task(feature: FeatureDrift) -> Task:
    fields = tuple(_field(one) for one in feature.differences)
    return Task(
        Address(f"host/{feature.name}"),
        Action.CONFIGURE,
        fields,
        _reason(feature),
        estimate_s=_SECONDS,
    )


def _reason(feature: FeatureDrift) -> str:
    """That something will fail comes first, where nothing that is done here before mends it."""
    told = feature.unknown.replace(f"{INSIDE}: {feature.name}: ", "")
    if feature.current is None:
        reason = "it was not applied here yet, or its last apply failed"
    elif not feature.current:
        reason = "the files or Phoenix changed since it was applied"
    elif told and not feature.differences:
        reason = "whether it is as it was applied is not known"
    else:
        reason = "it is no longer as it was applied"
    if told and not feature.differences:
        return f"as things are this will fail: {told}; {reason}"
    return f"{reason}; {told}" if told else reason


def _field(one: Difference) -> FieldChange:
    name = f"{one.kind} {one.what}"
    if one.follows:
        short = one.what if one.kind == "command" else name
        told = f"then: {one.what} {one.after}".rstrip()
        return FieldChange(f"then: {short}", one.before or None, one.after or None, told)
    if one.kind == "command":
        return FieldChange(name, None, one.after or None, name)
    if one.after and not one.diff:
        told = "" if one.before else f"{name}: {one.after}"
        return FieldChange(name, one.before or None, one.after, told)
    go, come = _lines(one.diff, "-"), _lines(one.diff, "+")
    before = "; ".join(_speaking(go)) or one.before or None
    after = "; ".join(_speaking(come)) or one.after or None
    told = (
        f"{one.before} → {one.after}"
        if one.after
        else f"{_count(go, 'go')}, {_count(come, 'come')}"
    )
    return FieldChange(name, before, after, f"{name}: {told}", one.diff)


def _count(lines: Sequence[str], verb: str) -> str:
    if len(lines) == 1:
        return f"1 line {'goes' if verb == 'go' else 'comes'}"
    return f"{len(lines)} lines {verb}"


def _lines(diff: str, sign: str) -> list[str]:
    """Lines of a diff that go or come."""
    return [line[1:].strip() for line in diff.splitlines() if line.startswith(sign)]


def _speaking(lines: Sequence[str]) -> Sequence[str]:
    """Comments only where there is nothing else."""
    return [line for line in lines if line and not line.startswith(("#", "//"))] or lines
