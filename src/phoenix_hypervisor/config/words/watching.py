"""Words of watching: how often, what all guests promise, maintenance, and who is told."""

import re
from difflib import get_close_matches
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from phoenix_hypervisor.config.words.alert_services import SERVICES
from phoenix_hypervisor.config.words.base import Words, wrong
from phoenix_hypervisor.config.words.shared import Slo
from phoenix_hypervisor.config.words.values import GuestId, NoComments, Text, choice, shaped
from phoenix_hypervisor.model.secret import Secret

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = f"(?:{'|'.join(_DAYS)})"
_PART = rf"{_DAY}(?:\.\.{_DAY})?"
_WEEKLY = rf"{_PART}(?:,{_PART})* ([01][0-9]|2[0-3]):([0-5][0-9])"
_MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?"
_WEB = re.compile(r"https?://[^\s/?@]+([/?]\S*)?")
_SCHEMA = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://\S+")
_OPEN = ("form", "json", "mailto", "rsyslog", "syslog", "xml")
"""Services whose URLs hold no secret but one that can be seen: a login, a header."""
_LOGIN = re.compile(r"://[^/?#]*:[^/?#]*@")
_HIDES = re.compile(r"[?&]([+-]|[a-z_-]*(pass|token|key|secret|auth))", re.IGNORECASE)


def _kept_apart(name: str) -> str:
    return f'write {{"secret": "{name}"}} here, and set its value with `phoenix secrets set {name}`'


def _heartbeat(value: Secret) -> Secret:
    if value.literal is not None and not _WEB.fullmatch(value.literal):
        hint = f"https://…, without a login; one that holds secrets: {_kept_apart('HEARTBEAT_URL')}"
        raise wrong("this is not a web address", hint)
    return value


Heartbeat = Annotated[Secret, AfterValidator(_heartbeat)]


def _alert_url(value: Secret) -> Secret:
    if value.literal is None:
        return value
    schema = _SCHEMA.fullmatch(value.literal)
    if schema is None:
        raise wrong(
            "this is not a URL as apprise takes them",
            "such as mailto://… or ntfy://…: https://github.com/caronc/apprise/wiki",
        )
    service = schema[1].lower()
    if service not in SERVICES:
        near = get_close_matches(service, sorted(SERVICES), n=1)
        hint = (
            f"is `{near[0]}` meant?" if near else "https://github.com/caronc/apprise/wiki has all"
        )
        raise wrong(f"apprise knows no service `{service}`", hint)
    known = service in _OPEN or service.removesuffix("s") in _OPEN
    if not known or _LOGIN.search(value.literal) or _HIDES.search(value.literal):
        message = f"a URL of `{service}` that holds a secret stands here in plain text"
        raise wrong(message, _kept_apart(f"{service.upper()}_URL"))
    return value


AlertUrl = Annotated[Secret, AfterValidator(_alert_url)]
TargetName = Annotated[
    str,
    shaped(
        r"[A-Za-z0-9][A-Za-z0-9_.-]{0,30}",
        "the name of who is told",
        "letters, digits, - _ and . only, at most 31",
    ),
]
Moment = Annotated[
    str,
    shaped(
        _MOMENT, "a date and time", "such as 2026-12-24T22:00, or 2026-12-24T22:00+01:00 elsewhere"
    ),
]
WeeklyTime = Annotated[
    str,
    shaped(_WEEKLY, "a time of the week", "such as `sun 02:00`, `mon,thu 22:30`, `mon..fri 05:00`"),
]


def weekly(text: str) -> tuple[tuple[int, ...], int, int]:
    """Days (0: Monday), hour and minute of a `WeeklyTime`; `sat..mon` goes over the week's end."""
    days, _, clock = text.partition(" ")
    found: set[int] = set()
    for part in days.split(","):
        first, _, last = part.partition("..")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        found.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    hour, _, minute = clock.partition(":")
    return tuple(sorted(found)), int(hour), int(minute)


class Maintenance(Words):
    """A time in which nothing is promised: once (`from`, `until`), or each week (`weekly`)."""

    reason: Text | None = Field(None, description="What is done in it.")
    guests: Annotated[list[GuestId] | None, Field(min_length=1)] = Field(
        None, description="Ids of its guests; all where missing."
    )
    start: Moment | None = Field(
        None,
        alias="from",
        description="Its begin, as `2026-12-24T22:00`: by the clock of `timezone` (else UTC), or "
        "with an offset such as `+01:00`.",
    )
    until: Moment | None = Field(None, description="Its end, in the same way.")
    weekly: WeeklyTime | None = Field(
        None,
        description="When it begins each week, by the clock of `timezone` (else UTC): `sun 02:00`, "
        "`mon,thu 22:30`, `mon..fri 05:00`.",
    )
    minutes: int | None = Field(
        None, ge=1, le=7 * 24 * 60, description="How long it is, with `weekly`."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        once = (self.start is not None, self.until is not None)
        each_week = (self.weekly is not None, self.minutes is not None)
        if (once, each_week) not in (((True, True), (False,) * 2), ((False,) * 2, (True, True))):
            raise wrong(
                "must hold either `from` and `until`, or `weekly` and `minutes`",
                'such as {"weekly": "sun 02:00", "minutes": 60}',
                lacking=not (any(once) and any(each_week)),
            )
        return self


class AlertTarget(Words):
    """Somebody who is told."""

    url: AlertUrl = Field(
        description='Where to, as apprise takes it, as `{"secret": "NAME"}`: see '
        "<https://github.com/caronc/apprise/wiki>. As text only where it holds no secret."
    )
    severity: Annotated[Literal["page", "ticket"], choice("page", "ticket")] = Field(
        "ticket",
        description="What is told: `page` (only what needs somebody now) or `ticket` (all).",
    )


class Alerts(Words):
    """Who is told when something is wrong, and when it is over."""

    targets: Annotated[dict[TargetName, AlertTarget], NoComments] = Field(
        default_factory=dict, description="Who is told, each under a name."
    )
    after_s: float = Field(
        30.0, ge=0, le=86400, description="A guest is told after it was down for so many seconds."
    )
    unknown_s: float = Field(
        300.0,
        ge=10,
        le=86400,
        description="A guest is told after nothing was known of it for so many seconds.",
    )
    group_s: float = Field(
        10.0, ge=0, le=3600, description="What changes in so many seconds is one message."
    )
    remind_h: float = Field(
        4.0, ge=0.1, le=720, description="After so many hours it is told again, while it lasts."
    )


class Watch(Words):
    """What `phoenix watch` does."""

    interval_s: float = Field(
        5.0,
        ge=0.5,
        le=86400,
        description="How often a check is asked that says no `every_s`, in seconds.",
    )
    heartbeat: Heartbeat | None = Field(
        None,
        description="A web address that is asked for as long as Phoenix watches, so that its own "
        'end is noticed there; `{"secret": "NAME"}` or text.',
    )
    heartbeat_every_s: float = Field(60.0, ge=5, le=86400, description="How often, in seconds.")
    slo: Slo | None = Field(
        None, description="What each guest promises; a guest's own `slo` goes before it."
    )
    maintenance: list[Maintenance] = Field(
        default_factory=list, description="Times in which nothing is promised."
    )
    alerts: Alerts = Field(default_factory=Alerts, description="Who is told.")
