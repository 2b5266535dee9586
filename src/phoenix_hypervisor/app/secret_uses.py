"""Who uses which secret: places in the files, and guests that its change configures anew."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from phoenix_hypervisor import features
from phoenix_hypervisor.app.opening import vocabulary
from phoenix_hypervisor.config.document import pointer
from phoenix_hypervisor.config.load import load
from phoenix_hypervisor.config.named import named
from phoenix_hypervisor.config.reading import read
from phoenix_hypervisor.configure.plain import secrets_in
from phoenix_hypervisor.model.desired import Desired, Guest


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file that names a secret; line and column count from 1."""

    file: str
    line: int
    column: int
    pointer: str

    @property
    def logs_in(self) -> bool:
        """Whether its value is made elsewhere: a login of the hypervisor, or a password's hash."""
        return self.pointer.startswith("/hypervisor/") or self.pointer.endswith("/password_hash")


@dataclass
class Uses:
    """By name: where a secret is named, and the labels of guests that its change configures anew.

    `sure`: the files have no errors, so that no guest is missing here.
    """

    places: dict[str, list[Place]] = field(default_factory=dict)
    guests: dict[str, list[str]] = field(default_factory=dict)
    sure: bool = True


def uses(folder: Path, on: str | None) -> Uses:
    """Reads a folder, also one whose files have errors. Nothing is asked of any target."""
    found = Uses()
    words, _ = read(folder.absolute(), vocabulary(), on)
    for document, path, name in named(words):
        line, column = document.place(path)
        place = Place(document.file, line, column, pointer(path))
        found.places.setdefault(name, []).append(place)
    desired = load(folder, vocabulary(), on=on).desired
    found.sure = desired is not None
    for guest in desired.guests.values() if desired else ():
        for name in _configured_with(guest, desired) if desired else ():
            found.guests.setdefault(name, []).append(_label(guest))
    return found


def guests_of(found: Uses, names: Iterable[str]) -> list[str]:
    """The guests of these secrets, each once."""
    return sorted({label for name in names for label in found.guests.get(name, ())})


def _configured_with(guest: Guest, desired: Desired) -> set[str]:
    """Names of the secrets that the guest's fingerprint covers."""
    known = features.available()
    parts = [
        (use.options, known[use.name].inputs(use.options, guest, desired)) for use in guest.features
    ]
    env = dict(guest.script.env) if guest.script else {}
    return {secret.name for secret in secrets_in(parts, env) if secret.name}


def _label(guest: Guest) -> str:
    return f"{guest.address} ({guest.name})" if guest.name else guest.address
