"""Who uses which secret: places in the files, and guests that its change configures anew."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from phoenix_hypervisor import features
from phoenix_hypervisor.app.opening import vocabulary
from phoenix_hypervisor.config.document import Pointer, pointer
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.config.load import load
from phoenix_hypervisor.config.named import named
from phoenix_hypervisor.config.reading import read
from phoenix_hypervisor.config.words.routes import SETS
from phoenix_hypervisor.configure.plain import secrets_in
from phoenix_hypervisor.model.desired import Desired, Guest

_MADE_ELSEWHERE = ("password_hash", "token", "token_secret")


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file that names a secret; line and column count from 1."""

    file: str
    line: int
    column: int
    pointer: str
    sets: bool = False
    """Whether the stack sets this password itself, so that any new value will do."""

    @property
    def made_elsewhere(self) -> bool:
        """Whether another one gives it out: a login of the hypervisor, a hash, a token."""
        last = self.pointer.rpartition("/")[2]
        return self.pointer.startswith("/hypervisor/") or last in _MADE_ELSEWHERE


@dataclass
class Uses:
    """By name: where a secret is named, and the labels of guests that its change configures anew.

    `sure`: the files have no errors, so that no guest is missing here. `unread`: files whose
    places are missing, since they could not be read.
    """

    places: dict[str, list[Place]] = field(default_factory=dict)
    guests: dict[str, list[str]] = field(default_factory=dict)
    sure: bool = True
    unread: tuple[str, ...] = ()

    def no_random(self, name: str) -> str:
        """Why a random value of this secret would break something; empty where it would not."""
        if self.unread:
            return f"who uses it is not known: {', '.join(self.unread)} can't be read"
        places = self.places.get(name, [])
        for place in places:
            if place.made_elsewhere:
                return (
                    f"{place.file}:{place.line} uses it as what is made elsewhere "
                    "(a login, a token, or a password's hash)"
                )
        if not any(place.sets for place in places):
            return "it is no password that this stack sets itself (of a database's role, a route…)"
        return ""


def uses(folder: Path, on: str | None) -> Uses:
    """Reads a folder, also one whose files have errors. Nothing is asked of any target."""
    found = Uses()
    words, _ = read(folder.absolute(), vocabulary(), on)
    found.unread = tuple(sorted(words.broken | _with_faults(words)))
    patterns = _patterns()
    for document, path, name in named(words):
        line, column = document.place(path)
        sets = any(_fits(path, pattern) for pattern in patterns)
        place = Place(document.file, line, column, pointer(path), sets)
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


def _with_faults(words: Folder) -> set[str]:
    """Files that are not JSON: what stands in them was guessed in parts."""
    return {
        name
        for name, spot in words.spots.items()
        if any(problem.severity == "error" for problem in spot.document.problems)
    }


def _patterns() -> list[list[str]]:
    """The ends of pointers to passwords that the stack sets."""
    known = features.available()
    texts = [*SETS, *(f"{name}/{one}" for name in known for one in known[name].sets)]
    return [text.split("/") for text in texts]


def _fits(path: Pointer, pattern: list[str]) -> bool:
    end = path[-len(pattern) :]
    return len(end) == len(pattern) and all(
        want in ("*", str(part)) for part, want in zip(end, pattern, strict=True)
    )


def _label(guest: Guest) -> str:
    return f"{guest.address} ({guest.name})" if guest.name else guest.address
