"""What is installed on the host: features as in a guest, asked what differs and applied alone."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from phoenix_hypervisor import features
from phoenix_hypervisor.app.host import ended
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
        return _behind(ending, decided(found.features, turns, found.notes))

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
    """A task for each feature that differs, after those with a smaller turn. Pure.

    One that could not be examined is applied too: what it stumbled over may be what an earlier
    change makes, and else the apply says it. What this machine can't have is left out and told.
    """
    tasks = [_task(feature) for feature in found if not feature.unsupported and _is_due(feature)]
    told = [f"left out here: {one.unsupported}" for one in found if one.unsupported]
    turn = {Address(f"host/{name}"): number for name, number in turns.items()}
    ordered = tuple(
        replace(
            task,
            after=tuple(one.address for one in tasks if turn[one.address] < turn[task.address]),
        )
        for task in tasks
    )
    return Decided(ordered, notes=(*notes, *told))


def _behind(ending: tuple[Task, ...], others: Decided) -> Decided:
    """What is ended goes first: another one may want its port."""
    before = tuple(task.address for task in ending)
    rest = tuple(replace(task, after=(*before, *task.after)) for task in others.tasks)
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


def _is_due(feature: FeatureDrift) -> bool:
    return feature.drifted or feature.failed


def _task(feature: FeatureDrift) -> Task:
    fields = tuple(_field(one) for one in feature.differences if not one.follows)
    return Task(
        Address(f"host/{feature.name}"),
        Action.CONFIGURE,
        fields,
        _reason(feature),
        estimate_s=_SECONDS,
    )


def _reason(feature: FeatureDrift) -> str:
    if feature.current is None:
        reason = "it was never applied here"
    elif not feature.current:
        reason = "the files or Phoenix changed since it was applied"
    elif feature.failed and not feature.differences:
        reason = "whether it is as it was applied is not known"
    else:
        reason = "it is no longer as it was applied"
    told = feature.unknown.replace(f"{INSIDE}: {feature.name}: ", "")
    if feature.failed:
        return f"{reason}, and it can't be examined: {told}"
    return f"{reason}; {told}" if told else reason


def _field(one: Difference) -> FieldChange:
    before, after = one.before or None, one.after or None
    if one.diff:
        before = _lines(one.diff, "-") or before
        after = _lines(one.diff, "+") or after
    return FieldChange(f"{one.kind} {one.what}", before, after)


def _lines(diff: str, sign: str) -> str:
    """Lines of a diff that go or come; comments only where there is nothing else."""
    lines = [line[1:].strip() for line in diff.splitlines() if line.startswith(sign)]
    told = [line for line in lines if line and not line.startswith(("#", "//"))]
    return "; ".join(told or lines)
