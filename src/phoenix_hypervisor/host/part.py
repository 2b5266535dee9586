"""The contract of a part of the host: one concern, such as ZFS pools or the network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, FieldChange, Impact
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.node import Node
from phoenix_hypervisor.model.observed import Fields


@dataclass(frozen=True, slots=True)
class Wanted:
    """One thing of the host as the files want it; `after` are things that it stands on."""

    address: Address
    fields: Fields
    after: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at the node found.

    `things` are all that are there, also those that the files don't name; `facts` are for the
    part's own decisions.
    """

    things: Mapping[Address, Fields] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """What the operator named on the command line: nothing of this is ever done unasked.

    `wipe` holds serial numbers of disks whose content may be destroyed; `reboot`: whether the
    node may be restarted.
    """

    wipe: frozenset[str] = frozenset()
    reboot: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """One change that a part decides on. Fields, reason and impact are shown before it is done.

    `restarts`: why it only holds once the node was restarted; empty: it holds at once. `left_out`:
    it is shown, and not done: what it needs was not allowed. It is only done where those in `after`
    were; those in `behind` only go first, however that ends.
    """

    address: Address
    action: Action
    fields: tuple[FieldChange, ...] = ()
    reason: str = ""
    impact: Impact = Impact.LIVE
    after: tuple[Address, ...] = ()
    estimate_s: float = 1.0
    restarts: str = ""
    left_out: bool = False
    behind: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Decided:
    """All changes of a part. `refusals` are why the plan can't be applied; `notes` are told.

    `restarts` are reasons why the node is still to be restarted for what was done before.
    """

    tasks: tuple[Task, ...] = ()
    refusals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    restarts: tuple[str, ...] = ()


class Part(Protocol):
    """One part of the host. `look` and `make` speak to the node; the rest is pure."""

    @property
    def name(self) -> str:
        """As its module."""

    @property
    def turn(self) -> int:
        """Where it stands among the parts, smaller ones first; `after` of its things decides."""

    async def look(self, node: Node, desired: Desired) -> Seen:
        """What is there now. Changes nothing. Raises `PhoenixError`."""

    def decide(self, desired: Desired, seen: Seen, choice: Choice) -> Decided:
        """What is to be done. Pure: the same files and the same look give the same answer."""

    async def make(self, node: Node, task: Task, desired: Desired, tell: Tell) -> None:
        """Does one task. Done again after it broke off anywhere, it does the rest.

        It must be safe against a world that moved since the look: what would destroy something
        is looked at again right before.
        """


def differences(
    wanted: Sequence[Wanted], seen: Seen, *, reason: str = "it is not there"
) -> list[Task]:
    """The usual decisions: what is missing is created, what differs is updated live.

    Only fields that are wanted are compared.
    """
    tasks = []
    for thing in wanted:
        there = seen.things.get(thing.address)
        before = there or {}
        changed = tuple(
            FieldChange(path, before.get(path), value)
            for path, value in thing.fields.items()
            if before.get(path) != value
        )
        if there is None:
            task = Task(thing.address, Action.CREATE, changed, reason, after=thing.after)
            tasks.append(task)
        elif changed:
            told = ", ".join(change.path for change in changed)
            why = f"{told} differ{'s' * (len(changed) == 1)}"
            tasks.append(Task(thing.address, Action.UPDATE, changed, why, after=thing.after))
    return tasks
