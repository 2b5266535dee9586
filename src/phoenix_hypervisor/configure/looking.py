"""Lets pyinfra's operations tell what they would do, and keeps them from doing it.

An operation is a generator of commands, made from what the guest answers. Each command is kept
here and stands for itself as one that does nothing, so that the feature goes on as if it had been
done (and learns that something was changed).
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyinfra.api.command import (
    FileUploadCommand,
    FunctionCommand,
    PyinfraCommand,
    StringCommand,
)
from pyinfra.api.host import Host
from pyinfra.api.state import State, StateOperationHostData
from pyinfra.api.util import get_file_io
from pyinfra.connectors.util import CommandOutput

from phoenix_hypervisor.configure.connector import ShellConnector, binary
from phoenix_hypervisor.model.errors import ConfigureFailed


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that would be written."""

    path: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that would change something.

    `function` is such as `files.put`, and `arguments` what it was called with (both empty where
    they can't be told). `commands` are scripts, uploads and (as text) what else there is.
    """

    name: str
    function: str
    arguments: Mapping[str, Any] = field(repr=False)
    stdin: str = field(repr=False)
    commands: tuple[str | Upload, ...] = field(repr=False)


class _Kept(PyinfraCommand):
    """Stands in the place of a command that is only looked at."""

    def execute(self, state: State, host: Host, connector_arguments: Any) -> bool:
        """Does nothing."""
        return True


class LookingConnector(ShellConnector):
    """Answers facts, and refuses to change anything, whatever should get to it.

    Each question is asked once: nothing is changed in between.
    """

    def __init__(self, state: State, host: Host) -> None:
        super().__init__(state, host)
        self._answers: dict[str, tuple[bool, CommandOutput]] = {}

    def run_shell_command(
        self,
        command: StringCommand | str,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> tuple[bool, CommandOutput]:
        """Runs a fact's command."""
        if print_output:
            raise ConfigureFailed(f"looking only, but asked to run: {command}")
        raw = command.get_raw_value() if isinstance(command, StringCommand) else command
        asked = repr((raw, sorted(arguments.items())))
        if asked not in self._answers:
            self._answers[asked] = super().run_shell_command(
                command, print_output, print_input, **arguments
            )
        return self._answers[asked]

    def put_file(self, filename_or_io: Any, remote_filename: str, *rest: Any, **more: Any) -> bool:
        """Refuses."""
        raise ConfigureFailed(f"looking only, but asked to write {remote_filename}")


def only_look(name: str, data: StateOperationHostData, hear: Callable[[Operation], None]) -> None:
    """Makes one operation only tell `hear` what it would do, if that is anything."""
    generator = data.command_generator
    function, arguments = _called(generator)
    stdin = data.global_arguments.get("_stdin")

    def commands() -> Iterator[PyinfraCommand]:
        found: list[str | Upload] = []
        try:
            for command in generator():
                found.append(_read(command))
                yield _Kept()
        finally:
            if found:
                hear(Operation(name, function, arguments, str(stdin or ""), tuple(found)))

    data.command_generator = commands


def _read(command: PyinfraCommand) -> str | Upload:
    if isinstance(command, StringCommand):
        return command.get_raw_value()
    if isinstance(command, FileUploadCommand):
        with get_file_io(command.src) as opened:
            return Upload(command.dest, binary(opened).read())
    if isinstance(command, FunctionCommand):
        return f"# {getattr(command.function, '__name__', 'a function')}, a function of the feature"
    return f"# {command!r}"


def _called(generator: Callable[[], Any]) -> tuple[str, Mapping[str, Any]]:
    """The operation's function and arguments, which pyinfra keeps in the generator's closure."""
    inside = inspect.getclosurevars(generator).nonlocals
    function: Any = inside.get("func")
    try:
        bound = inspect.signature(function).bind(*inside["args"], **inside["kwargs"])
    except (KeyError, TypeError, ValueError):
        return "", {}
    bound.apply_defaults()
    module = str(getattr(function, "__module__", "")).rpartition(".")[2]
    return f"{module}.{function.__name__}", bound.arguments
