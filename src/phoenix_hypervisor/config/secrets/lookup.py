"""Finds a secret's value: in the environment, the folder's own file, the encrypted file."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from phoenix_hypervisor.config.secrets import age_file, env_file, files, keys
from phoenix_hypervisor.model.errors import SecretMissing
from phoenix_hypervisor.model.redact import Redactor
from phoenix_hypervisor.model.secret import Secret

Source = Literal["environment", "env_file", "age_file"]


class Secrets:
    """The secrets of one folder. A file is read when no place before it has the value."""

    def __init__(
        self, folder: Path, environ: Mapping[str, str], redactor: Redactor | None = None
    ) -> None:
        """`redactor` is told every value that is asked for, so that no text shows it."""
        self._folder = folder
        self._environ = environ
        self.redactor = redactor or Redactor()
        for value in keys.hidden(environ):
            self.redactor.add(value)
        self.from_environment: set[str] = set()
        """Names whose values came from the environment so far."""
        self._local: dict[str, str] | None = None
        self._sealed: dict[str, str] | None = None
        self._digests: dict[tuple[str | None, str], str] = {}

    def lookup(self, name: str) -> str:
        """A secret's value. Raises `SecretMissing`, saying how to set it, or why the places where
        it may be can't be read.
        """
        value = self._value(name)
        if value is None:
            raise SecretMissing(
                f"the secret {name} has no value",
                hint=f"set it: `phoenix secrets set {name}`; or set the environment variable of "
                f"that name, or add a line {name}=… to {self._folder / env_file.FILE} (mode 600)",
            )
        self.redactor.add(value)
        return value

    def has(self, name: str) -> bool:
        """Whether a secret has a value. Raises `SecretsUnreadable` where that can't be told."""
        value = self._value(name)
        if value:
            self.redactor.add(value)
        return bool(value)

    def digest(self, secret: Secret) -> str:
        """A slow digest of a secret's value: equal for equal values, useless for guessing them.

        32 hexadecimal digits. scrypt with n=2^12, r=8, p=1 takes about 10 ms and 4 MiB (RFC 7914);
        the name is the salt, so that a digest is the same on every machine.
        """
        key = (secret.name, secret.reveal(self.lookup))
        if key not in self._digests:
            self.redactor.add(key[1])
            salt = f"phoenix:{secret.name or ''}".encode()
            raw = hashlib.scrypt(key[1].encode(), salt=salt, n=2**12, r=8, p=1, dklen=16)
            self._digests[key] = raw.hex()
        return self._digests[key]

    def add(self, name: str, value: str) -> None:
        """Writes a secret into this machine's own file, replacing one of the same name.

        Raises `UsageError` for a bad name, `SecretsUnreadable` where the file can't be trusted.
        """
        files.check_name(name)
        env_file.change(self._folder / env_file.FILE, {name: value})
        self._local = None

    def sources(self, name: str) -> list[Source]:
        """The places that hold a value of this name, none that is empty; the first one counts."""
        found: list[Source] = ["environment"] if self._environ.get(name) else []
        if self.local().get(name):
            found.append("env_file")
        if name in self.sealed():
            found.append("age_file")
        return found

    def local(self) -> Mapping[str, str]:
        """This machine's own file. Raises `SecretsUnreadable`."""
        if self._local is None:
            self._local = env_file.read(self._folder / env_file.FILE)
        return self._local

    def sealed(self) -> Mapping[str, str]:
        """The encrypted file; empty where there is none. Raises `SecretsUnreadable`."""
        if self._sealed is None:
            path = self._folder / age_file.FILE
            there = path.exists()
            self._sealed = age_file.read(path, keys.find(self._environ)) if there else {}
        return self._sealed

    def _value(self, name: str) -> str | None:
        if value := self._environ.get(name):
            self.from_environment.add(name)
            return value
        if value := self.local().get(name):
            return value
        return self.sealed().get(name)
