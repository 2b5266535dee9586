"""Files of secrets: who may read them, one writer at a time, and never half of one."""

import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from phoenix_hypervisor.model.errors import PhoenixError, SecretsUnreadable, UsageError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_HALF = re.compile(r"(?:\.phoenix-secrets\.env|secrets\.(?:json\.age|recipients))\.\d+\.new")
_LOCK_S = 10.0
_LOOK_EVERY_S = 0.05
_CONFLICT = re.compile(rb"^(<<<<<<< |=======\r?$|>>>>>>> )", re.MULTILINE)
_LONGEST = 16 * 1024 * 1024


def is_name(name: str) -> bool:
    """Whether a secret may be called so: letters, digits, `_`, `.` and `-`."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> None:
    """Raises `UsageError` for a name that a secret can't have."""
    if not is_name(name):
        raise UsageError(
            f"{name!r} can't be a secret's name",
            hint="letters, digits, _ . and - only, and no digit first",
        )


def check_value(value: str) -> None:
    """Raises `UsageError` for a value that no environment variable and no file of text can hold."""
    if not value:
        raise UsageError("the value is empty", hint="`phoenix secrets unset` removes a secret")
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise UsageError(
            "the value is not text in UTF-8 without NUL",
            hint="encode what is not text, for example with base64",
        )


def private(path: Path) -> bool:
    """Whether the file is there. Raises `SecretsUnreadable` where others may read it."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    except OSError as error:
        raise SecretsUnreadable(f"{path} can't be read: {error.strerror}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SecretsUnreadable(
            f"{path} can be read by others (mode {stat.S_IMODE(mode):o}), so it is not used",
            hint=f"chmod 600 {path}",
        )
    return True


def content(path: Path) -> bytes:
    """A file's bytes. Raises `SecretsUnreadable`, also where Git left a conflict in it."""
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST + 1)
    except OSError as error:
        raise SecretsUnreadable(f"{path} can't be read: {error.strerror}") from None
    if len(data) > _LONGEST:
        raise SecretsUnreadable(f"{path} is larger than {_LONGEST >> 20} MiB")
    if (found := _CONFLICT.search(data)) is not None:
        line = data.count(b"\n", 0, found.start()) + 1
        raise SecretsUnreadable(
            f"{path}, line {line}: Git could not merge this file",
            hint=f"take one side whole (`git checkout --ours {path.name}`, or --theirs), "
            "and set again what the other side had changed",
        )
    return data


def lines(path: Path) -> list[str]:
    """A file's lines. Raises `SecretsUnreadable`."""
    try:
        return content(path).decode().split("\n")
    except UnicodeDecodeError as error:
        raise SecretsUnreadable(f"{path} is not UTF-8 (byte {error.start})") from None


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keeps a second writer of a folder's secrets out; the lock ends with the process.

    What a writer that was killed has left half written is removed.

    Raises `PhoenixError` where another one doesn't end within 10 s.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise PhoenixError(f"{folder} can't be opened: {error.strerror}") from None
    try:
        over = time.monotonic() + _LOCK_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > over:
                    raise PhoenixError(
                        f"somebody else is changing the secrets of {folder}",
                        hint="is a `phoenix secrets edit` open? Wait for it, or close it",
                    ) from None
            time.sleep(_LOOK_EVERY_S)
        _clear(folder)
        yield
    finally:
        os.close(handle)


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if _HALF.fullmatch(path.name):
            with suppress(OSError):  # somebody else's: it harms no write
                path.unlink()


def replace(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Writes the file as a whole, so that nobody ever sees half of it. Raises `PhoenixError`."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        new.unlink(missing_ok=True)
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        raise PhoenixError(f"{path} can't be written: {error.strerror}") from error
