"""Which fault hits what, one after the other: the same each time for a seed, and balanced. Pure."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_APART = 2


@dataclass(frozen=True, order=True)
class Target:
    """A service in a guest of one of the stacks. `ident` is the guest's, such as 101."""

    stack: str
    ident: int
    name: str
    unit: str

    @property
    def address(self) -> str:
        """As Phoenix tells it."""
        return f"lxc/{self.ident}"

    @property
    def instance(self) -> str:
        """As Incus knows it."""
        return f"lxc-{self.ident}"


def dealt(targets: Mapping[str, Sequence[Target]], seed: int) -> Iterator[tuple[str, Target]]:
    """Kinds of faults with their targets, without end.

    Each round has each kind once. Each kind hits all its targets before one a second time, and
    no guest is hit twice within three faults where there is another one.
    """
    dice = random.Random(seed)  # noqa: S311 - it is to be the same each time
    left: dict[str, list[Target]] = {kind: [] for kind in targets}
    lately: list[tuple[str, int]] = []
    while True:
        for kind in dice.sample(sorted(targets), len(targets)):
            if not left[kind]:
                left[kind] = dice.sample(sorted(targets[kind]), len(targets[kind]))
            hit = next((one for one in left[kind] if _guest(one) not in lately), left[kind][0])
            left[kind].remove(hit)
            lately = [*lately, _guest(hit)][-_APART:]
            yield kind, hit


def _guest(target: Target) -> tuple[str, int]:
    return target.stack, target.ident
