"""What watching a stack says: answers of checks over time, and what happened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.observed import GuestState
from phoenix_hypervisor.model.writable import writable

Health = Literal["up", "down", "planned", "unknown"]
"""`planned`: away on purpose, in a maintenance window or for an apply."""

What = Literal[
    "watching",
    "away",
    "down",
    "up",
    "heal",
    "healed",
    "gave-up",
    "held",
    "alert",
    "resolved",
    "planned",
    "unknown",
    "trouble",
]
"""What happened: Phoenix began or ceased watching (`watching`, `away`); a guest went down or came
up; a step of healing began (`heal`), helped (`healed`), or none is left (`gave-up`); a guest is
left alone, with the reason (`held`); an alert went out or was resolved; planned time began; nothing
is known of a guest any more (`unknown`); watching itself is hindered (`trouble`)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one check of a guest said last. `at` is Unix time, `slow`: over the promised latency."""

    guest: Address
    check: str
    kind: str
    at: float
    health: Health
    message: str = ""
    latency_ms: float | None = None
    slow: bool = False
    numbers: Mapping[str, float] = field(default_factory=dict)
    """More that was measured, such as `first_token_ms` and `tokens_per_s` of a check `llm`."""


@dataclass(frozen=True, slots=True)
class GuestChanged:
    """The hypervisor told that a guest began to run, or ceased to. `at` is Unix time.

    `by` is who asked the hypervisor for it; None where nobody did: its inside did it, or failed.
    `paused`: it is there with all that runs in it, but stands still, which counts as stopped.
    """

    address: Address
    state: GuestState
    at: float
    by: str | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Happening:
    """Something worth remembering. `guest` is empty where it concerns the whole stack."""

    at: float
    what: What
    guest: Address | Literal[""]
    text: str
    step: str = ""
    """Of healing: which step (`start`, `service`, `room`, `plug`, `restart`, `rollback`,
    `recreate`). Of an alert: its severity and its key."""

    def __post_init__(self) -> None:
        """Its text may hold what a guest said, or a path that is no UTF-8."""
        object.__setattr__(self, "text", writable(self.text))
