"""Decides what is done next for a guest that is down. Pure: what it knows, it is told.

The ladder goes from the least to the most: its services, the guest itself, a snapshot, the files.
What is plainly wrong (a dead service, a full disk, a guest that ended by itself) is mended at once;
a guest that only doesn't answer is given a little time first.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import Literal

from phoenix_hypervisor.model.heal import LOSING, HealPolicy
from phoenix_hypervisor.model.observed import GuestState
from phoenix_hypervisor.watch.course import HOUR_S, Course, Step, rung
from phoenix_hypervisor.watch.symptoms import Symptoms

_BOOT_S = 30.0
"""So long a guest may take to start or to stop before that is taken for a fault."""
_ROUNDS = 3
"""So often all steps are tried."""
_UPGRADE_S = 900.0
"""So long an upgrade of packages may go on before what does not run is begun all the same."""
_OURS_S = 5.0
"""An end of its running so long after our own step's end is not that step's."""
TAKEN = "taken"
"""The kind of reason of a guest of which somebody took a network card away."""
_ROOMY = frozenset({"/", "/var", "/var/log", "/var/cache", "/var/tmp", "/tmp"})  # noqa: S108
"""Where making room helps; nothing of a guest's own data is deleted for it."""


@dataclass(frozen=True, slots=True)
class Case:
    """How a guest is now. `ended` says how it came to stop: by itself, by somebody (`who`; at
    `ended_at`, where that is known), or while nobody looked; it is `hidden`, with the reason, where
    the hypervisor does not let us see that. `waits_for` are guests that it depends on and that are
    down. `patience_s` is how long it may take to come up, `runs_since` when it last began to run,
    where that is known. `symptoms` are None where it does not run. `suspects` are the units, by
    names or patterns, that the failing checks are about; none where that is not known. `waited_at`
    is when it last waited for others, `plugs` whether its network cards can be taken off and put
    on while it runs. `paused`: it counts as stopped, and only stands still.
    """

    state: GuestState
    ended: Literal["itself", "somebody", "unseen", "hidden"] = "unseen"
    who: str = ""
    ended_at: float | None = None
    hidden: str = ""
    symptoms: Symptoms | None = None
    waits_for: tuple[str, ...] = ()
    patience_s: float = 10.0
    runs_since: float | None = None
    suspects: tuple[str, ...] = ()
    waited_at: float = 0.0
    plugs: bool = False
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Do:
    """Do this step. `units` and `cards` (of the network) are what it is about; `wakes`: the units'
    processes were stopped by a signal, and need only to be told to go on.
    """

    step: Step
    why: str
    units: tuple[str, ...] = ()
    cards: tuple[str, ...] = ()
    wakes: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing before that moment."""

    until: float
    why: str


@dataclass(frozen=True, slots=True)
class Leave:
    """It is left alone; this is told once for each `kind` of reason. `until` is when it is looked
    at again, where it is.
    """

    what: Literal["held", "gave-up"]
    kind: str
    why: str
    until: float | None = None


Decision = Do | Wait | Leave


def decide(policy: HealPolicy, course: Course, case: Case, now: float) -> Decision:
    """What is next. `course` is only read, but where a round of steps is over."""
    if not policy.steps:
        return Leave("held", "left", "`heal` of the files says that it is left alone")
    found = _wanted(policy, course, case, now)
    return _bounded(policy, course, found, now) if isinstance(found, Do) else found


def is_plain(seen: Symptoms, *, hurts: bool, plugs: bool = False) -> bool:
    """Whether something is plainly wrong in a guest whose checks do not say so (yet). Without
    `hurts`, what is at its end in there may be so on purpose: then only a full disk counts, and a
    network card that leads nowhere. A card only counts where that is mended without a restart
    (`plugs`).
    """
    if seen.silent or seen.changing:
        return False
    broken = seen.frozen or seen.idle or (seen.dead and not seen.upgrading)
    return bool(_wants_room(seen) or (seen.cut and plugs) or (hurts and broken))


def in_doubt(seen: Symptoms, named: Sequence[str], vain: Collection[str]) -> Symptoms:
    """What of a look counts for a guest whose checks do not say (yet) that it is down: of services
    at their end only those that the files ask for (`named`, by names or patterns), and nothing that
    was mended in `vain`. Others may have been so for ever, and nobody needs them.
    """
    dead = (one for one in seen.dead if any(fnmatch(one, each) for each in named))
    return replace(
        seen,
        dead=tuple(one for one in dead if one not in vain),
        frozen=tuple(one for one in seen.frozen if one not in vain),
        idle=tuple(one for one in seen.idle if one not in vain),
    )


def taken_away(cards: Sequence[str]) -> Leave:
    """What somebody took away is theirs to give back."""
    why = f"its network card {_listed(cards)} was taken away from it, and not by Phoenix"
    return Leave("held", TAKEN, f"{why}: it stays so; `phoenix apply` puts it back")


def _wants_room(seen: Symptoms) -> bool:
    """Whether a disk is full of what may go. Others are only told of."""
    return not _ROOMY.isdisjoint(seen.full)


def evident(
    policy: HealPolicy,
    course: Course,
    seen: Symptoms,
    now: float,
    *,
    hurts: bool,
    plugs: bool = False,
) -> Decision:
    """What is next for a guest of which `is_plain` says that something is wrong. It is never
    restarted for that: so much needs a check that has failed twice.
    """
    if not hurts:
        seen = Symptoms(full=seen.full, cut=seen.cut)
    found: Decision | None = None
    if "service" in policy.steps:
        found = _plain(course, seen, _full(seen), plugs=plugs)
    if found is None:
        found = Wait(now, "its policy allows nothing for it")
    return _bounded(policy, course, found, now) if isinstance(found, Do) else found


def _bounded(policy: HealPolicy, course: Course, found: Do, now: float) -> Decision:
    """Not too often, and not without end."""
    if course.again >= policy.flaps:
        why = f"it went down again {course.again} times, each soon after healing had helped"
        return Leave("gave-up", "flaps", f"{why}: {found.why}")
    recent = course.in_last_hour(now)
    if len(recent) >= policy.per_hour:
        until = min(recent) + HOUR_S
        clock = time.strftime("%H:%M:%S", time.localtime(until))
        why = f"{len(recent)} steps in an hour are as many as `per_hour` allows: until {clock}"
        return Leave("held", "often", f"{why} nothing is done; {found.why}", until)
    if now < course.next_at:
        return Wait(course.next_at, found.why)
    return found


def _wanted(policy: HealPolicy, course: Course, case: Case, now: float) -> Decision:
    if case.state == "absent":
        return _absent(policy, course, now)
    if case.state == "stopped":
        return _stopped(policy, course, case, now)
    if case.state == "unknown" or case.symptoms is None:
        return Wait(now, "nothing is known of it")
    return _running(policy, course, case, case.symptoms, now)


def _absent(policy: HealPolicy, course: Course, now: float) -> Decision:
    if course.ours == "recreate":
        why = "it is not there since making it anew broke off"
        return _first(policy, course, now, "recreate", why, ends=True)
    why = "it is not there: somebody deleted it; `phoenix apply` makes it"
    return Leave("held", "deleted", why)


def _stopped(policy: HealPolicy, course: Course, case: Case, now: float) -> Decision:
    if case.paused:
        why = f"{case.who or 'somebody'} paused it: it stays so until somebody lets it go on"
        return Leave("held", "paused", f"{why}, as `phoenix apply` does")
    later = case.ended_at is not None and case.ended_at > course.over + _OURS_S
    if course.ours is not None and not (case.ended == "somebody" and later):
        why = f"a step of healing ({course.ours}) stopped it"
        if "start" not in course.tried:  # the rest of that step, which may need no other rung
            return Do("start", why)
        return _first(policy, course, now, "start", why)
    if case.ended == "somebody":
        why = f"{case.who} stopped it: it stays so until somebody starts it"
        return Leave("held", "stopped", why)
    if case.ended == "hidden":
        return Leave("held", "hidden", f"who stopped it can't be told: {case.hidden}")
    if case.ended == "unseen":
        why = "it was stopped when nobody watched, perhaps on purpose"
        return Leave("held", "unseen", f"{why}; `phoenix apply` starts it")
    return _first(policy, course, now, "start", "it stopped by itself: nobody asked for it")


def _running(
    policy: HealPolicy, course: Course, case: Case, seen: Symptoms, now: float
) -> Decision:
    since = course.down_since if course.down_since is not None else now
    began = max(since, case.runs_since or 0.0, case.waited_at)
    if seen.silent:
        why = f"nothing can be asked inside: {seen.silent}"
        return _patient(policy, course, case, why, not_before=since + policy.settle_s, now=now)
    if seen.changing and now < began + max(case.patience_s, _BOOT_S):
        return Wait(now + 1, f"it is {seen.changing}")
    if seen.upgrading and now >= began + _UPGRADE_S:
        seen = replace(seen, upgrading=False)
    full = _full(seen)
    may_service = "service" in policy.steps and "service" not in course.tried
    if may_service and (plain := _plain(course, seen, full, plugs=case.plugs)) is not None:
        return plain
    if seen.cut:
        if now < began + 1:
            return Wait(began + 1, _cut(seen))
        return _first(policy, course, now, "restart", _cut(seen), ends=True, cards=seen.cut)
    if seen.taken:
        return taken_away(seen.taken)
    if seen.upgrading:
        return Wait(now + 1, "its packages are being upgraded")
    return _unwell(policy, course, case, seen, began=began, now=now)


def _unwell(
    policy: HealPolicy, course: Course, case: Case, seen: Symptoms, *, began: float, now: float
) -> Decision:
    """Nothing is plainly wrong, but for its checks."""
    full = _full(seen)
    may_service = "service" in policy.steps and "service" not in course.tried
    if seen.young and now < began + case.patience_s:
        why = f"{_listed(seen.young)} has just begun: it is given time{_said(seen, seen.young)}"
        return Wait(min(began + case.patience_s, now + 1), why)
    if may_service and (hung := _hung(case, seen)):
        how = "runs, but does not answer"
        if set(hung) <= {unit for unit, _ in seen.said}:  # systemd begins it again and again
            how = "does not come up"
        why = f"{_listed(hung)} {how}{full}{_said(seen, hung)}"
        if case.waits_for:
            return _waits(case, why, now)
        if now < began + case.patience_s:
            return Wait(min(began + case.patience_s, now + 1), why)
        return Do("service", why, units=hung)
    why = f"its checks fail{full}{_said(seen, (*seen.dead, *seen.young))}"
    return _patient(policy, course, case, why, not_before=began + case.patience_s, now=now)


def _plain(course: Course, seen: Symptoms, full: str, *, plugs: bool) -> Do | None:
    """What is plainly wrong with its services, and is mended at once."""
    if _wants_room(seen) and "room" not in course.tried:
        return Do("room", f"its disk takes nothing more ({_listed(seen.full)})")
    if seen.frozen:
        why = f"a signal stopped processes of {_listed(seen.frozen)}{full}"
        return Do("service", why, units=seen.frozen, wakes=True)
    if seen.cut and plugs and "plug" not in course.tried:
        why = f"its network card {_listed(seen.cut)} is away or leads nowhere"
        return Do("plug", why, cards=seen.cut)
    if seen.idle and not seen.cut:
        why = f"its network card {_listed(seen.idle)} is off or has no address"
        return Do("service", why, cards=seen.idle)
    if seen.dead and not seen.upgrading:
        why = f"{_listed(seen.dead)} does not run{full}{_said(seen, seen.dead)}"
        return Do("service", why, units=seen.dead)
    return None


def _full(seen: Symptoms) -> str:
    return f" (its disk takes nothing more: {_listed(seen.full)})" if seen.full else ""


def _said(seen: Symptoms, units: Sequence[str]) -> str:
    told = [f"{unit} said: {text}" for unit, text in seen.said if unit in units]
    return f"; {'; '.join(told)}" if told else ""


def _cut(seen: Symptoms) -> str:
    return f"its network card {_listed(seen.cut)} is away or leads nowhere: a restart makes it"


def _hung(case: Case, seen: Symptoms) -> tuple[str, ...]:
    """Units that run: those that the failing checks are about, else all."""
    running = (*seen.serving, *seen.young)
    named = (one for one in running if any(fnmatch(one, each) for each in case.suspects))
    return tuple(named) or running


def _patient(
    policy: HealPolicy, course: Course, case: Case, why: str, *, not_before: float, now: float
) -> Decision:
    """The guest itself, once it had its time, and once what it depends on is up."""
    if case.waits_for:
        return _waits(case, why, now)
    if now < not_before:
        return Wait(min(not_before, now + 1), why)
    return _first(policy, course, now, "restart", why)


def _waits(case: Case, why: str, now: float) -> Wait:
    return Wait(now + 1, f"{why}; it depends on {_listed(case.waits_for)}, which is down")


def _first(
    policy: HealPolicy,
    course: Course,
    now: float,
    step: Step,
    why: str,
    *,
    ends: bool = False,
    cards: tuple[str, ...] = (),
) -> Decision:
    """The first of this step and the rungs above it that may be done and was not yet. `ends`: it
    ends what broke off, or mends `cards`; nothing above it would do that.
    """
    above: list[Step] = [step]
    tried = {rung(one) for one in course.tried}
    if not ends:
        above += [one for one in policy.steps if one in LOSING]
        tried |= course.lost
    for one in above:
        allowed = rung(one) in policy.steps and rung(one) not in tried
        if allowed:
            return Do(one, why, cards=cards)
    if not any(rung(one) in policy.steps for one in above):
        return Leave("held", "allowed", f"{why}; `heal` of the files does not allow more")
    if course.rounds + 1 >= _ROUNDS:
        why = f"all steps were tried {course.rounds + 1} times: {why}"
        return Leave("gave-up", "rounds", why)
    course.begins_anew(now, policy)
    return Wait(course.next_at, why)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
