"""What is told, and when: conditions become messages, once each, put together, and resolved.

A condition is told once, reminded of while it lasts, and told again when it is over. What changes
within a short time is one message. One that is over before anybody was told is never told.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.watch import Severity
from phoenix_hypervisor.model.watching import Happening

Kind = Literal["new", "worse", "still", "resolved"]
_GRADES: dict[str, int] = {"ticket": 0, "page": 1}
_SHOWN = 20
_TEXT = 300
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong, since a moment (Unix time).

    `key` is the same for as long as it is the same thing. Where it can't be told whether it holds
    (`sure` False: its guest can't be seen, or is away on purpose), it begins nothing and ends
    nothing. `guest` is empty where it concerns the whole stack.
    """

    key: str
    severity: Severity
    guest: Address | Literal[""]
    since: float
    text: str
    sure: bool = True


@dataclass(slots=True)
class Change:
    """One line of a message. `severity` is the highest that was told of the condition."""

    kind: Kind
    condition: Condition
    severity: Severity
    at: float
    recorded: bool = False
    ended: float | None = None
    """When it was over, where it is; told is that later."""

    @property
    def line(self) -> str:
        """What a person reads: the kind, what is wrong, and for how long."""
        text = plain(self.condition.text)
        until = self.at if self.ended is None else self.ended
        took = lasted(until - self.condition.since)
        if self.kind == "resolved":
            return f"resolved after {took}: {text}"
        head = {"new": self.severity, "worse": f"now a {self.severity}", "still": "still"}
        return f"{head[self.kind]}: {text} (for {took})"

    @property
    def happening(self) -> Happening:
        """How it is kept, so that it is known after a restart."""
        what: Literal["alert", "resolved"] = "resolved" if self.kind == "resolved" else "alert"
        step = f"{self.severity} {self.condition.key}"
        return Happening(self.at, what, self.condition.guest, plain(self.condition.text), step)


@dataclass(frozen=True, slots=True)
class Message:
    """What one target is sent. `kind`: whether it is bad news, a reminder, or good news."""

    title: str
    body: str
    kind: Literal["failure", "warning", "success"]


@dataclass(slots=True)
class _Alert:
    """`changed`: since when there is something to tell; `told`: when it was told last."""

    condition: Condition
    changed: float | None
    told: float | None = None
    severity: Severity = "ticket"
    """The highest that was told."""
    over: bool = False
    sure: bool = True


class Alerting:
    """All alerts of a stack. Times are in seconds; `now` is Unix time."""

    def __init__(self, *, group_s: float, remind_s: float) -> None:
        self.group_s = group_s
        self.remind_s = remind_s
        self._alerts: dict[str, _Alert] = {}

    def restore(self, happenings: Iterable[Happening]) -> None:
        """Takes up what was told before, the newest first: it is not told again.

        When it began is not known any more: it counts from when it was told first.
        """
        for each in reversed(list(happenings)):
            severity, _, key = each.step.partition(" ")
            if each.what == "resolved":
                self._alerts.pop(key, None)
            elif each.what == "alert" and severity in ("page", "ticket"):
                grade: Severity = "page" if severity == "page" else "ticket"
                before = self._alerts.get(key)
                since = before.condition.since if before else each.at
                condition = Condition(key, grade, each.guest, since, each.text)
                self._alerts[key] = _Alert(condition, None, each.at, grade)

    @property
    def active(self) -> list[Condition]:
        """What was told and is not over."""
        return [one.condition for one in self._alerts.values() if one.told and not one.over]

    def update(self, conditions: Iterable[Condition], now: float) -> list[Change]:
        """Takes all that is wrong now; gives what is to be told now."""
        seen = {each.key: each for each in conditions}
        for each in seen.values():
            self._see(each, now)
        for key in [key for key in self._alerts if key not in seen]:
            self._miss(key, now)
        return [*self._due(now), *self._reminders(now)]

    def _see(self, condition: Condition, now: float) -> None:
        alert = self._alerts.get(condition.key)
        if alert is None:
            if condition.sure:
                self._alerts[condition.key] = _Alert(condition, now)
            return
        if not condition.sure and alert.told is None:
            del self._alerts[condition.key]
            return
        alert.sure = condition.sure
        if alert.over:
            alert.over, alert.changed = False, None
        if condition.sure:
            since = min(condition.since, alert.condition.since)
            alert.condition = replace(condition, since=since)
            if alert.told is not None:
                worse = _worse(condition.severity, alert.severity)
                since_now = now if alert.changed is None else alert.changed
                alert.changed = since_now if worse else None

    def _miss(self, key: str, now: float) -> None:
        alert = self._alerts[key]
        if alert.told is None:
            del self._alerts[key]
        elif not alert.over:
            alert.over, alert.changed = True, now

    def _due(self, now: float) -> list[Change]:
        waiting = [(one, one.changed) for one in self._alerts.values() if one.changed is not None]
        # A clock that was set back must not hold a message back.
        if not any(abs(now - changed) >= self.group_s for _, changed in waiting):
            return []
        return [self._tell(one, now) for one, _ in waiting]

    def _tell(self, alert: _Alert, now: float) -> Change:
        ended, alert.changed = alert.changed, None
        if alert.over:
            del self._alerts[alert.condition.key]
            return Change("resolved", alert.condition, alert.severity, now, ended=ended)
        kind: Kind = "new" if alert.told is None else "worse"
        alert.told, alert.severity = now, alert.condition.severity
        return Change(kind, alert.condition, alert.severity, now)

    def _reminders(self, now: float) -> list[Change]:
        found = []
        for alert in self._alerts.values():
            late = alert.told is not None and abs(now - alert.told) >= self.remind_s
            if late and not alert.over and alert.sure:
                alert.told = now
                found.append(Change("still", alert.condition, alert.severity, now))
        return found


def concerns(change: Change, least: Severity) -> bool:
    """Whether somebody who is told of this severity and above is told of the change."""
    return _GRADES[change.severity] >= _GRADES[least]


def message(stack: str, changes: list[Change], dropped: int = 0) -> Message:
    """All these in one message; `dropped` more could not be kept."""
    order = {"new": 0, "worse": 1, "still": 2, "resolved": 3}
    ordered = sorted(changes, key=lambda one: (-_GRADES[one.severity], order[one.kind], one.at))
    lines = [one.line for one in ordered[:_SHOWN]]
    if len(changes) > _SHOWN:
        lines.append(f"and {len(changes) - _SHOWN} more")
    if dropped:
        lines.append(f"{dropped} earlier ones could not be told")
    bad = any(one.kind in ("new", "worse") for one in changes)
    good = all(one.kind == "resolved" for one in changes)
    return Message(
        title=f"[{stack}] {_title(ordered)}",
        body="\n".join(lines),
        kind="failure" if bad else "success" if good else "warning",
    )


def lasted(seconds: float) -> str:
    """A time as a person says it: `42 s`, `5 min`, `3 h 20 min`, `2 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 2 * _MINUTE_S:
        return f"{whole} s"
    if whole < 2 * _HOUR_S:
        return f"{whole // _MINUTE_S} min"
    if whole < 2 * _DAY_S:
        return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"
    return f"{whole // _DAY_S} d {whole % _DAY_S // _HOUR_S} h"


def _title(changes: list[Change]) -> str:
    if len(changes) == 1:
        [one] = changes
        text = plain(one.condition.text)
        return f"{one.kind}: {text}" if one.kind in ("still", "resolved") else text
    counts = {kind: sum(one.kind == kind for one in changes) for kind in ("new", "worse", "still")}
    counts["resolved"] = len(changes) - sum(counts.values())
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)


def _worse(one: Severity, other: Severity) -> bool:
    return _GRADES[one] > _GRADES[other]


def plain(text: str) -> str:
    """One line of reasonable length: a check's message may hold what a guest said."""
    line = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return line if len(line) <= _TEXT else f"{line[: _TEXT - 1]}…"
