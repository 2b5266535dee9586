"""The password and the tokens that open the dashboard, as hashes in the folder's `.phoenix/`.

The password is hashed with Argon2id (RFC 9106); tokens are 256 random bits, of which one SHA-256
tells nothing.
"""

import hashlib
import hmac
import json
import os
import secrets
import stat
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phoenix_hypervisor.model.errors import PhoenixError, UsageError
from phoenix_hypervisor.web.security.caller import Role
from phoenix_hypervisor.web.security.private import private

SHORTEST = 12
"""Characters of a password (NIST SP 800-63B asks for 8 beside a limit of tries)."""
LONGEST = 1024
_PREFIX = "phx_"


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Token(_Shape):
    """What is kept of a token."""

    name: str
    role: Role
    sha256: str
    made: str


class Kept(_Shape):
    """The file's contents."""

    format: int = 1
    password: str = ""
    tokens: list[Token] = Field(default_factory=list)


class Keys:
    """The keys of one folder; read anew where the file has changed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".phoenix" / "serve.json"
        self._read: tuple[tuple[int, int], Kept] | None = None

    @property
    def kept(self) -> Kept:
        """What the file holds. Raises `PhoenixError` for one that is damaged or not private."""
        try:
            at = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return Kept()
        except OSError as error:
            raise self._bad(str(error.strerror)) from error
        with os.fdopen(at, "rb") as file:
            about = os.fstat(at)
            if not stat.S_ISREG(about.st_mode) or about.st_mode & 0o077:
                raise self._bad("others than its owner may read it")
            if about.st_uid != os.geteuid():
                raise self._bad("it belongs to another user")
            version = (about.st_ino, about.st_mtime_ns)
            if self._read is None or self._read[0] != version:
                try:
                    self._read = (version, Kept.model_validate_json(file.read()))
                except ValidationError as error:
                    raise self._bad("it is damaged") from error
        return self._read[1]

    @property
    def has_password(self) -> bool:
        """Whether one was set."""
        return bool(self.kept.password)

    @property
    def any(self) -> bool:
        """Whether there is anything to log in with."""
        return self.has_password or bool(self.kept.tokens)

    def holds(self, opened_by: str) -> bool:
        """Whether the hash of a password or token still is that of one; the empty one always is.

        False where the keys can't be read.
        """
        try:
            kept = self.kept
        except PhoenixError:
            return not opened_by
        return opened_by in ("", kept.password, *(one.sha256 for one in kept.tokens))

    def set_password(self, password: str) -> None:
        """Sets the password. Raises `UsageError` for one that is too short or too long."""
        from argon2 import PasswordHasher

        if not SHORTEST <= len(password) <= LONGEST:
            raise UsageError(f"a password has from {SHORTEST} to {LONGEST} characters")
        kept = self.kept
        self._write(kept.model_copy(update={"password": PasswordHasher().hash(password)}))

    def is_password(self, given: str) -> bool:
        """Whether this is the password. Takes as long (about 0.05 s) where none is set."""
        from argon2 import PasswordHasher
        from argon2.exceptions import Argon2Error, InvalidHashError

        hasher = PasswordHasher()
        known = self.kept.password
        if len(given) > LONGEST:
            return False
        if not known:
            hasher.hash(given)
            return False
        try:
            return hasher.verify(known, given)
        except (Argon2Error, InvalidHashError):
            return False

    def new_token(self, name: str, role: Role) -> str:
        """A token, which is shown this once. Raises `UsageError` where one has the name."""
        if not name.isascii() or not name.replace("-", "").isalnum() or len(name) > 40:  # noqa: PLR2004
            raise UsageError(f"{name!r} is no name of a token: letters, digits and -, at most 40")
        kept = self.kept
        if any(one.name == name for one in kept.tokens):
            raise UsageError(
                f"there is a token {name}: nothing was changed",
                hint=f"`phoenix serve --forget-token {name}` makes it void, then make a new one",
            )
        token = _PREFIX + secrets.token_urlsafe(32)
        made = datetime.now(UTC).isoformat(timespec="seconds")
        new = Token(name=name, role=role, sha256=_digest(token), made=made)
        self._write(kept.model_copy(update={"tokens": [*kept.tokens, new]}))
        return token

    def forget_token(self, name: str) -> None:
        """Takes a token back. Raises `UsageError` where there is none of that name."""
        kept = self.kept
        others = [one for one in kept.tokens if one.name != name]
        if len(others) == len(kept.tokens):
            known = ", ".join(one.name for one in kept.tokens) or "there is none"
            raise UsageError(f"there is no token {name}", hint=f"tokens: {known}")
        self._write(kept.model_copy(update={"tokens": others}))

    def token(self, given: str) -> Token | None:
        """The token that this is."""
        digest = _digest(given)
        found = None
        for one in self.kept.tokens:
            if hmac.compare_digest(one.sha256, digest):
                found = one
        return found

    def _write(self, kept: Kept) -> None:
        folder = self._path.parent
        try:
            private(folder)
            # mkstemp makes it for this user alone.
            at, name = tempfile.mkstemp(dir=folder, prefix=".serve-")
            with os.fdopen(at, "w", encoding="utf-8") as file:
                json.dump(kept.model_dump(), file)
            Path(name).replace(self._path)
        except OSError as error:
            raise self._bad(f"can't be written: {error.strerror}") from error
        self._read = None

    def _bad(self, why: str) -> PhoenixError:
        return PhoenixError(
            f"the dashboard's keys {self._path}: {why}",
            hint="mend it, or remove it and set the password again: `phoenix serve --set-password`",
        )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
