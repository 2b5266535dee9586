"""Changes what the folder keeps encrypted: its secrets, for whom, and with which key."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from phoenix_hypervisor.config.secrets import age_file, files, keys, recipients
from phoenix_hypervisor.config.secrets.keys import Key
from phoenix_hypervisor.config.secrets.recipients import Recipient
from phoenix_hypervisor.model.errors import SecretsUnreadable, UsageError


@dataclass(frozen=True, slots=True)
class Started:
    """What `Store.start` did: whose key, where it lies, and what is new."""

    public: str
    path: Path | None
    made: bool
    added: bool
    readable: bool
    """Whether the key opens the secrets that are there."""


class Store:
    """The encrypted secrets of one folder. Every change holds the folder's lock."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.path = folder / age_file.FILE
        self.list = folder / recipients.FILE
        self._environ = environ

    @property
    def there(self) -> bool:
        """Whether this folder keeps encrypted secrets, or is ready to."""
        return self.path.exists() or self.list.exists()

    def recipients(self) -> list[Recipient]:
        """For whom the next change encrypts. Raises `SecretsUnreadable`."""
        return recipients.read(self.list)

    def start(self, name: str) -> Started:
        """Makes a key where this person has none, and adds it to those who may read.

        `name` says whose key it is. Raises `UsageError` where the only key can't be written there.
        """
        with files.alone(self.folder):
            found = keys.find(self._environ)
            named = {one.key for one in self.recipients()}
            usable = [key for key in found if key.public]
            made = not usable
            if usable:
                key, path = usable[0], usable[0].path
            elif self._environ.get(keys.VARIABLE):
                raise UsageError(
                    f"${keys.VARIABLE} names a key of SSH",
                    hint=f"add its public key to {self.list}, as it stands in its .pub file",
                )
            else:
                path = keys.standard(self._environ)
                text, key = keys.make()
                keys.write(path, text)
            public = str(key.public)
            added = public not in named
            if added:
                recipients.add(self.list, public, name)
            return Started(public, path, made, added, self._opens([*found, key]))

    def change(self, how: Callable[[dict[str, str]], None]) -> None:
        """Changes the secrets. Raises `SecretsUnreadable` where they can't be read or written."""
        with self.open() as (values, write):
            how(values)
            write(values)

    @contextmanager
    def open(self) -> Iterator[tuple[dict[str, str], Callable[[Mapping[str, str]], None]]]:
        """The secrets, and what writes them, with nobody else writing meanwhile."""
        with files.alone(self.folder):
            found = self._keys()
            values = age_file.read(self.path, found) if self.path.exists() else {}
            yield values, lambda new: age_file.write(self.path, new, self.recipients(), found)

    @contextmanager
    def open_text(self) -> Iterator[tuple[str, Callable[[Mapping[str, str]], None]]]:
        """The same for an editor: what is inside as text, also where that is damaged.

        Where it could not be written afterwards, that is told before anybody begins to edit.
        """
        with files.alone(self.folder):
            found = self._keys()
            age_file.sealed({}, self.recipients(), found)
            text = age_file.text_of(self.path, found) if self.path.exists() else "{\n}\n"
            yield text, lambda new: age_file.write(self.path, new, self.recipients(), found)

    def renew_key(self) -> tuple[str, Path]:
        """Gives this person a new key in the place of the old one: its public part, and its file.

        The old key stays in the file, behind the new one: other folders may need it. At no moment
        are the secrets unreadable. Raises `UsageError` where the key is in no file of its own.
        """
        with files.alone(self.folder):
            found = self._keys()
            named = {one.key for one in self.recipients()}
            old = next((key for key in found if key.path and key.public in named), None)
            if old is None or old.path is None or old.public is None:
                raise UsageError(
                    "the key that opens the secrets can't be replaced here",
                    hint="only one of age in a file can; a key of SSH is replaced by hand, in "
                    f"{recipients.FILE}, and then `phoenix secrets rotate --keep-key`",
                )
            values = age_file.read(self.path, found) if self.path.exists() else {}
            there = files.content(old.path).decode("utf-8", "replace")
            if old.public not in {key.public for key in keys.in_text(there, old.path)}:
                raise UsageError(
                    f"{old.path} is encrypted with a passphrase: the new key would not be",
                    hint="make one with age-keygen, put it into that file and its public part "
                    f"into {recipients.FILE}; then `phoenix secrets rotate --keep-key`",
                )
            text, new = keys.make()
            keys.write(old.path, f"{text}\n# replaced by the one above\n{there}")
            recipients.swap(self.list, old.public, str(new.public))
            age_file.write(self.path, values, self.recipients(), [new])
            return str(new.public), old.path

    def renew_recipients(self) -> None:
        """Encrypts the same secrets for those who are in `secrets.recipients` now."""
        self.change(lambda _: None)

    def _keys(self) -> list[Key]:
        if not self.there:
            raise UsageError(
                f"{self.folder} keeps no encrypted secrets yet",
                hint="`phoenix secrets init` makes a key and the list of who may read",
            )
        return keys.find(self._environ)

    def _opens(self, found: list[Key]) -> bool:
        if not self.path.exists():
            return True
        try:
            age_file.text_of(self.path, found)
        except SecretsUnreadable:
            return False
        return True
