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

_SIGNS = {
    "started": "[cyan]…[/]",
    "progress": "[cyan]…[/]",
    "retry": "[yellow]↻[/]",
    "finished": "[green]✓[/]",
    "failed": "[red]✗[/]",
    "skipped": "[dim]-[/]",
}
_PLAIN_PAUSE_S = 5.0


@contextmanager
def progress(context: Context, plan: Plan) -> Iterator[Emit]:
    """Gives a function that shows events in the way that fits where they go."""
    if context.json:
        yield lambda event: context.document(event.as_json())
    elif context.out.is_terminal:
        board = _Board(plan)
        with Live(board, console=context.out, refresh_per_second=8) as live:
            yield board.take
            live.refresh()
    else:
        yield _Plain(context).take


class _Plain:
    """A line for each start, end and failure; long steps tell at most every few seconds."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._last: dict[Address, float] = {}

    def take(self, event: Event) -> None:
        now = time.monotonic()
        recent = now - self._last.get(event.address, 0.0) < _PLAIN_PAUSE_S
        if event.event == "progress" and recent:
            return
        self._last[event.address] = now
        message = f": {cell(event.message)}" if event.message else ""
        clock = f"{event.elapsed_s:7.1f} s"
        self._context.print(f"[dim]{clock}[/]  {event.address} {event.step} {event.event}{message}")


class _Board:
    """The live table: rendered anew from the latest event of each address."""

    def __init__(self, plan: Plan) -> None:
        self._begin = time.monotonic()
        self._total = {change.address: len(change.steps) for change in plan.changes}
        self._names = {change.address: change.name for change in plan.changes}
        self._done: dict[Address, int] = {}
        self._latest: dict[Address, Event] = {}

    def take(self, event: Event) -> None:
        """Keeps what is to be shown."""
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
        table.add_row("", f"[dim]{time.monotonic() - self._begin:.0f} s[/]")
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
