"""How long the simulated node takes: waiting, ordering and interruption can be rehearsed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from phoenix_hypervisor.model.errors import UsageError

VARIABLE = "PHOENIX_SIM_SECONDS"


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds per method of the driver (`create`, `start`, …); a clone counts as `clone`.

    `default_s` is for those that `seconds` does not name. No time at all unless asked for.
    """

    default_s: float = 0.0
    seconds: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, words: str) -> Self:
        """What people write: `0.2` for all steps, `0.1,create=2,start=0.5` for some of them.

        Raises `UsageError`.
        """
        default_s, seconds = 0.0, dict[str, float]()
        for word in filter(None, (one.strip() for one in words.split(","))):
            step, _, amount = word.rpartition("=")
            if step:
                seconds[step.strip()] = _amount(amount)
            else:
                default_s = _amount(amount)
        return cls(default_s, seconds)

    def of(self, step: str) -> float:
        """The time that a step takes."""
        return self.seconds.get(step, self.default_s)


def _amount(word: str) -> float:
    try:
        amount = float(word)
    except ValueError:
        amount = math.nan
    if not 0 <= amount < math.inf:
        raise UsageError(
            f"{VARIABLE}: {word!r} is no number of seconds",
            hint="write 0.2 for every step, or 0.1,create=2,start=0.5",
        )
    return amount
