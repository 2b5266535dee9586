"""What every command shares: the global options, and the way to speak to the person or program."""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.markup import escape

from phoenix_hypervisor.cli._text import json_safe, plain
from phoenix_hypervisor.model.errors import ConfigError, PhoenixError, UsageError
from phoenix_hypervisor.model.problem import Problem

if TYPE_CHECKING:
    from phoenix_hypervisor.app import Session

EXIT_FAILED = 1
EXIT_PENDING = 2
EXIT_USAGE = 64
EXIT_INTERRUPTED = 130

_LEVELS = ("debug", "info", "warning", "error")
# Tables for a file or another program are as wide as they are.
_UNBOUND = 100_000
_TARGETS = ("proxmox", "incus", "sim")
T = TypeVar("T")


class Context:
    """The options before the command; handed to it as `ctx.obj`."""

    def __init__(self) -> None:
        self.folder = Path()
        self.on: str | None = None
        self.json = False
        width = None if sys.stdout.isatty() else _UNBOUND
        self.out = Console(highlight=False, soft_wrap=True, width=width)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True)

    def configure(self, folder: Path, on: str | None, as_json: bool, log_level: str) -> None:
        """Takes over the global options. Raises `UsageError`."""
        if log_level not in _LEVELS:
            raise UsageError(f"--log-level {log_level} is not one of {', '.join(_LEVELS)}")
        if on is not None and on not in _TARGETS:
            raise UsageError(f"--on {on} is not one of {', '.join(_TARGETS)}")
        logging.basicConfig(level=log_level.upper(), stream=sys.stderr)
        self.folder, self.on, self.json = folder, on, as_json

    def session(self) -> "AbstractAsyncContextManager[Session]":
        """The folder, opened on its target."""
        from phoenix_hypervisor.app import session

        return session(self.folder, self.on, os.environ)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs asynchronous work to its end; a termination counts as Ctrl-C."""

        async def wrapped() -> T:
            loop, task = asyncio.get_running_loop(), asyncio.current_task()
            if task is not None:
                loop.add_signal_handler(signal.SIGTERM, task.cancel)
            return await work

        try:
            return asyncio.run(wrapped())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    def print(self, text: str) -> None:
        """Shows text with markup to a person; nothing with `--json`."""
        if not self.json:
            self.out.print(plain(text))

    def say(self, text: str) -> None:
        """A message beside the result: always on standard error."""
        self.err.print(plain(text))

    def document(self, value: object) -> None:
        """The JSON document of this command (or one line of several)."""
        sys.stdout.write(json_safe(json.dumps(value, ensure_ascii=False)) + "\n")
        sys.stdout.flush()

    def fail(self, error: PhoenixError) -> None:
        """Tells an expected error: what, why and how to mend it."""
        if isinstance(error, ConfigError) and error.problems:
            self.problems(error.problems)
            return
        if self.json:
            document = {"format": 1, "ok": False, "error": error.message, "hint": error.hint}
            self.document(document)
        self.say(f"[bold red]error:[/] {escape(error.message)}")
        if error.detail:
            self.say(f"[dim]{escape(error.detail)}[/]")
        if error.hint:
            self.say(f"[bold]hint:[/] {escape(error.hint)}")

    def problems(self, problems: Sequence[Problem]) -> None:
        """All problems of the files, as JSON or as lines that editors can jump to."""
        ok = not any(problem.severity == "error" for problem in problems)
        if self.json:
            listed = [problem.as_json() for problem in problems]
            self.document({"format": 1, "ok": ok, "problems": listed})
            return
        for problem in problems:
            self.say(_shown(problem))
        self.say(_counted(problems))

    def warnings(self, problems: Sequence[Problem]) -> None:
        """Warnings beside another result: on standard error, in one line each."""
        for problem in problems:
            self.say(_shown(problem))


def _shown(problem: Problem) -> str:
    colour = "red" if problem.severity == "error" else "yellow"
    place = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
    text = (
        f"[bold]{escape(place)}[/]: [{colour}]{problem.severity}:[/] {escape(problem.message)}"
        + (f" [dim]({escape(problem.pointer)})[/]" if problem.pointer else "")
    )
    return text + (f"\n    [dim]{escape(problem.hint)}[/]" if problem.hint else "")


def _counted(problems: Sequence[Problem]) -> str:
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    parts = [
        f"{n} {word}{'s' * (n != 1)}" for n, word in ((errors, "error"), (warnings, "warning"))
    ]
    return ", ".join(parts)
