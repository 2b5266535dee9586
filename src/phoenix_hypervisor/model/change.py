"""Changes: what a plan is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Json


class Action(StrEnum):
    """What is done to one address."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    START = "start"
    STOP = "stop"
    CONFIGURE = "configure"
    ADOPT = "adopt"
    SNAPSHOT = "snapshot"
    ROLLBACK = "rollback"

    @property
    def symbol(self) -> str:
        """One character for plans."""
        return {
            "create": "+",
            "update": "~",
            "replace": "±",
            "delete": "-",
            "start": ">",
            "stop": "◼",
            "configure": "*",
            "adopt": "=",
            "snapshot": "◉",
            "rollback": "↶",
        }[self.value]


class Impact(StrEnum):
    """What a change costs: nothing, a restart, or data."""

    LIVE = "live"
    RESTART = "restart"
    DESTRUCTIVE = "destructive"

    @staticmethod
    def worst(impacts: Sequence["Impact"]) -> "Impact":
        """The gravest of them; `LIVE` where there are none."""
        order = (Impact.LIVE, Impact.RESTART, Impact.DESTRUCTIVE)
        return max(impacts, key=order.index, default=Impact.LIVE)


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One difference; `path` is dotted, such as `network.eth0.address`.

    `told` is how people read it, where that is not path, before and after. `diff` is a whole
    unified diff without its head, of what is a text of several lines.
    """

    path: str
    before: Json
    after: Json
    told: str = ""
    diff: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One node of the graph: a thing to do to one address, after other steps.

    `id` is `<address>:<name>`. `after` holds ids of steps that must have succeeded, `behind` of
    those that must have ended, well or not.
    """

    id: str
    address: Address
    name: str
    after: tuple[str, ...] = ()
    estimate_s: float = 0.0
    behind: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """All that is done to one address, with its impact and the reason.

    `after` are the addresses whose steps it waits for.
    """

    address: Address
    action: Action
    impact: Impact = Impact.LIVE
    fields: tuple[FieldChange, ...] = ()
    reason: str = ""
    after: tuple[Address, ...] = ()
    estimate_s: float = 0.0
    name: str = ""
    steps: tuple[Step, ...] = ()
