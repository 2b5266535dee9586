"""Lets pyinfra speak through our persistent shell instead of starting a process per command."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from pyinfra.api.command import QuoteString, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.api.util import get_file_io
from pyinfra.connectors.base import BaseConnector
from pyinfra.connectors.util import CommandOutput, OutputLine, make_unix_command_for_host

from phoenix_hypervisor.configure import tracebacks
from phoenix_hypervisor.configure.lines import WholeLines
from phoenix_hypervisor.configure.units import READ_AGAIN, Units
from phoenix_hypervisor.model.errors import ConfigureFailed, PhoenixError, TimedOut
from phoenix_hypervisor.shell import Shell
from phoenix_hypervisor.shell.answer import text
from phoenix_hypervisor.shell.shell import Output

LINK = "phoenix"
"""Where a host's `connector_data` holds its `Link`."""

_OTHER_USER = ("_sudo", "_su_user", "_doas", "_dzdo")
_LOOK_FOR_SECRETS_BYTES = 1 << 20


def _nobody(line: str) -> None:
    """Hears nothing."""


@dataclass(frozen=True, slots=True)
class Ran:
    """The last command: as shown to people, its exit status (None: none) and its last words."""

    command: str
    status: int | None
    words: str


@dataclass
class Link:
    """What a connector needs from the session it works for, and what it tells back.

    `remaining` gives the seconds until the guest's time limit; `redact` takes secrets out of a
    text; `tell` takes lines of an operation's output as they come (set by the session).
    """

    shell: Shell
    remaining: Callable[[], float]
    redact: Callable[[str], str]
    tell: Callable[[str], None] = _nobody
    last: Ran | None = None
    changes: int = 0
    units: Units = field(default_factory=Units)
    answers: dict[str, tuple[bool, CommandOutput]] | None = None
    """What was asked in the operation that runs, since it last changed something. pyinfra asks
    some questions twice. None between operations: there a feature may wait for an answer."""

    def changed(self) -> None:
        """Something is changed: what was answered before may not hold any more."""
        self.changes += 1
        if self.answers:
            self.answers.clear()

    def settle(self) -> None:
        """Lets systemd read its units if it has to. Raises `ConfigureFailed`, and as `Shell`."""
        if self.units.owed:
            self.units.owed = False
            answer = self.shell.run(READ_AGAIN, timeout_s=self.remaining())
            if not answer.ok:
                raise ConfigureFailed(f"{READ_AGAIN} failed", detail=answer.words())


class ShellConnector(BaseConnector):
    """A pyinfra connector over a `Shell`; root or `sudo` is the way in's matter."""

    handles_execution = True

    def __init__(self, state: State, host: Host) -> None:
        super().__init__(state, host)
        self._link: Link = host.connector_data[LINK]

    @staticmethod
    def make_names_data(name: str) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """One host of that name."""
        yield name, {}, []

    def run_shell_command(
        self,
        command: StringCommand | str,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> tuple[bool, CommandOutput]:
        """Runs a command; `print_output` tells an operation's (shown live) from a fact's.

        Raises the builtin TimeoutError where the operation's own `_timeout` is over, since
        pyinfra counts that as the operation's failure (and may retry or ignore it).
        """
        raw = command.get_raw_value() if isinstance(command, StringCommand) else command
        if print_output:
            self._link.changed()
            *first, last = self._link.units.instead(raw)
            for each in first:
                done = self._ask_or_do(each, {}, tell=True)
                if not done[0]:
                    return done
            return self._ask_or_do(command if last == raw else last, arguments, tell=True)
        asked = repr((raw, sorted(arguments.items())))
        answers = {} if self._link.answers is None else self._link.answers
        if asked not in answers:
            answers[asked] = self._ask_or_do(command, arguments, tell=False)
        return answers[asked]

    def _ask_or_do(
        self, command: StringCommand | str, given: Mapping[str, Any], *, tell: bool
    ) -> tuple[bool, CommandOutput]:
        arguments = dict(given)
        arguments.pop("_get_pty", None)
        limit = arguments.pop("_timeout", None)
        codes = arguments.pop("_success_exit_codes", None) or (0,)
        data = _stdin(arguments.pop("_stdin", None))
        if not isinstance(command, StringCommand):
            command = StringCommand(command)
        lines: list[OutputLine] = []
        told = WholeLines(self._link.tell)

        def on_line(output: Output, line: bytes) -> None:
            lines.append(OutputLine(f"std{output}", text(line)))
            if tell and not self._link.units.concerns(line):
                told(output, line)

        status = self._run(command, arguments, limit, data, on_line)
        self._link.last = Ran(str(command), status, _last(line.line for line in lines))
        return status in codes, CommandOutput(lines)

    def _run(
        self,
        command: StringCommand,
        arguments: dict[str, Any],
        limit: float | None,
        stdin: bytes | BinaryIO,
        on_line: Callable[[Output, bytes], None] | None,
    ) -> int:
        remaining = self._link.remaining()
        own_limit = bool(limit) and float(limit or 0) < remaining
        try:
            return self._link.shell.run(
                self._unix(command, arguments),
                timeout_s=float(limit or 0) if own_limit else remaining,
                stdin=stdin,
                on_line=on_line,
            ).status
        except TimedOut as error:
            self._link.last = Ran(str(command), None, f"{error.detail}\n{error.message}".strip())
            if own_limit:
                raise TimeoutError(error.message) from error
            raise

    def _unix(self, command: StringCommand, arguments: dict[str, Any]) -> str:
        wanted = dict(arguments)
        if wanted.get("_shell_executable") == "sh" and not any(map(wanted.get, _OTHER_USER)):
            # It gets an `sh` of its own already; another one would show it in its arguments.
            wanted["_shell_executable"] = None
        return make_unix_command_for_host(self.state, self.host, command, **wanted).get_raw_value()

    def put_file(
        self,
        filename_or_io: Any,
        remote_filename: str,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> bool:
        """Uploads a file. A new one that holds a secret is for its owner only, until an
        operation's `mode` says otherwise.
        """
        self._link.changed()
        with get_file_io(filename_or_io) as opened:
            source = binary(opened)
            if any(map(arguments.get, _OTHER_USER)):
                return self._put_as(source, remote_filename, arguments)
            new_mode = 0o600 if self._holds_secret(source) else 0o644
            try:
                self._link.shell.put(
                    source, remote_filename, new_mode=new_mode, timeout_s=self._link.remaining()
                )
            except TimedOut:
                raise
            except PhoenixError as error:
                if type(error) is not PhoenixError:
                    raise
                self._link.last = Ran(f"upload of {remote_filename}", None, error.message)
                return False
        return True

    def _put_as(self, source: BinaryIO, path: str, arguments: dict[str, Any]) -> bool:
        for control in ("_get_pty", "_timeout", "_success_exit_codes", "_stdin"):
            arguments.pop(control, None)
        command = StringCommand("cat", ">", QuoteString(path))
        status = self._run(command, arguments, None, source, None)
        self._link.last = Ran(f"upload of {path}", status, "")
        return status == 0

    def _holds_secret(self, source: BinaryIO) -> bool:
        start = text(source.read(_LOOK_FOR_SECRETS_BYTES))
        source.seek(0)
        return self._link.redact(start) != start

    def get_file(
        self,
        remote_filename: str,
        filename_or_io: Any,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> bool:
        """Downloads a file."""
        with get_file_io(filename_or_io, "wb") as sink:
            self._link.shell.get(remote_filename, to=sink, timeout_s=self._link.remaining())
        return True


def _last(lines: Iterable[str], keep: int = 40) -> str:
    return "\n".join(tracebacks.shortened(lines)[-keep:]).strip()


def binary(opened: Any) -> BinaryIO:
    """An opened file, text or not, as bytes."""
    if isinstance(opened, io.TextIOBase):
        return io.BytesIO(opened.read().encode())
    source: BinaryIO = opened
    return source


def _stdin(stdin: Any) -> bytes:
    """An operation's `_stdin` as pyinfra's own connectors read it: lines, each with a newline."""
    if stdin is None:
        return b""
    if hasattr(stdin, "readlines"):
        stdin = stdin.readlines()
    lines = stdin if isinstance(stdin, list | tuple) else [stdin]
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines).encode()
