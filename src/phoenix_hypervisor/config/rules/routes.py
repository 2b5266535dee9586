"""Routes: no name and path is published by two guests."""

from collections.abc import Iterator

from phoenix_hypervisor.config.desire.serving import place_of_route, routes
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Routes, of both spellings, that an earlier one has taken."""
    first: dict[tuple[str | None, str], tuple[str, str, int]] = {}
    for guest in folder.guests:
        for index, route in enumerate(routes(folder, guest)):
            place = place_of_route(guest, ("routes", index))
            written = guest.spot.document.raw((*guest.spot.path(*place), "path"))
            if written is not None and written != route.path:
                continue  # refused, and told
            key = (route.host.lower() if route.host else None, route.path.rstrip("/"))
            if key in first:
                label, file, line = first[key]
                shown = (route.host or "every name") + route.path
                message = f"duplicate route {shown}: it belongs to {label} ({file}, line {line})"
                yield guest.spot.error(place, message, "choose another host or path")
            else:
                line = guest.spot.line(place)
                first[key] = (guest.label, guest.spot.document.file, line)
