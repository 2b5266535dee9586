"""A real `phoenix watch` for each stack, in a process of its own, and what it tells of faults."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.chaos.stacks import Stacks
from tests.e2e.stack import PHOENIX, Stack
from tests.support.watching import Line, Watching

_BEGINS_S = 60.0


@contextmanager
def watched(stacks: Stacks) -> Iterator["Watchers"]:
    """Both stacks are watched while the block lasts."""
    with ExitStack() as after:
        yield Watchers(
            {
                "quickstart": after.enter_context(_watching(stacks.quickstart)),
                "replicas": after.enter_context(_watching(stacks.replicas)),
            }
        )


class _Watching(Watching):
    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None


@contextmanager
def _watching(stack: Stack) -> Iterator[_Watching]:
    argv = [str(PHOENIX), "--json", "--dir", str(stack.folder), "--on", "incus", "watch"]
    with _Watching(argv, stack.folder) as watching:
        watching.wait("watching", limit_s=_BEGINS_S)
        yield watching


class Watchers:
    """What both have told so far."""

    def __init__(self, watchings: dict[str, _Watching]) -> None:
        self._watchings = watchings

    def told(self, stack: str, since: float = 0.0) -> list[Line]:
        """Of one stack, since a moment, in Unix time."""
        lines = self._watchings[stack].lines
        return [line for line in tuple(lines) if line.get("at", 0.0) >= since]

    def down(self) -> list[str]:
        """Guests that are down, as far as was told last."""
        found = []
        for stack in self._watchings:
            last = {
                line["guest"]: line["event"]
                for line in self.told(stack)
                if line["event"] in ("up", "down", "planned", "unknown")
            }
            found += [f"{stack} {guest}" for guest, event in last.items() if event == "down"]
        return found

    def ended(self) -> list[str]:
        """Stacks whose watcher is there no more, each with what it said at its end."""
        return [
            f"{stack}: the watcher ended: {one.ended()}"
            for stack, one in self._watchings.items()
            if one.is_over
        ]
