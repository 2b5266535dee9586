"""Breaks applies off, and shows that the next one mends it: `python -m tests.kills --on sim`."""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from tests.kills.incus import IncusWorld
from tests.kills.rounds import Outcome, Player
from tests.kills.sim import SimWorld
from tests.kills.world import World

_HEAD = (
    "#",
    "state before",
    "what",
    "at s",
    "last event",
    "what was left",
    "outcome",
    "leaves",
    "mends",
    "took s",
)
_FORM = "{:>3}  {:<34.34} {:<11} {:>6}  {:<28.28} {:<34.34} {:<10} {:>6} {:>6} {:>6}"


def main() -> int:
    """Exit status 1 where a round did not converge, or was not told."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--on", choices=("sim", "incus"), default="sim")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # then the corner is cleared too
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="phk-")))
        world: World
        if asked.on == "incus":
            world = stack.enter_context(IncusWorld(place))
        else:
            world = SimWorld(place, f"kills{asked.seed}")
        return 1 if play(world, asked.kills, asked.seed) else 0


def play(world: World, kills: int, seed: int) -> list[str]:
    """Plays, and prints the table as it goes. Returns all flaws."""
    began = time.monotonic()
    player = Player(world, seed)
    say(f"{kills} strikes on {world.name}, seed {seed}; an undisturbed apply takes "
          f"{player.measure():.1f} s")  # fmt: skip
    say(_FORM.format(*_HEAD))
    flaws = [flaw for outcome in player.play(kills) for flaw in _told(outcome)]
    say(f"{kills} strikes in {time.monotonic() - began:.0f} s: "
          + (f"{len(flaws)} flaws" if flaws else "all converged"))  # fmt: skip
    return flaws


def say(line: str) -> None:
    """Prints at once, also into a file."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _told(outcome: Outcome) -> Iterable[str]:
    one = outcome
    verdict = "FLAW" if one.flaws else "converged"
    say(_FORM.format(one.number, one.start, one.kind, f"{one.at_s:.2f}", one.last, one.left,
                       verdict, f"{one.left_s:.1f}", f"{one.mend_s:.1f}",
                       f"{one.took_s:.1f}"))  # fmt: skip
    for line in one.found:
        say(f"       said  {line[:150]}")
    for flaw in one.flaws:
        say(f"       FLAW  {flaw}")
    return one.flaws


if __name__ == "__main__":
    sys.exit(main())
