"""Values of named secrets: from the environment, then from a git-ignored file of the folder."""

import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from phoenix_hypervisor.model.errors import SecretMissing
from phoenix_hypervisor.model.secret import Secret

FILE = ".phoenix-secrets.env"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LINE = re.compile(r"(?:export\s+)?([^\s=]+)\s*=\s*(.*)")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


class Secrets:
    """The secrets of one folder. The file is read when it is first needed."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._path = folder / FILE
        self._environ = environ
        self._values: dict[str, str] | None = None
        self._digests: dict[tuple[str | None, str], str] = {}

    def lookup(self, name: str) -> str:
        """A secret's value. Raises `SecretMissing`, saying how to set it."""
        value = self._environ.get(name)
        if value:
            return value
        if self._values is None:
            self._values = _read(self._path)
        if name not in self._values:
            raise SecretMissing(
                f"the secret {name} has no value",
                hint=f"add a line {name}=… to {self._path} (mode 600), "
                "or set the environment variable of that name",
            )
        return self._values[name]

    def has(self, name: str) -> bool:
        """Whether a secret has a value; not where the file can't be read or trusted."""
        try:
            return bool(self.lookup(name))
        except SecretMissing:
            return False

    def digest(self, secret: Secret) -> str:
        """A slow digest of a secret's value: equal for equal values, useless for guessing them.

        32 hexadecimal digits. scrypt with n=2^12, r=8, p=1 takes about 10 ms and 4 MiB (RFC 7914);
        the name is the salt, so that a digest is the same on every machine.
        """
        key = (secret.name, secret.reveal(self.lookup))
        if key not in self._digests:
            salt = f"phoenix:{secret.name or ''}".encode()
            raw = hashlib.scrypt(key[1].encode(), salt=salt, n=2**12, r=8, p=1, dklen=16)
            self._digests[key] = raw.hex()
        return self._digests[key]

    def add(self, name: str, value: str) -> None:
        """Writes a secret into the folder's file (mode 600), replacing one of the same name.

        The file is replaced as a whole, so that nobody ever sees half of it. Raises
        `SecretMissing` where the file is there but can't be trusted, `ValueError` for a bad name.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} can't be a secret's name: letters, digits, _ . and - only")
        with _alone(self._path.parent):
            text = self._path.read_text(encoding="utf-8") if _usable(self._path) else ""
            kept = [line for line in text.split("\n") if line and _key(line) != name]
            lines = [*kept, f"{name}={_quote(value)}"]
            _replace(self._path, "\n".join(lines) + "\n")
        self._values = None


def _read(path: Path) -> dict[str, str]:
    if not _usable(path):
        return {}
    found = {}
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SecretMissing(f"{path} can't be read: {error}") from None
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None or not _NAME.fullmatch(match[1]):
            raise SecretMissing(f"{path}, line {number}, is not NAME=VALUE", hint="mend that line")
        found[match[1]] = _unquote(match[2], path, number)
    return found


def _usable(path: Path) -> bool:
    """Whether the file is there. Raises `SecretMissing` where others may read it."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SecretMissing(
            f"{path} can be read by others (mode {stat.S_IMODE(mode):o}), so it is not used",
            hint=f"chmod 600 {path}",
        )
    return True


def _key(line: str) -> str | None:
    match = _LINE.fullmatch(line.strip())
    return match[1] if match and not line.lstrip().startswith("#") else None


def _unquote(text: str, path: Path, number: int) -> str:
    quote = text[:1]
    if quote not in ("'", '"'):
        return text
    if len(text) < 2 or text[-1] != quote:  # noqa: PLR2004 - the two quotes
        raise SecretMissing(f"{path}, line {number}: a quote is not closed", hint="mend that line")
    body = text[1:-1]
    if quote == "'":
        return body
    return re.sub(r"\\(.)", lambda match: _ESCAPED.get(match[1], match[1]), body)


def _quote(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_./:@%+=-]+", value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    for letter, character in _ESCAPED.items():
        escaped = escaped.replace(character, f"\\{letter}")
    return f'"{escaped}"'


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps a second writer out; the lock ends with the process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
