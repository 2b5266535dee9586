"""How `watch` shows what happens: a line for people, or one JSON object a line."""

import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from rich.markup import escape

from phoenix_hypervisor.model.watching import Happening, What

if TYPE_CHECKING:
    from phoenix_hypervisor.app.watching.watcher import Summary
    from phoenix_hypervisor.cli._context import Context

_COLOURS: dict[What, str] = {
    "down": "bold red",
    "gave-up": "bold red",
    "alert": "bold red",
    "trouble": "yellow",
    "unknown": "yellow",
    "held": "yellow",
    "heal": "cyan",
    "up": "green",
    "healed": "green",
    "resolved": "green",
}
_WIDTH = 8
_WAITING = 10_000
_END_S = 2.0


class Teller:
    """Shows what happens as it comes; a context manager.

    A reader who stops reading (a paused terminal, a full pipe) holds nobody up: lines wait, and the
    oldest go where there are too many.
    """

    def __init__(self, context: "Context") -> None:
        self._context = context
        self._waiting: deque[Happening] = deque(maxlen=_WAITING)
        self._more = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="telling", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended = True
        self._more.set()
        self._thread.join(_END_S)

    def __call__(self, happening: Happening) -> None:
        """Takes one."""
        self._waiting.append(happening)
        self._more.set()

    def _run(self) -> None:
        while self._waiting or not self._ended:
            self._more.wait()
            self._more.clear()
            while self._waiting:
                # A line that can't be shown (a full disk, a bug) is left out: what happens is kept
                # all the same, and the next one is tried.
                with suppress(Exception):
                    self._show(self._waiting.popleft())

    def _show(self, happening: Happening) -> None:
        if self._context.json:
            self._context.document(as_json(happening))
        else:
            self._context.print(line(happening))


def as_json(happening: Happening) -> dict[str, object]:
    """One line of `phoenix --json watch`; `at` is Unix time."""
    return {
        "event": happening.what,
        "at": round(happening.at, 3),
        "guest": happening.guest or None,
        "step": happening.step or None,
        "message": happening.text,
    }


def line(happening: Happening) -> str:
    """The same for people, with Rich's markup."""
    clock = time.strftime("%H:%M:%S", time.localtime(happening.at))
    colour = _COLOURS.get(happening.what, "dim")
    what = f"[{colour}]{happening.what:<{_WIDTH}}[/]"
    guest, step = happening.guest, happening.step
    if happening.what in ("alert", "resolved"):  # its text names the guest, the step its key
        guest, step = "", f"{step.partition(' ')[0]}:" if step else ""
    words = (guest, step, escape(happening.text))
    return f"[dim]{clock}[/] {what} {' '.join(filter(None, words))}"


def report(context: "Context", summary: "Summary") -> None:
    """How the watcher did, at its end."""
    if context.json:
        context.document(summary.as_json())
        return
    late = summary.late_p99_s
    told = "" if late is None else f"; 99 of 100 were at most {late * 1000:.0f} ms late"
    times = "once" if summary.answered == 1 else f"{summary.answered} times"
    context.print(f"[dim]asked {times}{told}[/]")
