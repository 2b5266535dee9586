"""The host's time zone: one that this machine knows."""

from collections.abc import Iterator
from difflib import get_close_matches
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from phoenix_hypervisor.config.folder import HYPERVISOR, Folder
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """A warning, since the host may know more; nothing where this machine knows none at all."""
    zone = folder.host.timezone
    if zone is None:
        return
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        known = available_timezones()
    else:
        return
    if not known:
        return
    near = get_close_matches(zone, sorted(known), 1)
    hint = f"did you mean `{near[0]}`?" if near else "`timedatectl list-timezones` shows them"
    message = f"`{zone}` is no time zone that is known here"
    yield folder.spot(HYPERVISOR).warning(("timezone",), message, hint)
