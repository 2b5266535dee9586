"""A plan is data: apply executes it as it is and never decides again."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Change
from phoenix_hypervisor.model.ledger import Card


@dataclass(frozen=True, slots=True)
class Plan:
    """The difference between the files and the world, in an order that can be walked.

    `basis` maps each address to a digest of what was wanted and seen when the plan was made, so
    that a saved plan can be refused, naming what moved. `refusals` are reasons why it can't be
    applied at all; `kept` are things that `--prune` would delete. `gpus` is the ledger of graphics
    cards, of the whole folder; empty where nobody uses one. `host` is how the machine that the
    plan sets up calls itself; empty in a plan of guests. `here`: Phoenix runs on that machine.
    """

    stack: str
    driver: str
    changes: tuple[Change, ...] = ()
    unmanaged: tuple[Address, ...] = ()
    refusals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    kept: tuple[Address, ...] = ()
    estimate_s: float = 0.0
    basis: Mapping[str, str] = field(default_factory=dict)
    gpus: tuple[Card, ...] = ()
    host: str = ""
    here: bool = False

    @property
    def summary(self) -> dict[str, int]:
        """How many changes of each action."""
        return dict(Counter(change.action.value for change in self.changes))
