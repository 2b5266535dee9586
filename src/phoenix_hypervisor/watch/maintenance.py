"""Maintenance: whether a guest is away on purpose now, by the clock on its wall.

A weekly window begins at its time of the zone's clock and lasts its minutes, whatever that clock
does meanwhile. Where its time comes twice (the clock is set back), it begins at the first one;
where it never comes (set forward), as much later as the clock is set.
"""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.watch import Maintenance, Once, Weekly

_MINUTE_S = 60.0
_WEEK = 7


class Calendar:
    """The maintenance of a stack. Raises `ZoneInfoNotFoundError` for an unknown time zone."""

    def __init__(self, windows: Iterable[Maintenance]) -> None:
        self._windows = tuple(windows)
        self._zones = {
            each.when.zone: ZoneInfo(each.when.zone)
            for each in self._windows
            if isinstance(each.when, Weekly)
        }

    def planned(self, now: float, guest: Address) -> str | None:
        """Why the guest is away on purpose at this moment (Unix time); None where it is not."""
        for each in self._windows:
            if (each.guests is None or guest in each.guests) and self._holds(each.when, now):
                return f"maintenance: {each.reason}" if each.reason else "maintenance"
        return None

    def _holds(self, when: Once | Weekly, now: float) -> bool:
        if isinstance(when, Once):
            return when.start <= now < when.end
        zone = self._zones[when.zone]
        today = datetime.fromtimestamp(now, zone).date()
        begins = (_begin(when, today - timedelta(days=ago), zone) for ago in range(_WEEK + 1))
        return any(
            begin is not None and begin <= now < begin + when.minutes * _MINUTE_S
            for begin in begins
        )


def _begin(when: Weekly, day: date, zone: ZoneInfo) -> float | None:
    if day.weekday() not in when.days:
        return None
    return datetime.combine(day, time(when.hour, when.minute), zone).timestamp()
