"""Wires the stages: the whole pipeline, from the folder's files to the report.

    load -> observe -> plan -> apply (create, start, configure, check) -> verify -> report

Stages get drivers, features and checks from here as arguments; none of them knows another.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from phoenix_hypervisor import features, observe
from phoenix_hypervisor.app import draining, gpus, hiding, leftovers, live_driver, naming, vanished
from phoenix_hypervisor.app.draining import Draining
from phoenix_hypervisor.app.health import Health, unasked
from phoenix_hypervisor.app.naming import Named, pick
from phoenix_hypervisor.apply.means import Make, Means
from phoenix_hypervisor.apply.walk import Walk
from phoenix_hypervisor.config.secrets import Secrets
from phoenix_hypervisor.configure import fingerprint
from phoenix_hypervisor.configure.plain import secrets_in
from phoenix_hypervisor.configure.runner import Configurator
from phoenix_hypervisor.history import origin
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.driver import BrokenOff, Driver, Held, Run, Tell
from phoenix_hypervisor.model.errors import (
    PhoenixError,
    SecretMissing,
    SecretsUnreadable,
    UsageError,
)
from phoenix_hypervisor.model.event import Emit, Event, EventKind, Failure, Report
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.model.problem import Problem
from phoenix_hypervisor.model.redact import Redactor
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.plan import adopt as adopting
from phoenix_hypervisor.plan import make as planning
from phoenix_hypervisor.plan.as_json import refuse_if_edited, refuse_if_moved
from phoenix_hypervisor.plan.ledger import Ledger
from phoenix_hypervisor.plan.options import Options
from phoenix_hypervisor.verify import run as verify
from phoenix_hypervisor.verify.place import GuestPlace

_CONFIGURE_LIMIT_S = 3 * 3600.0  # more than the longest `start_s`, after a large download


@dataclass(slots=True)
class Session:
    """One folder on one target, open for work."""

    desired: Desired
    driver: Driver
    secrets: Secrets
    warnings: tuple[Problem, ...]
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    held: Held = field(default_factory=Held)
    make: Make | None = None
    """What does changes of the host itself, where a plan has such."""

    @property
    def broken_off(self) -> Sequence[BrokenOff]:
        """Runs that held the stack before and were killed; known once it is held."""
        return self.held.broken_off

    async def plan(self, options: Options) -> tuple[Plan, Observed]:
        """What would change, and the look that it was made from."""
        self._known(options.targets | options.reconfigure, options)
        options = replace(
            options,
            fingerprints=self._fingerprints(),
            claims=gpus.claims(self.desired),
            proxies=draining.known(self.desired),
        )
        observed = await observe.observe(self.desired, self.driver)
        plan = planning.make(self.desired, observed, self.driver, options)
        plan = await live_driver.noted(plan, self.desired, self.driver)
        return vanished.noted(plan, self.desired), observed

    async def plan_destroy(self, words: Sequence[str] | None) -> tuple[Plan, Observed]:
        """What deleting these guests (None: everything of the stack) would do.

        They may also be ones that the files no longer name. Raises `UsageError`.
        """
        observed = await observe.observe(self.desired, self.driver)
        wanted = None if words is None else self._resolve_all(words, observed)
        return planning.destroy(self.desired, observed, self.driver, wanted), observed

    async def plan_adopt(self, words: Sequence[str], *, configured: bool) -> tuple[Plan, Observed]:
        """What taking these guests of the files over would do; no words: all that nobody manages.

        `configured`: their inside is taken as being as the files say. Raises `UsageError`.
        """
        observed = await observe.observe(self.desired, self.driver)
        wanted = self.resolve(words) if words else self._unmanaged(observed)
        prints = self._fingerprints()
        plan = adopting.make(
            self.desired,
            observed,
            self.driver,
            wanted,
            prints,
            configured=configured,
            proxies=draining.known(self.desired),
        )
        return plan, observed

    def _unmanaged(self, observed: Observed) -> frozenset[Address]:
        there = (observed.guests.get(address) for address in self.desired.guests)
        return frozenset(seen.address for seen in there if seen and seen.stack is None)

    async def renew(self, saved: Plan, options: Options) -> tuple[Plan, Observed]:
        """The saved plan, if the world is still as it was.

        Raises `PlanStale`; `UsageError` for a plan that was edited.
        """
        now, observed = await self.plan(options)
        refuse_if_moved(saved, now)
        refuse_if_edited(saved, now)
        return replace(saved, gpus=now.gpus), observed

    async def apply(
        self,
        plan: Plan,
        observed: Observed,
        emit: Emit,
        *,
        parallel: int = 4,
        reconfigure: frozenset[Address] = frozenset(),
        then_verify: frozenset[Address] | None = None,
    ) -> Report:
        """Applies exactly this plan. `then_verify`: guests to check afterwards (None: all).

        No secret's value is in an event, in the report or in an error.
        """
        hide = self.secrets.redactor
        emit = hiding.events(emit, hide)
        configurator = self.configurator(_CONFIGURE_LIMIT_S)
        steps = {step.name for change in plan.changes for step in change.steps}
        if "configure" in steps and self.driver.has_inside:
            await configurator.warm()
        found = await self._end_leftovers(plan, observed, emit)
        self.held.begun = True

        async def configure(guest: Guest, tell: Tell) -> str | None:
            parts = self._parts(guest)
            if not self.driver.has_inside:
                tell("simulated: there is no inside")
                return fingerprint.overall(parts) if parts else None
            way_in = await self.driver.way_in(guest.address)
            everything = guest.address in reconfigure
            done = await configurator.configure(
                guest, self.desired, way_in, parts, tell, everything=everything
            )
            found.extend(f"{guest.address}: {words}" for words in done.found)
            return fingerprint.overall(parts) if parts else None

        async with configurator:
            means = Means(
                self.desired,
                observed,
                self.driver,
                configure,
                self._wait,
                parallel,
                fingerprints=self._fingerprints() if steps & {"record", "undrain"} else {},
                make=self.make,
                drains=Draining(self.desired, self.driver, self.secrets, self.run_id, observed),
            )
            report = replace(await Walk(plan, means, emit).run(), found=tuple(found))
            report = hiding.report(report, hide)
        if not report.ok:
            return report
        try:
            report = await self._verify(plan, report, emit, then_verify)
            return hiding.report(report, hide)
        except asyncio.CancelledError:
            return replace(report, ok=False, interrupted=True)

    async def _end_leftovers(self, plan: Plan, observed: Observed, emit: Emit) -> list[str]:
        planned, begin = {change.address for change in plan.changes}, time.monotonic()

        def tell(kind: EventKind, address: Address, message: str) -> None:
            if kind != "finished" or address not in planned:  # there it isn't the last thing
                elapsed = time.monotonic() - begin
                emit(Event(kind, address, "verify", "leftovers", elapsed, message))

        return await leftovers.end(self.driver, self.desired.stack, observed, self.held, tell)

    def configurator(self, limit_s: float) -> Configurator:
        """What works inside guests, for at most so many seconds in each."""
        return Configurator(
            features=features.available(),
            secrets=self.secrets.lookup,
            folder=self.desired.folder,
            run_id=self.run_id,
            limit_s=limit_s,
        )

    async def health(self, addresses: Iterable[Address] = ()) -> list[Health]:
        """Every guest (or these, of the files) with the answers of its checks, asked now."""
        observed = await observe.observe(self.desired, self.driver)
        wanted = set(addresses)
        found = [a for a in self.desired.guests if not wanted or a in wanted]
        return list(await asyncio.gather(*(self._ask(a, observed) for a in found)))

    def gpus(self) -> Ledger:
        """Who is to have which graphics card, and how much of it."""
        return gpus.of(self.desired)

    def doors(self, among: frozenset[Address] = frozenset()) -> dict[Address, str]:
        """Where to look at the guests that nobody else depends on: the stack's front doors.

        Only those `among` these guests; empty: of the whole stack.
        """
        needed = {one for guest in self.desired.guests.values() for one in guest.dependencies}
        found: dict[Address, str] = {}
        for address, guest in self.desired.guests.items():
            asked_for = not among or address in among
            if asked_for and address not in needed and guest.runs and guest.ip:
                urls = [check.url(guest.ip) for check in guest.checks]
                if urls and urls[0]:
                    found[address] = urls[0]
        return found

    @asynccontextmanager
    async def hold(self, command: str, *, cuts: bool = False) -> AsyncIterator[Run]:
        """Keeps other applies away from the stack, and learns which were killed. `StackBusy`.

        `cuts`: as `Run` has it.
        """
        run = Run(self.run_id, origin.user(), command, cuts)
        async with self.driver.hold(self.desired.stack, run) as self.held:
            yield run

    def resolve(self, words: Sequence[str]) -> frozenset[Address]:
        """Addresses, ids or names of the files' guests. Raises `UsageError` with what is there."""
        return self._resolve_all(words, None)

    async def options(
        self, targets: Sequence[str], reconfigure: Sequence[str], *, prune: bool
    ) -> Options:
        """What a plan is asked for, in the words of a command line. Raises `UsageError`.

        Targets may also be addresses of pools and bridges and, with `prune`, guests that the
        files no longer name.
        """
        resources = {w for w in targets if w in self.desired.pools or w in self.desired.bridges}
        words = [word for word in targets if word not in resources]
        look = prune and words
        observed = await observe.observe(self.desired, self.driver) if look else None
        found = {*self._resolve_all(words, observed), *(Address(one) for one in resources)}
        return Options(targets=frozenset(found), prune=prune, reconfigure=self.resolve(reconfigure))

    def one(self, word: str) -> Address:
        """The guest of an address, an id or a name. Raises `UsageError`, also for replicas."""
        found = self.resolve([word])
        if len(found) > 1:
            listed: list[str] = sorted(found)
            raise UsageError(f"“{word}” has replicas: {', '.join(listed)}", hint="name one of them")
        return next(iter(found))

    def _resolve_all(self, words: Sequence[str], observed: Observed | None) -> frozenset[Address]:
        """The guests of these words; with `observed` also those that only the target knows."""
        ours = [(guest.address, guest.name) for guest in self.desired.guests.values()]
        others: Named = []
        for seen in observed.guests.values() if observed else ():
            mine = seen.stack == self.desired.stack
            (ours if mine else others).append((seen.address, seen.name))
        others += [(address, "") for address in (observed.unknown if observed else ())]
        groups = naming.groups(self.desired)
        return frozenset(
            address for word in words for address in groups.get(word) or (pick(word, ours, others),)
        )

    def _known(self, wanted: Iterable[Address], options: Options) -> None:
        known = {*self.desired.guests, *self.desired.pools, *self.desired.bridges}
        missing = sorted(set(wanted) - known)
        if missing and not options.prune:
            raise UsageError(
                f"{', '.join(missing)} is not in the files", hint="`phoenix status` lists them"
            )

    def _fingerprints(self) -> dict[Address, str | None]:
        found: dict[Address, str | None] = {}
        for address, guest in self.desired.guests.items():
            parts = self._parts(guest)
            found[address] = fingerprint.overall(parts) if parts else None
        return found

    def _parts(self, guest: Guest) -> dict[str, str]:
        known, folder = features.available(), self.desired.folder
        return fingerprint.fingerprints(guest, self.desired, known, folder, self._digest)

    def _digest(self, secret: Secret) -> str:
        """Where nothing real is made no value is needed: a rehearsal asks for none."""
        try:
            return self.secrets.digest(secret)
        except SecretMissing as error:
            if self.driver.has_inside or isinstance(error, SecretsUnreadable):
                raise
            return "no value yet"

    async def _wait(self, guest: Guest, tell: Tell) -> None:
        async with GuestPlace(
            self.driver, guest.address, self.secrets.lookup, ip=guest.ip, run=self.run_id
        ) as place:
            await verify.wait(guest.checks, place, tell)

    async def _ask(self, address: Address, observed: Observed) -> Health:
        guest, health = self.desired.guests[address], unasked(self.desired, observed, address)
        running = health.managed and health.state == "running"
        if not (running and guest.checks and self.driver.has_inside):
            return health
        async with GuestPlace(self.driver, address, self.secrets.lookup, ip=guest.ip) as place:
            answers = await verify.ask(guest.checks, place)
        hide = self.hiding(address)
        redacted = tuple((check, hiding.outcome(one, hide)) for check, one in answers)
        return replace(health, answers=redacted)

    def hiding(self, address: Address) -> Redactor:
        """What takes a guest's secrets out of a text, also those that stand in the files."""
        guest = self.desired.guests.get(address)
        if guest is not None:
            env = dict(guest.script.env) if guest.script else {}
            for secret in secrets_in([use.options for use in guest.features], env):
                self.secrets.redactor.add(secret.literal or "")
        return self.secrets.redactor

    async def _verify(
        self, plan: Plan, report: Report, emit: Emit, wanted: frozenset[Address] | None
    ) -> Report:
        """What no step of the plan has checked is checked now: an apply ends with the truth."""
        checked = {s.address for c in plan.changes for s in c.steps if s.name == "check"}
        todo = [
            replace(guest, checks=tuple(check.brief() for check in guest.checks))
            for guest in self.desired.guests.values()
            if guest.runs and guest.checks and self.driver.has_inside
            if guest.address not in checked and (wanted is None or guest.address in wanted)
        ]
        begin = time.monotonic() - report.elapsed_s
        async with asyncio.TaskGroup() as group:  # cancelled, it waits until each has ended
            tasks = [group.create_task(self._verify_one(one, emit, begin)) for one in todo]
        failed = tuple(failure for task in tasks if (failure := task.result()) is not None)
        elapsed = time.monotonic() - begin
        return replace(
            report,
            ok=not failed,
            failed=report.failed + failed,
            elapsed_s=elapsed,
            rooted=tuple(self.driver.rooted()),
        )

    async def _verify_one(self, guest: Guest, emit: Emit, begin: float) -> Failure | None:
        def tell(kind: EventKind, message: str = "") -> None:
            elapsed = time.monotonic() - begin
            emit(Event(kind, guest.address, "verify", "check", elapsed, message))

        tell("started")
        try:
            await self._wait(guest, lambda message: tell("progress", message))
        except PhoenixError as error:
            tell("failed", error.message)
            return Failure(guest.address, "check", error.message, error.hint, error.detail)
        tell("finished")
        return None
