"""What differs from the files: as the target shows it and, if asked, inside of the guests."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from phoenix_hypervisor import features
from phoenix_hypervisor.app.past import target
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.configure import fingerprint
from phoenix_hypervisor.configure.runner import Configurator
from phoenix_hypervisor.history import reading
from phoenix_hypervisor.history.reading import PastRun
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.drift import GuestDrift
from phoenix_hypervisor.model.errors import PhoenixError, Unreachable
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.plan import Plan

_LIMIT_S = 300.0
_AT_ONCE = 8
_MOST_RUNS = 200

Tell = Callable[[Address, str], None]
"""Takes an address and a short text on what is asked there now."""


@dataclass(frozen=True, slots=True)
class Drift:
    """All that differs. `guests` are those whose inside was to be asked, in the files' order.

    `runs` are the last runs here on this stack that the history knows, the newest first.
    """

    plan: Plan
    observed: Observed
    guests: tuple[GuestDrift, ...] = ()
    runs: tuple[PastRun, ...] = ()

    @property
    def drifted(self) -> bool:
        """Whether anything differs, as far as it can be known."""
        return bool(self.plan.changes or self.plan.kept) or any(g.drifted for g in self.guests)

    @property
    def failed(self) -> bool:
        """Whether the files can't be compared, or a running guest could not be asked."""
        return bool(self.plan.refusals) or any(guest.failed for guest in self.guests)


async def look(session: Session, words: Sequence[str], *, deep: bool, tell: Tell) -> Drift:
    """Looks at the target and, if `deep`, asks these guests (none: all); changes nothing.

    Raises `UsageError` for a word that names no guest of the files.
    """
    options = await session.options(words, (), prune=False)
    if not deep:
        plan, observed = await session.plan(options)
        return Drift(plan, observed, runs=_runs(session))
    configurator = session.configurator(_LIMIT_S)
    async with configurator:
        warming = asyncio.create_task(_warm(session, configurator))
        plan, observed = await session.plan(options)
        await warming
        wanted = session.resolve(words) if words else frozenset(session.desired.guests)
        turn = asyncio.Semaphore(min(_AT_ONCE, session.driver.limits.parallel))

        async def ask(guest: Guest) -> GuestDrift:
            async with turn:
                return await _ask(session, configurator, guest, observed, tell)

        chosen = [guest for guest in session.desired.guests.values() if guest.address in wanted]
        found = await asyncio.gather(*(ask(guest) for guest in chosen))
    return Drift(plan, observed, tuple(found), _runs(session))


def _runs(session: Session) -> tuple[PastRun, ...]:
    """None, where the history can't be read: it only helps to tell why something differs."""
    try:
        known = reading.runs(session.desired.folder, _MOST_RUNS)
    except PhoenixError:
        return ()
    here = (session.desired.stack, target(session))
    return tuple(
        run for run in known if (run.stack, run.target) == here and run.result != "running"
    )


async def _warm(session: Session, configurator: Configurator) -> None:
    if session.driver.has_inside:
        await configurator.warm()


async def _ask(
    session: Session, configurator: Configurator, guest: Guest, observed: Observed, tell: Tell
) -> GuestDrift:
    hindrance = _hindrance(session, guest, observed)
    if hindrance:
        return GuestDrift(guest.address, guest.name, unasked=hindrance)
    parts = fingerprint.fingerprints(
        guest,
        session.desired,
        features.available(),
        session.desired.folder,
        session.secrets.digest,
    )
    try:
        way_in = await session.driver.way_in(guest.address)
    except PhoenixError as error:
        return _unasked(session, guest, error)
    try:
        found = await configurator.examine(
            guest, session.desired, way_in, parts, lambda words: tell(guest.address, words)
        )
    except Unreachable as error:
        return _unasked(session, guest, error)
    except PhoenixError as error:
        return replace(_unasked(session, guest, error), broken=True)
    # The worker hid the guest's own secrets; a file by hand may hold those of others.
    return found.without(session.secrets.redactor)


def _unasked(session: Session, guest: Guest, error: PhoenixError) -> GuestDrift:
    why = ": ".join(part for part in (error.message, error.hint) if part)
    return GuestDrift(guest.address, guest.name, unasked=session.secrets.redactor(why))


def _hindrance(session: Session, guest: Guest, observed: Observed) -> str:
    """Why a guest can't be asked; empty where it can."""
    seen = observed.guests.get(guest.address)
    if seen is None:
        hidden = observed.unknown.get(guest.address)
        return f"it can't be seen: {hidden}" if hidden else "it is not there"
    if seen.stack != session.desired.stack:
        return "it was not made by this stack: it is left alone"
    if not seen.complete:
        return "its creation broke off"
    if not (guest.features or guest.script):
        return "the files say nothing of its inside"
    if not session.driver.has_inside:
        return "simulated: there is no inside"
    if seen.state == "stopped" and not guest.runs:
        return "it is a template, which rests: only a running guest can be asked"
    if seen.state != "running":
        return f"it is {seen.state}: only a running guest can be asked"
    return ""
