"""Replicas are changed one after the other, so that one of them always serves.

Those that don't run now come first, all at once: new and stopped ones. Then comes one at a time,
those first that an earlier run left half done, each only when the one before it passed its checks;
where one fails, the rest stays as it is. A replica that a proxy leads to is taken out of it before,
and back in at the end. Until then it bears no fingerprint, so that a run that broke off is finished
by the next one. One without a fingerprint may be in its proxies all the same: it is taken out, too.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Step
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.observed import SeenGuest
from phoenix_hypervisor.model.replicas import group
from phoenix_hypervisor.plan.decision import Decision
from phoenix_hypervisor.plan.options import Options

_DISTURBING = frozenset({"stop", "configure", "delete"})

Steps = Mapping[Address, tuple[Step, ...]]
Proxies = Mapping[Address, tuple[Address, ...]]
"""As those of `Options`."""


def in_turn(
    decision: Decision, guest: Guest, seen: SeenGuest | None, desired: Desired, options: Options
) -> Decision:
    """The decision, with what is special about a replica."""
    if guest.replica is None or decision.action is None or len(group(guest, desired)) == 1:
        return decision
    wanted = options.fingerprints.get(guest.address)
    running = seen is not None and seen.complete and seen.state == "running"
    done = wanted is None or (seen is not None and seen.fingerprint is not None)
    steps = decision.steps
    if guest.runs and wanted is not None and options.proxies.get(guest.address):
        if running and _DISTURBING & set(steps):
            steps = ("drain", *steps, "undrain")
        elif "configure" in steps:
            steps = (*steps, "undrain")
    return replace(decision, steps=steps, turn=int(done) if running else None)


def ordered(steps: Steps, decisions: Mapping[Address, Decision], desired: Desired) -> Steps:
    """The steps with the edges between replicas."""
    by_group: dict[Address, list[Guest]] = defaultdict(list)
    for address in steps:
        guest = desired.guests.get(address)
        if guest is not None and guest.replica is not None and steps[address]:
            by_group[guest.replica.group].append(guest)
    found = dict(steps)
    for replicas in by_group.values():
        for address, after in _edges(replicas, steps, decisions):
            first, *rest = found[address]
            first = replace(first, after=(*first.after, *after))
            found[address] = (first, *rest)
    return found


def _edges(
    replicas: list[Guest], steps: Steps, decisions: Mapping[Address, Decision]
) -> Iterator[tuple[Address, list[str]]]:
    """What the first step of each replica waits for beside its own."""
    turns = sorted(
        (one for one in replicas if decisions[one.address].turn is not None),
        key=lambda one: (decisions[one.address].turn, one.replica.number if one.replica else 0),
    )
    before = [steps[one.address][-1].id for one in replicas if one not in turns]
    if turns and before:
        yield turns[0].address, before
    for one, following in pairwise(turns):
        yield following.address, [steps[one.address][-1].id]


def around_proxies(
    steps: Steps, desired: Desired, proxies: Proxies
) -> dict[Address, tuple[Step, ...]]:
    """The steps with the edges between proxies and those that they lead to."""
    return _before_their_proxies(_after_their_proxies(steps, desired, proxies), proxies)


def _after_their_proxies(steps: Steps, desired: Desired, proxies: Proxies) -> Steps:
    """Guests that left the files go when no proxy leads requests to them any more."""
    told = {proxy for some in proxies.values() for proxy in some}
    configured = tuple(
        step.id
        for proxy in sorted(told)
        for step in steps.get(proxy, ())
        if step.name == "configure"
    )
    found = dict(steps)
    for address, own in steps.items():
        gone = addresses.is_guest(address) and address not in desired.guests
        if gone and [step.name for step in own] == ["delete"]:
            found[address] = (replace(own[0], after=(*own[0].after, *configured)),)
    return found


def _before_their_proxies(steps: Steps, proxies: Proxies) -> dict[Address, tuple[Step, ...]]:
    """A proxy that has to stop waits until its replicas are back in it, if it can."""
    found = dict(steps)
    for replica, some in proxies.items():
        own = found.get(replica, ())
        if not own or own[-1].name != "undrain":
            continue
        for proxy in some:
            theirs = found.get(proxy, ())
            stops = any(step.name == "stop" for step in theirs)
            if stops and not _waits(own, {step.id for step in theirs}, found):
                first, *rest = theirs
                found[proxy] = (replace(first, after=(*first.after, own[-1].id)), *rest)
    return found


def _waits(steps: tuple[Step, ...], others: set[str], every: Steps) -> bool:
    """Whether any of the steps comes after one of the others."""
    by_id = {step.id: step for own in every.values() for step in own}
    todo = [step.id for step in steps]
    seen: set[str] = set()
    while todo:
        ident = todo.pop()
        if ident in others:
            return True
        if ident in by_id and ident not in seen:
            seen.add(ident)
            todo += by_id[ident].after
    return False
