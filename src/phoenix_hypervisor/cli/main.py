"""The entry point `phoenix`: finds the commands, reads the global options, sets the exit status.

Exit status: 0 success, 1 failure, 2 pending changes (only with `--detailed-exitcode`), 64 wrong
usage (EX_USAGE of sysexits.h), 130 interrupted.
"""

import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from traceback import walk_tb
from typing import Annotated

import typer
from typer.exceptions import TyperException

from phoenix_hypervisor import __version__
from phoenix_hypervisor.cli._commands import Commands
from phoenix_hypervisor.cli._context import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, Context
from phoenix_hypervisor.model.errors import PhoenixError, UsageError

_HELP = """Turns a folder of JSON files into a running, verified stack.

Reads the files in --dir, looks at the target, shows the difference as a plan, applies exactly
that plan, and proves by real checks that the result serves.
"""
_EPILOG = "First steps: `phoenix init`, `phoenix validate`, `phoenix plan`, `phoenix apply`."
_WITH_VALUE = ("--dir", "--on", "--log-level")
_FLAGS = ("--json",)
_OBJECTS_BETWEEN_COLLECTIONS = 500_000


def main() -> None:
    """Runs the command line of this process and exits."""
    # Big folders make many objects, of which hardly any is garbage: looking for it took a fifth of
    # the time of a plan.
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 20, 20)
    # Nor are plugins of pydantic looked for among everything that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    status = run(sys.argv[1:])
    gc.freeze()  # what is left goes with the process: taking it apart took a tenth of a second
    sys.exit(status)


def run(argv: Sequence[str]) -> int:
    """Runs one command line and returns its exit status."""
    context = Context()
    context.argv = argv
    command = typer.main.get_command(application())
    try:
        result = command.main(
            _globals_first(argv), prog_name="phoenix", standalone_mode=False, obj=context
        )
    except TyperException as error:
        from rich.markup import escape

        if message := error.format_message():  # none where only help was shown
            context.say(f"[bold red]error:[/] {escape(message)}")
        context.say("[bold]hint:[/] `phoenix --help` and `phoenix COMMAND --help` show more")
        return EXIT_USAGE
    except (typer.Abort, KeyboardInterrupt):
        context.say("interrupted")
        return EXIT_INTERRUPTED
    except PhoenixError as error:
        from phoenix_hypervisor.cli._lasting import lasting

        with lasting():
            context.fail(error)
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED
    except SystemExit as error:
        # Typer and Rich make this of a pipe that is broken.
        if isinstance(error.__context__, BrokenPipeError):
            return _unread(context, error, error.__context__)
        raise
    except Exception as error:  # noqa: BLE001 - a bug: told as one, without secrets
        return _bug(context, error)
    return result if isinstance(result, int) else 0


def _unread(context: Context, leave: SystemExit, error: BrokenPipeError) -> int:
    """The status where the reader has left (`phoenix plan | head`), if that is what broke."""
    from phoenix_hypervisor.cli._lasting import left, turn_off

    gone = [number for number in (1, 2) if left(number)]
    *_, (frame, _) = walk_tb(leave.__traceback__)
    by_rich = frame.f_code.co_name == "on_broken_pipe"  # it has turned its stream off already
    if not gone and not by_rich:  # it was a pipe of our own
        return _bug(context, error)
    for number in gone:
        turn_off(number)
    return context.unread


def _bug(context: Context, error: Exception) -> int:
    from phoenix_hypervisor.cli._hidden import tell_bug

    tell_bug(context, error)
    return EXIT_FAILED


def application() -> typer.Typer:
    """The command line with every command that has a file here."""
    app = typer.Typer(
        cls=Commands,
        help=_HELP,
        epilog=_EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(_globals)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"phoenix {__version__}")
        raise typer.Exit


def _globals(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Option("--dir", envvar="PHOENIX_DIR", help="The folder with the files.")
    ] = Path(),
    on: Annotated[
        str | None,
        typer.Option("--on", envvar="PHOENIX_ON", help="The target: proxmox, incus or sim."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")
    ] = False,
    log_level: Annotated[
        str, typer.Option("--log-level", help="debug, info, warning or error.")
    ] = "warning",
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and leave.", is_eager=True, callback=_version
        ),
    ] = False,
) -> None:
    del version
    context.obj.configure(folder, on or None, json, log_level)


def _globals_first(argv: Sequence[str]) -> list[str]:
    """Global options also work behind the command: `phoenix plan --json`."""
    first: list[str] = []
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _FLAGS or word.startswith(tuple(f"{o}=" for o in _WITH_VALUE)):
            first.append(word)
        elif word in _WITH_VALUE:
            first += [word, *[value for value in [next(words, None)] if value is not None]]
        else:
            rest.append(word)
    return first + rest
