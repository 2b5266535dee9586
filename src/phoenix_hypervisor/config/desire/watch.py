"""How the stack is watched, as wanted: maintenance with its times, and who is told."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.config.replicas import named
from phoenix_hypervisor.config.words import watching as words
from phoenix_hypervisor.model.watch import (
    AlertTarget,
    AlertWords,
    Maintenance,
    Once,
    Watch,
    Weekly,
)

_HOUR_S = 3600.0


def watch(folder: Folder) -> Watch:
    """What the hypervisor file says of it. Guests that are not there are told elsewhere."""
    said = folder.host.watch
    found = (_maintenance(folder, each) for each in said.maintenance)
    return Watch(
        interval_s=said.interval_s,
        heartbeat=said.heartbeat,
        heartbeat_every_s=said.heartbeat_every_s,
        maintenance=tuple(each for each in found if each is not None),
        alerts=_alerts(said.alerts),
    )


def zone(folder: Folder) -> tzinfo | None:
    """The host's time zone, else UTC; None where this machine does not know the one of the file."""
    name = folder.host.timezone
    if name is None:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a folder of zones is an OSError
        return None


def moment(text: str, clock: tzinfo, *, last: bool = False) -> float | None:
    """Unix time of a date and time; None where there is no such.

    Without an offset it is one of `clock`: the first where an hour comes twice, or the `last`.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    if found.tzinfo is not None:
        return found.timestamp()
    times = [found.replace(tzinfo=clock, fold=fold).timestamp() for fold in (0, 1)]
    return max(times) if last else times[0]


def _maintenance(folder: Folder, said: words.Maintenance) -> Maintenance | None:
    when: Once | Weekly
    if said.weekly is not None and said.minutes is not None:
        when = Weekly(*words.weekly(said.weekly), said.minutes, folder.host.timezone or "UTC")
    else:
        clock = zone(folder) or UTC
        start, end = moment(said.start or "", clock), moment(said.until or "", clock, last=True)
        if start is None or end is None:
            return None
        when = Once(start, end)
    guests = None if said.guests is None else named(folder, said.guests)
    return Maintenance(when, guests, said.reason or "")


def _alerts(said: words.Alerts) -> AlertWords:
    return AlertWords(
        targets=tuple(
            AlertTarget(name, target.url, target.severity) for name, target in said.targets.items()
        ),
        after_s=said.after_s,
        unknown_s=said.unknown_s,
        group_s=said.group_s,
        remind_s=said.remind_h * _HOUR_S,
    )
