"""How long the simulated node takes, so that waiting and ordering can be rehearsed."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds per method of the driver (`create`, `start`, …); a clone counts as `clone`.

    `default_s` is for those that `seconds` does not name. No time at all unless asked for.
    """

    default_s: float = 0.0
    seconds: Mapping[str, float] = field(default_factory=dict)

    def of(self, step: str) -> float:
        """The time that a step takes."""
        return self.seconds.get(step, self.default_s)
