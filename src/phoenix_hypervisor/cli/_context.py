"""What every command shares: the global options, and the way to speak to the person or program."""

import sys
from collections.abc import Coroutine, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from phoenix_hypervisor.model.errors import ConfigError, PhoenixError, UsageError
from phoenix_hypervisor.model.problem import Problem

# Rich, asyncio and the like are imported where they are used: `phoenix --version` needs none.
if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from logging import LogRecord

    from rich.console import Console

    from phoenix_hypervisor.app import Session
    from phoenix_hypervisor.model.redact import Redactor

EXIT_FAILED = 1
EXIT_PENDING = 2
EXIT_USAGE = 64
EXIT_INTERRUPTED = 130

_LEVELS = ("debug", "info", "warning", "error")
# Tables for a file or another program are as wide as they are.
_UNBOUND = 100_000
_TARGETS = {
    "proxmox": "Proxmox VE",
    "incus": "this machine's containers",
    "sim": "simulated, nothing real",
}
_POINTER = 100
T = TypeVar("T")


class Context:
    """The options before the command; handed to it as `ctx.obj`."""

    def __init__(self) -> None:
        self.argv: Sequence[str] = ()
        self.folder = Path()
        self.on: str | None = None
        self.json = False
        self.unread = 0
        """The exit status where nobody reads on: 0 as long as nothing is to be changed."""

    @cached_property
    def out(self) -> "Console":
        """Standard output, for people."""
        from rich.console import Console

        width = None if sys.stdout.isatty() else _UNBOUND
        return Console(highlight=False, soft_wrap=True, emoji=False, width=width)

    @cached_property
    def err(self) -> "Console":
        """Standard error."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

    def configure(self, folder: Path, on: str | None, as_json: bool, log_level: str) -> None:
        """Takes over the global options. Raises `UsageError`."""
        if log_level not in _LEVELS:
            raise UsageError(f"--log-level {log_level} is not one of {', '.join(_LEVELS)}")
        if on is not None and on not in _TARGETS:
            raise _no_target(on)
        import logging

        handler = logging.StreamHandler(sys.stderr)
        handler.addFilter(self._hide_in_log)
        logging.basicConfig(level=log_level.upper(), handlers=[handler])
        self.folder, self.on, self.json = folder, on, as_json

    @cached_property
    def redactor(self) -> "Redactor":
        """Takes out of a text the secrets that this command has used so far."""
        from phoenix_hypervisor.model.redact import Redactor

        return Redactor()

    def _hide_in_log(self, record: "LogRecord") -> bool:
        from phoenix_hypervisor.cli import _hidden

        _hidden.in_record(record, self.redactor)
        return True

    def session(
        self, given: Mapping[str, Any] | None = None
    ) -> "AbstractAsyncContextManager[Session]":
        """The folder, opened on its target; `given` are fields of `Target` from options."""
        from phoenix_hypervisor.cli import _hidden

        return _hidden.session(self, given)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs asynchronous work to its end; a termination counts as Ctrl-C."""
        from phoenix_hypervisor.cli import _interrupt

        return _interrupt.run(work)

    def print(self, text: str) -> None:
        """Shows text with markup to a person; nothing with `--json`."""
        if not self.json:
            from phoenix_hypervisor.cli._text import plain, unmarked

            if self.out.is_terminal:
                self.out.print(plain(text))
            else:
                sys.stdout.write(unmarked(plain(text)) + "\n")
                sys.stdout.flush()

    def say(self, text: str) -> None:
        """A message beside the result: always on standard error."""
        from phoenix_hypervisor.cli._text import plain

        self.err.print(plain(text))

    def document(self, value: object) -> None:
        """The JSON document of this command (or one line of several)."""
        import json

        from phoenix_hypervisor.cli._text import json_safe

        sys.stdout.write(json_safe(json.dumps(value, ensure_ascii=False)) + "\n")
        sys.stdout.flush()

    def fail(self, error: PhoenixError) -> None:
        """Tells an expected error: what, why and how to mend it."""
        from rich.markup import escape

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


def _no_target(on: str) -> UsageError:
    import os

    given = "PHOENIX_ON is" if os.environ.get("PHOENIX_ON") == on else "--on"
    hint = "; ".join(f"{name}: {what}" for name, what in _TARGETS.items())
    return UsageError(f"{given} {on}, which is not one of {', '.join(_TARGETS)}", hint=hint)


def _shown(problem: Problem) -> str:
    from rich.markup import escape

    colour = "red" if problem.severity == "error" else "yellow"
    place = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
    text = (
        f"[bold]{escape(place)}[/]: [{colour}]{problem.severity}:[/] {escape(problem.message)}"
        + (f" [dim]({escape(_short(problem.pointer))})[/]" if problem.pointer else "")
    )
    return text + (f"\n    [dim]{escape(problem.hint)}[/]" if problem.hint else "")


def _short(pointer: str) -> str:
    """Of one that leads very deep, its beginning; --json has all of it."""
    return pointer if len(pointer) <= _POINTER else f"{pointer[:_POINTER]}…"


def _counted(problems: Sequence[Problem]) -> str:
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    parts = [
        f"{n} {word}{'s' * (n != 1)}" for n, word in ((errors, "error"), (warnings, "warning"))
    ]
    return ", ".join(parts)
