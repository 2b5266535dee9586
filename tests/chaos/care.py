"""What a watcher told of a fault: when it saw it, what it did, and when that had helped. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.support.watching import Line


@dataclass(frozen=True)
class Care:
    """Of the guest that was hit; times in seconds since the fault. `detected_s` (it is told to be
    down, or a step begins) is None where nothing was seen, as of a service that systemd began
    again at once, and `healed_s` where no step of the watcher helped.

    `steps` are those of the guest, each with its beginning and its reason; `others` are steps for
    guests that were not hit, `left` those guests for which nothing more was done, with the reason.
    """

    detected_s: float | None = None
    up_s: float | None = None
    healed_s: float | None = None
    steps: tuple[tuple[str, float, str], ...] = ()
    others: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    gave_up: tuple[str, ...] = ()

    @property
    def started_s(self) -> float | None:
        """When the first step began."""
        return self.steps[0][1] if self.steps else None


def read(lines: Iterable[Line], address: str, at: float) -> Care:
    """From what was told since a fault that hit the guest `address` at that time."""
    told = list(lines)
    own = [line for line in told if line.get("guest") == address]
    begun = [line for line in told if line["event"] == "heal" and line["step"]]
    return Care(
        detected_s=_first(own, at, "down", "heal"),
        up_s=_first(own[::-1], at, "up"),
        healed_s=_first(own[::-1], at, "healed"),
        steps=tuple(
            (line["step"], line["at"] - at, line["message"])
            for line in begun
            if line["guest"] == address
        ),
        others=tuple(
            f"{line['guest']} {line['step']} +{line['at'] - at:.1f}: {line['message']}"
            for line in begun
            if line["guest"] != address
        ),
        left=tuple(_said(line) for line in told if line["event"] == "held"),
        gave_up=tuple(_said(line) for line in told if line["event"] == "gave-up"),
    )


def _said(line: Line) -> str:
    return f"{line['guest']}: {line['message']}"


def _first(lines: Iterable[Line], at: float, *events: str) -> float | None:
    return next((line["at"] - at for line in lines if line["event"] in events), None)
