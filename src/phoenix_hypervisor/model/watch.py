"""What the files say of watching: how often, when nothing is promised, and whom to tell."""

from dataclasses import dataclass
from typing import Literal

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.secret import Secret

Severity = Literal["page", "ticket"]
"""`page`: somebody is to look now; `ticket`: within the working day."""


@dataclass(frozen=True, slots=True)
class Once:
    """From `start` until before `end`, Unix time."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Weekly:
    """On each of these days (0: Monday) from `hour:minute` of the zone's clock, `minutes` long.

    `zone` is a name of the tz database, such as `Europe/Berlin`.
    """

    days: tuple[int, ...]
    hour: int
    minute: int
    minutes: float
    zone: str


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A time in which these guests (None: all) promise nothing, and why."""

    when: Once | Weekly
    guests: tuple[Address, ...] | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AlertTarget:
    """Somebody to be told, by a URL as apprise takes them; `least`: of what severity and above."""

    name: str
    url: Secret
    least: Severity = "ticket"


@dataclass(frozen=True, slots=True)
class AlertWords:
    """Whom to tell, and how patiently. All times in seconds.

    A guest is told after it was down for `after_s`, and after nothing is known of it for
    `unknown_s`; what changes within `group_s` goes into one message, and what lasts is told again
    every `remind_s`.
    """

    targets: tuple[AlertTarget, ...] = ()
    after_s: float = 30.0
    unknown_s: float = 300.0
    group_s: float = 10.0
    remind_s: float = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Watch:
    """The words `watch` of the hypervisor file. Times in seconds.

    `heartbeat` is a URL that is asked for as long as Phoenix watches, so that others notice when it
    doesn't.
    """

    interval_s: float = 5.0
    heartbeat: Secret | None = None
    heartbeat_every_s: float = 60.0
    maintenance: tuple[Maintenance, ...] = ()
    alerts: AlertWords = AlertWords()
