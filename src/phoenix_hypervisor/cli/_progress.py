"""Progress of an apply: one live line a guest on a terminal, plain lines elsewhere, or JSON."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.live import Live
from rich.table import Table

from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.cli._text import cell
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.event import Emit, Event
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan import render
from phoenix_hypervisor.plan.forecast import Forecast

_SIGNS = {
    "started": "[cyan]…[/]",
    "progress": "[cyan]…[/]",
    "retry": "[yellow]↻[/]",
    "finished": "[green]✓[/]",
    "failed": "[red]✗[/]",
    "skipped": "[dim]-[/]",
}
_PLAIN_PAUSE_S = 5.0
_PLAIN_LEFT_PAUSE_S = 20.0
_LEFT_PAUSE_S = 1.0
_LEFT_SHARE = 50
"""Working out the time left takes at most one part in so many of the time."""


@contextmanager
def progress(context: Context, plan: Plan, forecast: Forecast) -> Iterator[Emit]:
    """Gives a function that shows events in the way that fits where they go.

    `forecast` is told them, for the time that is left.
    """
    left = _Left(forecast)
    if context.json:
        yield lambda event: context.document(event.as_json() | left.as_json(event))
    elif context.out.is_terminal:
        board = _Board(plan, left)
        with Live(board, console=context.out, refresh_per_second=8) as live:
            yield board.take
            live.refresh()
    else:
        yield _Plain(context, left).take


class _Left:
    """The time that is left, worked out again when that costs little beside the work itself."""

    def __init__(self, forecast: Forecast) -> None:
        self._forecast = forecast
        self._known_s = 0.0
        self._next = 0.0

    def take(self, event: Event) -> None:
        """Notes what happens."""
        self._forecast.take(event)

    def seconds(self, elapsed_s: float) -> float:
        """How long it still takes; 0 where every step of the plan is over."""
        now = time.monotonic()
        if now >= self._next:
            self._known_s = self._forecast.left_s(elapsed_s)
            cost = time.monotonic() - now
            self._next = now + max(_LEFT_PAUSE_S, cost * _LEFT_SHARE)
        return self._known_s

    def as_json(self, event: Event) -> dict[str, float]:
        """A field beside an event's own."""
        self.take(event)
        return {"left_s": round(self.seconds(event.elapsed_s), 1)}

    def told(self, elapsed_s: float) -> str:
        """For people; empty where nothing is left."""
        left = self.seconds(elapsed_s)
        return f"{render.about(left)} left" if left > 0 else ""


class _Plain:
    """A line for each start, end and failure; long steps tell at most every few seconds.

    Now and then a line ends with the time that is left.
    """

    def __init__(self, context: Context, left: _Left) -> None:
        self._context = context
        self._left = left
        self._last: dict[Address, float] = {}
        self._told = time.monotonic()

    def take(self, event: Event) -> None:
        self._left.take(event)
        now = time.monotonic()
        recent = now - self._last.get(event.address, 0.0) < _PLAIN_PAUSE_S
        if event.event == "progress" and recent:
            return
        if event.event == "progress":
            self._last[event.address] = now
        message = f": {cell(event.message)}" if event.message else ""
        clock = f"{event.elapsed_s:7.1f} s"
        if now - self._told > _PLAIN_LEFT_PAUSE_S:
            self._told = now
            told = self._left.told(event.elapsed_s)
            message += f" [dim]({told})[/]" if told else ""
        self._context.print(f"[dim]{clock}[/]  {event.address} {event.step} {event.event}{message}")


class _Board:
    """The live table: rendered anew from the latest event of each address."""

    def __init__(self, plan: Plan, left: _Left) -> None:
        self._left = left
        self._begin = time.monotonic()
        self._total = {change.address: len(change.steps) for change in plan.changes}
        self._names = {change.address: change.name for change in plan.changes}
        self._done: dict[Address, int] = {}
        self._latest: dict[Address, Event] = {}

    def take(self, event: Event) -> None:
        """Keeps what is to be shown."""
        self._left.take(event)
        if event.event == "finished":
            self._done[event.address] = self._done.get(event.address, 0) + 1
        self._latest[event.address] = event

    def __rich__(self) -> Table:
        table = Table.grid(padding=(0, 1), expand=True)
        for _ in range(4):
            table.add_column(no_wrap=True)
        # Only the message gives way where the terminal is narrow.
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for address in self._total | self._latest:  # in the plan's order, then what it lacks
            table.add_row(*self._row(address))
        elapsed = time.monotonic() - self._begin
        left = self._left.told(elapsed)
        told = f"{elapsed:.0f} s" + (f", {left}" if left else "")
        table.add_row("", f"[dim]{told}[/]")
        return table

    def _row(self, address: Address) -> tuple[str, str, str, str, str]:
        event = self._latest.get(address)
        total, done = self._total.get(address, 1), self._done.get(address, 0)
        name = f"[bold]{address}[/] {cell(self._names.get(address, ''))}"
        if event is None:
            return "[dim]·[/]", name, "", "", "[dim]waits[/]"
        over = done >= total and event.event == "finished"
        step = "[green]ready[/]" if over else event.step
        sign = _SIGNS["finished" if over else event.event]
        if event.event == "finished" and not over:
            sign = _SIGNS["progress"]
        return sign, name, f"[dim]{min(done, total)}/{total}[/]", step, cell(event.message)
