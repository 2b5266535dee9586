"""Private keys (age calls them identities): where they are looked for, read and made.

The first of: `PHOENIX_AGE_IDENTITY` (a key, or a file of keys), or else `~/.config/phoenix/age.key`
and the SSH keys `~/.ssh/id_ed25519` and `~/.ssh/id_rsa`. Never a file in the folder itself: whoever
copies the folder would have the key beside what it opens. Files are as `age-keygen` writes them,
also encrypted with a passphrase (C2SP age specification).
"""

import getpass
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from phoenix_hypervisor.config.secrets import files
from phoenix_hypervisor.model.errors import PhoenixError, SecretsUnreadable

VARIABLE = "PHOENIX_AGE_IDENTITY"
PASSPHRASE = "PHOENIX_AGE_PASSPHRASE"  # noqa: S105 - a variable's name

_BEGIN = "AGE-SECRET-KEY-1"
_SSH = b"-----BEGIN "
_SEALED_TEXT = ("age-encryption.org/", "-----BEGIN AGE ENCRYPTED FILE-----")
_SEALED = tuple(text.encode() for text in _SEALED_TEXT)
_SSH_FILES = ("id_ed25519", "id_rsa")


@dataclass(frozen=True, slots=True)
class Key:
    """One private key. `public` is None for one of SSH; `path` for one that is in no file."""

    identity: Any = field(repr=False)
    public: str | None
    path: Path | None


def find(environ: Mapping[str, str]) -> list[Key]:
    """The keys of this person on this machine. Raises `SecretsUnreadable` for a bad file."""
    told = environ.get(VARIABLE, "").strip()
    if _holds_keys(told):
        return _keys(told.splitlines(), VARIABLE, None)
    if "\n" in told or "AGE-SECRET" in told.upper():
        raise SecretsUnreadable(
            f"what is in {VARIABLE} is neither a key of age nor the path of a file of keys",
            hint=f"a key begins with {_BEGIN} and stands on a line of its own",
        )
    if told:
        path = Path(_home(told, environ))
        if not files.private(path):
            raise SecretsUnreadable(
                f"{VARIABLE} names {path}, which is not there",
                hint=f"it holds a key that begins with {_BEGIN}, or the path of a file of keys",
            )
        return read(path, environ)
    own = standard(environ)
    found = read(own, environ) if files.private(own) else []
    for name in _SSH_FILES:
        path = Path(_home(f"~/.ssh/{name}", environ))
        try:
            found += read(path, environ) if path.is_file() else []
        except SecretsUnreadable:
            continue  # nobody has said that this key is for Phoenix
    return found


def hidden(environ: Mapping[str, str]) -> Iterator[str]:
    """What of a person's own keys is in the environment, and so must be in no text."""
    told = environ.get(VARIABLE, "").strip()
    if _holds_keys(told) or "\n" in told or "AGE-SECRET" in told.upper():
        for line in told.splitlines():
            if not line.lstrip().startswith("#"):
                yield line.strip()
    yield environ.get(PASSPHRASE, "")


def standard(environ: Mapping[str, str]) -> Path:
    """Where `phoenix secrets init` puts a new key."""
    config = environ.get("XDG_CONFIG_HOME") or _home("~/.config", environ)
    return Path(config) / "phoenix" / "age.key"


def read(path: Path, environ: Mapping[str, str]) -> list[Key]:
    """The keys in a file. Raises `SecretsUnreadable`, never with a part of a key."""
    files.private(path)
    data = files.content(path)
    if data.startswith(_SEALED):
        data = _opened(path, data, environ)
    elif data.startswith(_SSH):
        return [_ssh(path, data)]
    try:
        return _keys(data.decode().split("\n"), str(path), path)
    except UnicodeDecodeError:
        raise SecretsUnreadable(f"{path} is not a file of age keys") from None


def make() -> tuple[str, Key]:
    """A new key: the text of its file, and the key."""
    from pyrage import x25519

    identity = x25519.Identity.generate()
    public = str(identity.to_public())
    now = datetime.now(UTC).isoformat(timespec="seconds")
    text = f"# created: {now}\n# public key: {public}\n{identity}\n"
    return text, Key(identity, public, None)


def write(path: Path, text: str) -> None:
    """Writes a file of keys, for its owner only. Raises `PhoenixError`."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise PhoenixError(f"{path.parent} can't be made: {error.strerror}") from error
    files.replace(path, text.encode())


def _home(path: str, environ: Mapping[str, str]) -> str:
    home = environ.get("HOME")
    if home and (path == "~" or path.startswith("~/")):
        return home + path[1:]
    return os.path.expanduser(path)  # noqa: PTH111 - `Path` raises where there is no home


def in_text(text: str, path: Path) -> list[Key]:
    """The keys that stand in a file's text; none where it is encrypted."""
    return [] if text.startswith(_SEALED_TEXT) else _keys(text.split("\n"), str(path), path)


def _holds_keys(told: str) -> bool:
    return any(line.strip().startswith(_BEGIN) for line in told.splitlines())


def _keys(lines: list[str], where: str, path: Path | None) -> list[Key]:
    from pyrage import IdentityError, x25519

    found = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            identity = x25519.Identity.from_str(text)
        except IdentityError:
            plugin = text.startswith("AGE-PLUGIN-")
            raise SecretsUnreadable(
                f"{where}, line {number}, is not a key of age",
                hint="keys of plugins can't be used" if plugin else f"one begins with {_BEGIN}",
            ) from None
        found.append(Key(identity, str(identity.to_public()), path))
    if not found:
        raise SecretsUnreadable(
            f"{where} holds no key", hint="`phoenix secrets init` makes one where there is none"
        )
    return found


def _ssh(path: Path, data: bytes) -> Key:
    from pyrage import IdentityError, ssh

    try:
        return Key(ssh.Identity.from_buffer(data), None, path)
    except IdentityError as error:
        raise SecretsUnreadable(
            f"{path} can't be used: {error}",
            hint="keys of SSH must be ed25519 or rsa, without a passphrase; "
            "`phoenix secrets init` makes one of age",
        ) from None


def _opened(path: Path, data: bytes, environ: Mapping[str, str]) -> bytes:
    from pyrage import DecryptError, passphrase

    words = environ.get(PASSPHRASE)
    if not words:
        if not sys.stdin.isatty():
            raise SecretsUnreadable(
                f"{path} is encrypted with a passphrase", hint=f"give it in ${PASSPHRASE}"
            )
        words = getpass.getpass(f"passphrase of {path}: ", sys.stderr)
    try:
        return bytes(passphrase.decrypt(data, words))
    except DecryptError as error:
        raise SecretsUnreadable(
            f"{path} can't be opened: {error}", hint="is the passphrase right?"
        ) from None
