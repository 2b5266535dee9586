"""Routes: no name and path is published by two guests, and who answers is there."""

from collections.abc import Iterator

from phoenix_hypervisor.config.desire.serving import place_of_route, routes
from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.config.words.routes import Route
from phoenix_hypervisor.model.problem import Problem
from phoenix_hypervisor.model.route import meant
from phoenix_hypervisor.model.secret import Secret


def find(folder: Folder) -> Iterator[Problem]:
    """Routes that an earlier one has taken, and guests of model servers that don't run."""
    yield from _doubled(folder)
    for guest in folder.guests:
        for index, route in enumerate(guest.words.routes):
            yield from _same_keys(guest, index, route)
            for number, wanted in enumerate(route.llm.guests if route.llm else ()):
                place = ("routes", index, "llm", "guests", number)
                other = folder.guest(wanted)
                if other is None and folder.knows_all_guests:
                    message = f"the route leads to {wanted}, which is not in the files"
                    yield guest.spot.error(place, message, folder.known_ids(but=guest))
                elif other is not None and other.rests:
                    message = f"the route leads to {other.label}, a template that does not run"
                    yield guest.spot.error(place, message, "name a guest that runs")


def _same_keys(guest: AnyEntry, index: int, route: Route) -> Iterator[Problem]:
    """Two names for one token: nobody could tell them apart."""
    first: dict[Secret, str] = {}
    for name, secret in ((route.auth and route.auth.keys) or {}).items():
        if secret in first:
            message = (
                f"the keys `{first[secret]}` and `{name}` are the same secret: neither their "
                "limits nor the log can tell them apart"
            )
            place = ("routes", index, "auth", "keys", name)
            yield guest.spot.warning(place, message, "give each a secret of its own")
        first.setdefault(secret, name)


def _doubled(folder: Folder) -> Iterator[Problem]:
    """Routes, of both spellings, that an earlier one has taken."""
    first: dict[tuple[str | None, str], tuple[AnyEntry, Pointer]] = {}
    for guest in folder.guests:
        for index, route in enumerate(routes(folder, guest)):
            place = place_of_route(guest, ("routes", index))
            written = guest.spot.document.raw((*guest.spot.path(*place), "path"))
            if written is not None and written != route.path:
                continue  # refused, and told
            path = meant(route.path) or route.path
            key = (route.host.lower() if route.host else None, path.rstrip("/"))
            if key in first:
                other, at = first[key]
                line = f"({other.spot.document.file}, line {other.spot.line(at)})"
                shown = (route.host or "every name") + route.path
                message = f"duplicate route {shown}: it belongs to {other.label} {line}"
                yield guest.spot.error(place, message, "choose another host or path")
            else:
                first[key] = (guest, place)
