"""One order for our rules and those of others: theirs keep their places among each other. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Told = dict[str, str]


@dataclass(frozen=True, slots=True)
class Slot:
    """A rule of the order that is to be: one that stays (`old`: its position now), or a new one."""

    old: int | None
    rule: Told


def merged(there: Sequence[tuple[bool, Told]], wanted: Sequence[Told]) -> list[Slot]:
    """`there` says of each rule whether it is ours. Ours end up exactly as wanted, in that order.

    As many of ours as can stay where they are; a new one comes right behind the one that the files
    have before it, and the first ones come before everything.
    """
    ours = [(position, rule) for position, (mine, rule) in enumerate(there) if mine]
    stay = _common([rule for _, rule in ours], wanted)
    kept = {ours[mine][0]: index for mine, index in stay}
    order = [
        Slot(position, rule)
        for position, (mine, rule) in enumerate(there)
        if not mine or position in kept
    ]
    placed = {index: position for position, index in kept.items()}
    at = 0
    for index, rule in enumerate(wanted):
        if index in placed:
            at = next(n for n, slot in enumerate(order) if slot.old == placed[index]) + 1
        else:
            order.insert(at, Slot(None, rule))
            at += 1
    return order


def _common(ours: Sequence[Any], wanted: Sequence[Any]) -> list[tuple[int, int]]:
    """The longest subsequence that both have, as pairs of positions."""
    size = [[0] * (len(wanted) + 1) for _ in range(len(ours) + 1)]
    for i in reversed(range(len(ours))):
        for j in reversed(range(len(wanted))):
            longer = max(size[i + 1][j], size[i][j + 1])
            size[i][j] = size[i + 1][j + 1] + 1 if ours[i] == wanted[j] else longer
    found, i, j = [], 0, 0
    while i < len(ours) and j < len(wanted):
        if ours[i] == wanted[j]:
            found.append((i, j))
            i, j = i + 1, j + 1
        elif size[i + 1][j] >= size[i][j + 1]:
            i += 1
        else:
            j += 1
    return found
