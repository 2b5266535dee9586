"""What each step of a plan does: one function for a name, called with the means and its change."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from phoenix_hypervisor.apply.means import Means
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.change import Action, Change, FieldChange
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import CheckFailed, NotFound

Handler = Callable[[Means, Change, Tell], Awaitable[None]]


async def _ensure(means: Means, change: Change, tell: Tell) -> None:
    desired = means.desired
    pool = desired.pools.get(change.address)
    resource = pool if pool is not None else desired.bridges[change.address]
    await means.driver.ensure(resource, desired.stack, tell)


async def _create(means: Means, change: Change, tell: Tell) -> None:
    await means.driver.create(_guest(means, change), means.desired, tell)


async def _update(means: Means, change: Change, tell: Tell) -> None:
    seen = means.observed.guests[change.address]
    await means.driver.update(_guest(means, change), seen, change.fields, tell)


async def _adopt(means: Means, change: Change, tell: Tell) -> None:
    await means.driver.adopt(_guest(means, change), tell)


async def _record(means: Means, change: Change, tell: Tell) -> None:
    tell("taking its inside as being as the files say")
    await means.driver.mark(change.address, means.fingerprints.get(change.address))


async def _start(means: Means, change: Change, tell: Tell) -> None:
    await means.driver.start(_guest(means, change), tell)


async def _stop(means: Means, change: Change, tell: Tell) -> None:
    await means.driver.stop(change.address, tell)


async def _delete(means: Means, change: Change, tell: Tell) -> None:
    if addresses.is_guest(change.address):
        remade = change.action is Action.REPLACE
        await means.driver.delete(change.address, tell, keep_volumes=remade)
    else:
        await means.driver.remove(change.address)


async def _snapshot(means: Means, change: Change, tell: Tell) -> None:
    if change.action is Action.SNAPSHOT:  # by hand: a stand-in would be no way back
        name = _field(change, "snapshot").after
        await means.driver.snapshot(change.address, str(name), tell, stand_in=False)
        return
    guest = _guest(means, change)
    await means.driver.snapshot(change.address, guest.snapshot_name or "phoenix", tell)


async def _delete_snapshot(means: Means, change: Change, tell: Tell) -> None:
    await means.driver.delete_snapshot(change.address, str(_field(change, "snapshot").before), tell)


async def _rollback(means: Means, change: Change, tell: Tell) -> None:
    for field in change.fields:
        if field.path.startswith("snapshots."):
            with suppress(NotFound):  # gone at the try before this one
                await means.driver.delete_snapshot(change.address, str(field.before), tell)
    await means.driver.rollback(change.address, str(_field(change, "snapshot").after), tell)
    if "undrain" in _names(change):  # the mark came back, but it may still be out
        await means.driver.mark(change.address, None)


async def _configure(means: Means, change: Change, tell: Tell) -> None:
    # Unmarked first: whatever happens from here on, the next plan knows that it isn't finished.
    await means.driver.mark(change.address, None)
    fingerprint = await means.configure(_guest(means, change), tell)
    if "undrain" not in _names(change):
        await means.driver.mark(change.address, fingerprint)


async def _drain(means: Means, change: Change, tell: Tell) -> None:
    assert means.drains is not None  # noqa: S101 - only plans with replicas have such steps
    # As long as it is out, the next plan knows that it has to come back.
    await means.driver.mark(change.address, None)
    try:
        await means.drains.drain(_guest(means, change), tell)
    except CheckFailed:  # the others don't serve: it is left as it was
        before = means.observed.guests[change.address].fingerprint
        await means.driver.mark(change.address, before)
        raise


async def _undrain(means: Means, change: Change, tell: Tell) -> None:
    assert means.drains is not None  # noqa: S101 - as above
    await means.drains.undrain(_guest(means, change), tell)
    fingerprint = means.fingerprints.get(change.address)
    if change.action is Action.ROLLBACK:  # it is as it was then, not as the files say
        name = _field(change, "snapshot").after
        there = await means.driver.snapshots(change.address)
        fingerprint = next((one.fingerprint for one in there if one.name == name), None)
    await means.driver.mark(change.address, fingerprint)


async def _check(means: Means, change: Change, tell: Tell) -> None:
    await means.check(_guest(means, change), tell)


async def _make(means: Means, change: Change, tell: Tell) -> None:
    assert means.make is not None  # noqa: S101 - only plans of the host have such steps
    await means.make(change, tell)


HANDLERS: dict[str, Handler] = {
    "ensure": _ensure,
    "create": _create,
    "update": _update,
    "adopt": _adopt,
    "record": _record,
    "start": _start,
    "stop": _stop,
    "delete": _delete,
    "snapshot": _snapshot,
    "delete_snapshot": _delete_snapshot,
    "rollback": _rollback,
    "configure": _configure,
    "check": _check,
    "make": _make,
    "drain": _drain,
    "undrain": _undrain,
}

LIMITS_S: dict[str, float] = {
    "ensure": 300,
    "create": 3600,
    "update": 3600,
    "adopt": 60,
    "record": 60,
    "start": 300,
    "stop": 180,
    "delete": 600,
    "snapshot": 900,
    "delete_snapshot": 900,
    "rollback": 3600,
    "configure": 11400,  # the configurator's own three hours end first
    "check": 7200,
    "make": 11400,
    "drain": 1200,  # ten minutes for requests, and before that checks of the others
    "undrain": 300,
}
"""How long a step may take at most, in seconds; nothing hangs for ever."""


def _guest(means: Means, change: Change) -> Guest:
    return means.desired.guests[change.address]


def _names(change: Change) -> set[str]:
    return {step.name for step in change.steps}


def _field(change: Change, path: str) -> FieldChange:
    return next(field for field in change.fields if field.path == path)
