"""Guests as a person wants to see them: how each is, and what needs attention first."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from phoenix_hypervisor.app import Health
from phoenix_hypervisor.app.watching.questions import names
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.watching import Answer
from phoenix_hypervisor.model.watching import Health as Judged
from phoenix_hypervisor.web.look import Look

Condition = Literal[
    "up", "down", "planned", "unknown", "stopped", "absent", "left-out", "resting", "running"
]
"""`resting`: stopped, as the files want it; `running`: without a check that could tell more;
`left-out`: well, but an apply left it half done, out of its proxies.
"""

_GRAVE: dict[Condition, int] = {
    "down": 0,
    "absent": 1,
    "stopped": 2,
    "unknown": 3,
    "left-out": 4,
    "planned": 5,
    "running": 6,
    "up": 7,
    "resting": 8,
}
_WELL = ("running", "up", "resting")
_AWAY = "away on purpose"
_LEFT_OUT = "an apply left it half done: its proxies may lead nothing to it until the next apply"


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check said last. `at` is Unix time."""

    name: str
    kind: str
    health: Judged
    message: str
    latency_ms: float | None
    at: float


@dataclass(frozen=True, slots=True)
class Row:
    """One guest. `why` says what is wrong, and is empty where nothing is."""

    address: Address
    name: str
    condition: Condition
    why: str
    addresses: tuple[str, ...]
    checks: tuple[Checked, ...]
    features: tuple[str, ...]

    @property
    def latency_ms(self) -> float | None:
        """The longest latency of its checks."""
        known = [one.latency_ms for one in self.checks if one.latency_ms is not None]
        return max(known, default=None)

    @property
    def is_well(self) -> bool:
        """Whether it is as the files want it, as far as anybody can tell."""
        return self.condition in _WELL

    @property
    def needs_attention(self) -> bool:
        """Whether somebody should look; what is away on purpose needs nobody."""
        return not self.is_well and self.condition != "planned"


def rows(look: Look) -> list[Row]:
    """All guests of the files, in the files' order."""
    return [_row(look, seen) for seen in look.guests]


def worst_first(found: Iterable[Row]) -> list[Row]:
    """The gravest first; else as they are."""
    return sorted(found, key=lambda row: _GRAVE[row.condition])


def counts(found: Sequence[Row]) -> Iterator[tuple[Condition, int]]:
    """How many are how, the gravest first."""
    for condition in _GRAVE:
        if number := sum(row.condition == condition for row in found):
            yield condition, number


def _row(look: Look, seen: Health) -> Row:
    guest = look.desired.guests[seen.address]
    asked = ((seen.address, name) for name in names(guest))
    answers = [look.answers[key] for key in asked if key in look.answers]
    doubted = {check for address, check in look.doubted if address == seen.address}
    planned = look.planned.get(seen.address, "")
    changing = seen.address in look.changing
    condition, why = _condition(guest, seen, answers, doubted, planned, changing=changing)
    return Row(
        address=guest.address,
        name=guest.name,
        condition=condition,
        why=why,
        addresses=seen.seen.addresses if seen.seen else (),
        checks=tuple(
            Checked(one.check, one.kind, one.health, one.message, one.latency_ms, one.at)
            for one in answers
        ),
        features=tuple(use.name for use in guest.features),
    )


def _condition(
    guest: Guest,
    seen: Health,
    answers: Sequence[Answer],
    doubted: set[str],
    planned: str,
    *,
    changing: bool,
) -> tuple[Condition, str]:
    if not seen.managed:
        return "unknown", "another guest has this id: it was not made by this stack"
    if seen.state == "unknown":
        return "unknown", seen.hidden
    if seen.state != "running":
        if not guest.runs and seen.state == "stopped":
            return "resting", ""
        if planned:
            return "planned", planned
        words = "is not there yet" if seen.state == "absent" else "does not run"
        return ("absent" if seen.state == "absent" else "stopped"), words
    condition, why = _answered(answers, doubted, planned)
    if changing and condition in _WELL:  # what was seen may not hold any more
        return "planned", planned
    if seen.left_out and condition in _WELL:
        return ("planned", planned) if planned else ("left-out", _LEFT_OUT)
    return condition, why


def _answered(answers: Sequence[Answer], doubted: set[str], planned: str) -> tuple[Condition, str]:
    """How a guest that runs is, by what its checks say; as watching judges it."""
    by: dict[Judged, list[Answer]] = {}
    for one in answers:
        by.setdefault(one.health, []).append(one)
    failed = [one for one in by.get("down", ()) if one.check not in doubted]
    if failed and not planned:
        return "down", f"{failed[0].check}: {failed[0].message}"
    if failed or "planned" in by:
        return "planned", planned or _AWAY
    if "down" in by:
        return "running", f"{by['down'][0].check} failed once, and is asked again"
    if "unknown" in by and "up" not in by:
        return "unknown", f"{by['unknown'][0].check}: {by['unknown'][0].message}"
    return ("up" if answers else "running"), ""
