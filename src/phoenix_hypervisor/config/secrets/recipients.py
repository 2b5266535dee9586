"""`secrets.recipients`: the public keys that `secrets.json.age` is encrypted for, in Git.

One a line, as `age -R` reads them: `age1…`, or a public key of SSH (ed25519 or rsa). A comment
above a key says whose it is.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phoenix_hypervisor.config.secrets import files
from phoenix_hypervisor.model.errors import SecretsUnreadable

FILE = "secrets.recipients"
_AGE = "age1"
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Recipient:
    """One public key; `name` says whose it is, `line` where it stands."""

    key: str
    name: str
    line: int
    public: Any = field(repr=False)

    @property
    def label(self) -> str:
        """Whose it is and which key: one person may have several."""
        return f"{self.name} ({self._part})" if self.name else self.key

    @property
    def _part(self) -> str:
        kind, _, rest = self.key.partition(" ")
        # All keys of one kind of SSH begin alike (RFC 4253, 6.6): only their ends differ.
        return f"{kind} …{rest[-_SHOWN:]}" if rest else f"{kind[: _SHOWN + len(_AGE)]}…"


def read(path: Path) -> list[Recipient]:
    """The file's keys; none where it is not there. Raises `SecretsUnreadable`."""
    if not path.exists():
        return []
    found, name = [], ""
    for number, line in enumerate(files.lines(path), 1):
        text = line.strip()
        if text.startswith("#"):
            name = text.lstrip("#").strip()
        elif text:
            found.append(_recipient(text, name, path, number))
            name = ""
        else:
            name = ""
    return found


def add(path: Path, key: str, name: str) -> None:
    """Adds a key at the end, unless it is there. To be called with the folder's lock."""
    if any(one.key == key for one in read(path)):
        return
    old = "\n".join(files.lines(path)).rstrip("\n") + "\n\n" if path.exists() else ""
    _write(path, f"{old}# {' '.join(name.split())}\n{key}\n")


def swap(path: Path, old: str, new: str) -> None:
    """Puts one key in the place of another. To be called with the folder's lock."""
    changed = [line.replace(old, new) for line in files.lines(path)]
    _write(path, "\n".join(changed))


def _write(path: Path, text: str) -> None:
    files.replace(path, text.encode(), 0o644)


def _recipient(text: str, name: str, path: Path, number: int) -> Recipient:
    from pyrage import RecipientError, ssh, x25519

    try:
        if text.startswith("ssh-"):
            kind, _, rest = text.partition(" ")
            key, _, comment = rest.partition(" ")
            public: Any = ssh.Recipient.from_str(text)
            return Recipient(f"{kind} {key}", name or comment.strip(), number, public)
        public = x25519.Recipient.from_str(text)
    except RecipientError as error:
        raise SecretsUnreadable(
            f"{path}, line {number}, is not a public key of age or SSH: {error}",
            hint="write age1…, ssh-ed25519 … or ssh-rsa …, one a line",
        ) from None
    return Recipient(text, name, number, public)
