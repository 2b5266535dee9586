"""Watching: guests that are there, times that are some, a time zone that is known here."""

from collections.abc import Iterator

from phoenix_hypervisor.config.desire.watch import moment, zone
from phoenix_hypervisor.config.folder import HYPERVISOR, Folder
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Maintenance of nobody, at no time, or by a clock that this machine does not have."""
    spot = folder.spot(HYPERVISOR)
    said = folder.host.watch.maintenance
    clock = zone(folder)
    if said and clock is None:
        message = f"this machine knows no time zone `{folder.host.timezone}`, which `watch` needs"
        hint = "an area and a city, such as Europe/Berlin; on Debian the package tzdata knows them"
        yield spot.error(("timezone",), message, hint)
    for index, each in enumerate(said):
        place = ("watch", "maintenance", index)
        if folder.knows_all_guests:
            for position, ident in enumerate(each.guests or ()):
                if folder.guest(ident) is None:
                    message = f"the maintenance names {ident}, which is not in the files"
                    yield spot.error((*place, "guests", position), message, "remove it, or add it")
        if each.start is None or each.until is None or clock is None:
            continue
        start, end = moment(each.start, clock), moment(each.until, clock, last=True)
        for word, text, found in (("from", each.start, start), ("until", each.until, end)):
            if found is None:
                hint = "such as 2026-12-24T22:00"
                yield spot.error((*place, word), f"there is no `{text}`", hint)
        if start is not None and end is not None and end <= start:
            message = f"the maintenance ends ({each.until}) before it begins ({each.start})"
            yield spot.error((*place, "until"), message, "write a later time")
