"""Names of guests: each has one, and none is taken twice or is another's id."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Guests without a name, and names that an earlier guest has already."""
    first: dict[str, AnyEntry] = {}
    for guest in folder.guests:
        name = guest.words.name
        yield from _as_id(folder, guest)
        if name is None:
            if guest.spot.raw("name") in (None, "", "NOT_SET"):
                message = f"{guest.address} has no name"
                yield guest.spot.error((), message, 'add "name": "…"', key=True)
        elif name.lower() in first:
            other = first[name.lower()]
            place = f"({other.spot.document.file}, line {other.spot.line(('name',))})"
            message = f"duplicate name `{name}`: it belongs to {other.address} {place}"
            yield guest.spot.error(("name",), message, "names are host names: choose another one")
        else:
            first[name.lower()] = guest


def _as_id(folder: Folder, guest: AnyEntry) -> Iterator[Problem]:
    """Commands and options take an id or a name, so a name can't be somebody else's id."""
    name = guest.words.name
    if name is None or not (name.isascii() and name.isdigit()):
        return
    for other in folder.guests:
        if str(other.id) == name and other.address != guest.address:
            message = f"the name `{name}` is the id of {other.label}"
            yield guest.spot.error(("name",), message, "choose a name with a letter in it")
