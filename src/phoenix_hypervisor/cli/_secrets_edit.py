"""`phoenix secrets edit`: the encrypted secrets in an editor, and no trace of them afterwards."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import typer
from rich.markup import escape

from phoenix_hypervisor.cli import _secrets
from phoenix_hypervisor.cli._context import EXIT_FAILED, Context
from phoenix_hypervisor.config.secrets import age_file
from phoenix_hypervisor.model.errors import PhoenixError, UsageError

_PREFIX = "phoenix-secrets"
_FILE = "secrets.json"
_EDITED = "the edited text"
_NOT_KEPT = (
    "[bold]hint:[/] the edit is not kept, since it would lie on the disk readable; on a terminal "
    "it can be edited again, and `phoenix secrets set NAME` needs no editor"
)
_EDITOR_ENDS_S = 2.0
_EDITORS = ("sensible-editor", "nano", "vi")
_MEMORY = "/dev/shm"  # noqa: S108 - a private folder is made in it


def edit(context: Context) -> int:
    """Opens the secrets until they are right or given up. Returns the exit status."""
    editor = _editor()
    with _secrets.store(context).open_text() as (before, write), _private() as path:
        old, _ = age_file.parse(before)
        _write(path, before)
        while True:
            _run(editor, path)
            after = _read(path)
            values, problems = age_file.parse(after, _EDITED)
            if problems:
                context.problems(problems)
                if _again():
                    continue
                context.say("nothing was changed")
                if not sys.stdin.isatty():
                    context.say(_NOT_KEPT)
                return EXIT_FAILED
            try:
                if after != before:
                    write(values)
                break
            except PhoenixError as error:
                # Else what was typed in would go with the folder that it lies in.
                if not sys.stdin.isatty():
                    raise
                context.say(f"[bold red]error:[/] {escape(error.message)}")
                if not _again():
                    raise
    changed = sorted(name for name in {*old, *values} if old.get(name) != values.get(name))
    if changed or context.json:
        _secrets.tell_written(context, changed, local=False)
    else:
        context.print("nothing was changed")
    return 0


def _again() -> bool:
    return sys.stdin.isatty() and typer.confirm("edit again?", default=True, err=True)


def _editor() -> list[str]:
    told = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not told and not sys.stdin.isatty():
        raise UsageError(
            "there is no terminal to edit on", hint="name an editor that needs none in $EDITOR"
        )
    words = shlex.split(told) if told else []
    words = words or [name for name in _EDITORS if shutil.which(name)][:1]
    if not words:
        raise UsageError("there is no editor", hint="name one in $EDITOR")
    return words


def _run(editor: list[str], path: Path) -> None:
    # On a terminal it stays in the group that the terminal listens to; elsewhere it gets one of its
    # own, which can be ended with all that it has started.
    group = None if sys.stdin.isatty() else 0
    # Ctrl-C in an editor is the editor's; a handler, unlike "ignore", is not handed on to it.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        process = subprocess.Popen([*editor, str(path)], process_group=group)
        try:
            status = process.wait()
        except BaseException:
            _stop(process, whole_group=group is not None)
            raise
    except OSError as error:
        raise UsageError(f"{editor[0]} can't be started: {error.strerror}") from None
    finally:
        signal.signal(signal.SIGINT, before)
    if status:
        raise PhoenixError(f"{editor[0]} ended with {status}", hint="nothing was changed")


def _stop(process: subprocess.Popen[bytes], *, whole_group: bool) -> None:
    for one in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            if whole_group:
                os.killpg(process.pid, one)
            else:
                process.send_signal(one)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_EDITOR_ENDS_S)


@contextmanager
def _private() -> Iterator[Path]:
    """A file that only its owner can read, in memory where there is such a place.

    It goes with all that an editor puts beside it, also when this process is told to end; what one
    that was killed left is removed by the next.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    places = [one for one in (runtime, _MEMORY, tempfile.gettempdir()) if os.access(one, os.W_OK)]
    place = Path(places[0]) if places else Path(tempfile.gettempdir())
    _clear(place)
    before = {one: signal.signal(one, _end) for one in (signal.SIGTERM, signal.SIGHUP)}
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}-{os.getpid()}-", dir=place))
    try:
        yield folder / _FILE
    finally:
        shutil.rmtree(folder)
        for one, handler in before.items():
            signal.signal(one, handler)


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _clear(place: Path) -> None:
    for folder in place.glob(f"{_PREFIX}-*-*"):
        found = re.match(rf"{_PREFIX}-(\d+)-", folder.name)
        with suppress(OSError):  # another user's, or gone just now
            if found and folder.stat().st_uid == os.getuid() and not _runs(int(found[1])):
                shutil.rmtree(folder)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _write(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        raise PhoenixError(
            "what the editor left can't be read as text", hint="nothing was changed"
        ) from None
