"""What is installed on the host: features as in a guest, asked what differs and applied alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from phoenix_hypervisor import features
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.configure import fingerprint
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


@dataclass(frozen=True, slots=True)
class _Chosen:
    use: FeatureUse
    turn: int


class Software:
    """The host's features. They are applied one after another: packages are locked."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._host = as_guest(session.desired)

    async def look(self, node: Node, tell: Tell) -> Decided:
        """Which features differ. Asks the host, and changes nothing."""
        if not self._host.features:
            return Decided()
        session = self._session
        async with session.configurator(_LIMIT_S) as work:
            found = await work.examine(
                self._host, session.desired, node.way_in, self._prints(), tell
            )
        found = found.without(session.secrets.redactor)
        tasks, before = list[Task](), tuple[Address, ...]()
        for feature in found.features:
            if feature.drifted or feature.failed:
                tasks.append(replace(_task(feature), after=before))
                before = (tasks[-1].address,)
        return Decided(tuple(tasks), notes=found.notes)

    async def make(self, node: Node, change: Change, tell: Tell) -> None:
        """Applies the one feature that the change names."""
        session, name = self._session, change.address.partition("/")[2]
        alone = replace(
            self._host, features=tuple(use for use in self._host.features if use.name == name)
        )
        async with session.configurator(_LIMIT_S) as work:
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


def as_guest(desired: Desired) -> Guest:
    """The host as features know guests: with those that the hypervisor file asks for."""
    chosen = sorted(_chosen(desired), key=lambda one: (one.turn, one.use.name))
    return Guest(
        address=INSIDE,
        kind="host",
        id=0,
        name=desired.target.node or "host",
        source=Image(""),
        memory_mb=desired.host.capacity.memory_mb or 0,
        cores=desired.host.capacity.cores or 0,
        unprivileged=False,
        features=tuple(one.use for one in chosen),
    )


def _chosen(desired: Desired) -> Sequence[_Chosen]:
    found = []
    for name, feature in features.available().items():
        options: Any = feature.for_host(desired)
        if options is not None:
            found.append(_Chosen(FeatureUse(name, options), feature.host_turn))
    return found


def _task(feature: FeatureDrift) -> Task:
    fields = tuple(_field(one) for one in feature.differences if not one.follows)
    if feature.current is None:
        reason = "it was never applied here"
    elif not feature.current:
        reason = "the files or Phoenix changed since it was applied"
    else:
        reason = "it is no longer as it was applied"
    if feature.unknown:
        reason += f"; {feature.unknown}"
    return Task(
        Address(f"host/{feature.name}"), Action.CONFIGURE, fields, reason, estimate_s=_SECONDS
    )


def _field(one: Difference) -> FieldChange:
    before, after = one.before or None, one.after or None
    if one.diff:
        gone = [line[1:].strip() for line in one.diff.splitlines() if line.startswith("-")]
        come = [line[1:].strip() for line in one.diff.splitlines() if line.startswith("+")]
        before, after = "; ".join(gone) or before, "; ".join(come) or after
    return FieldChange(f"{one.kind} {one.what}", before, after)
