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

from phoenix_hypervisor.cli import _secrets
from phoenix_hypervisor.cli._context import EXIT_FAILED, Context
from phoenix_hypervisor.config.secrets import age_file
from phoenix_hypervisor.config.secrets.store import Store
from phoenix_hypervisor.model.errors import PhoenixError, UsageError

_PREFIX = "phoenix-secrets"
_FILE = "secrets.json"
_EDITORS = ("sensible-editor", "nano", "vi")
_MEMORY = "/dev/shm"  # noqa: S108 - a private folder is made in it


def edit(context: Context) -> int:
    """Opens the secrets until they are right or given up. Returns the exit status."""
    editor = _editor()
    store = Store(_secrets.folder(context), os.environ)
    with store.open_text() as (before, write), _private() as path:
        _write(path, before)
        while True:
            _run(editor, path)
            after = _read(path)
            values, problems = age_file.parse(after)
            if not problems:
                break
            context.problems(problems)
            if not (sys.stdin.isatty() and typer.confirm("edit again?", default=True, err=True)):
                context.say("nothing was changed")
                return EXIT_FAILED
        old, _ = age_file.parse(before)
        if after != before:
            write(values)
    changed = sorted(name for name in {*old, *values} if old.get(name) != values.get(name))
    if changed or context.json:
        _secrets.tell_written(context, changed, local=False)
    else:
        context.print("nothing was changed")
    return 0


def _editor() -> list[str]:
    told = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    words = shlex.split(told) if told else []
    words = words or [name for name in _EDITORS if shutil.which(name)][:1]
    if not words:
        raise UsageError("there is no editor", hint="name one in $EDITOR")
    return words


def _run(editor: list[str], path: Path) -> None:
    try:
        status = subprocess.run([*editor, str(path)], check=False).returncode
    except OSError as error:
        raise UsageError(f"{editor[0]} can't be started: {error.strerror}") from None
    if status:
        raise PhoenixError(f"{editor[0]} ended with {status}", hint="nothing was changed")


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
    # Ctrl-C in an editor is the editor's; a handler, unlike "ignore", is not handed on to it.
    before[signal.SIGINT] = signal.signal(signal.SIGINT, lambda *_: None)
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
