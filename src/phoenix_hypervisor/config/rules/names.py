"""Names of guests: each has one, and none is taken twice."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Guests without a name, and names that an earlier guest has already."""
    first: dict[str, tuple[str, str, int]] = {}
    for guest in folder.guests:
        name = guest.words.name
        if name is None:
            if guest.spot.raw("name") in (None, "", "NOT_SET"):
                message = f"{guest.address} has no name"
                yield guest.spot.error((), message, 'add "name": "…"', key=True)
        elif name.lower() in first:
            label, file, line = first[name.lower()]
            message = f"duplicate name `{name}`: it belongs to {label} ({file}, line {line})"
            yield guest.spot.error(("name",), message, "names are host names: choose another one")
        else:
            place = (guest.address, guest.spot.document.file, guest.spot.line(("name",)))
            first[name.lower()] = place
