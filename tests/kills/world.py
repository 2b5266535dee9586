"""What a round needs to know of a target, whichever it is."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from tests.kills.folder import Folder
from tests.kills.processes import MARK

PHOENIX = Path(sys.executable).with_name("phoenix")
LIMIT_S = 240.0
LOCKS = Path("/run/phoenix")


class World(Protocol):
    """A target with its folder. Its looks are the target's own tools', never Phoenix's."""

    name: str
    folder: Folder
    temporary: Path
    """Where commands put their temporary files, and nobody else does."""
    kinds: Mapping[str, int]
    """What can be done to an apply here, with its share."""

    @property
    def environ(self) -> Mapping[str, str]:
        """What the commands are given in addition."""

    def lost(self) -> AbstractContextManager[None]:
        """The target can't be reached within the block."""

    def left(self) -> "Left":
        """What there is for the next apply to find."""

    def flaws(self) -> list[str]:
        """In what the target is not exactly as the files say, with nothing left over."""


class Left:
    """What a broken-off run has left: half-made guests, and guests in which it goes on."""

    def __init__(self, half_made: Sequence[str] = (), busy: Sequence[str] = ()) -> None:
        self.half_made = tuple(half_made)
        self.busy = tuple(busy)

    def __str__(self) -> str:
        parts = [f"half made: {' '.join(self.half_made)}"] if self.half_made else []
        parts += [f"goes on in: {' '.join(self.busy)}"] if self.busy else []
        return "; ".join(parts)


def environ(world: World, mark: str) -> dict[str, str]:
    """The whole environment of a command."""
    own = {
        "PHOENIX_DIR": str(world.folder.path),
        "PHOENIX_ON": world.name,
        "NO_COLOR": "1",
        "TMPDIR": str(world.temporary),
        MARK: mark,
    }
    return os.environ | own | dict(world.environ)


def run(world: World, mark: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A command to its end; standard error is within its output."""
    return subprocess.run(
        [str(PHOENIX), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environ(world, mark),
        timeout=LIMIT_S,
        check=False,
    )


def held_locks(stack: str) -> list[str]:
    """Locks of the stack that somebody still holds, as lines for people."""
    found = []
    for path in LOCKS.glob(f"{stack}-*.lock"):
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(f"{path} is still held")
    return found


def strewn(world: World) -> list[str]:
    """Temporary files that are still there, as lines for people."""
    return [f"left behind: {path}" for path in sorted(world.temporary.iterdir())]
