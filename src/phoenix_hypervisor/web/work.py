"""What can be done from the dashboard: the same functions as the commands', as jobs."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from phoenix_hypervisor.app import chatting, restarting, told, undo, waiting
from phoenix_hypervisor.app.past import Past
from phoenix_hypervisor.app.refusing import allowed, refuse
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Impact
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.event import Event, EventKind, Report
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.options import Options
from phoenix_hypervisor.web.asking import checks_of
from phoenix_hypervisor.web.desk import Desk
from phoenix_hypervisor.web.jobs import Job, Told, Work

PARALLEL = 4
_HEALING = Address("healing")
"""Stands where events name whom they are about."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with what it was asked for; `warnings` are those of the files."""

    plan: Plan
    options: Options
    warnings: Sequence[str] = ()

    @property
    def destroyed(self) -> list[Address]:
        """Guests that would lose data: each has to be named."""
        return [one.address for one in self.plan.changes if one.impact is Impact.DESTRUCTIVE]

    def about(self, named: Sequence[str]) -> str:
        """What applying it does, for the audit log; `named` are guests that may lose data."""
        counts = [f"{n} to {action}" for action, n in self.plan.summary.items()]
        return ", ".join([*counts, *(f"may lose data: {one}" for one in named)])

    def as_json(self) -> dict[str, Any]:
        """The document of `phoenix --json plan`."""
        return told.plan(self.plan, self.options)


async def plan(
    desk: Desk, targets: Sequence[str] = (), reconfigure: Sequence[str] = (), *, prune: bool = False
) -> Planned:
    """What would change. Raises `PhoenixError`."""
    async with desk.session() as session:
        options = await session.options(targets, reconfigure, prune=prune)
        found, _ = await session.plan(options)
        plan = await asyncio.to_thread(Past(session).estimated, found)
        return Planned(plan, options, _warnings(session))


def apply(desk: Desk, planned: Planned, allow: Sequence[str], parallel: int = PARALLEL) -> Work:
    """Applies exactly this plan, if the world is still as it was."""

    async def work(job: Job) -> Told:
        async with desk.session() as session, _held(session, job, desk):
            found, observed = await session.renew(planned.plan, planned.options)
            may = allowed(session, found, planned.options, list(allow))
            if not found.refusals and set(Planned(found, planned.options).destroyed) - may:
                raise PhoenixError(
                    "this plan destroys data of guests that were not named: nothing was changed",
                    hint="tick each of them on the page; in the API name them in allow_destructive",
                )
            refuse(found, may)
            report, notes = await _carry_out(
                desk, session, job, found, observed, options=planned.options, parallel=parallel
            )
            return report.as_json() | {"notes": notes}

    return work


def snapshot(desk: Desk, guest: Address, name: str | None) -> Work:
    """Takes a snapshot of a guest."""

    async def work(job: Job) -> Told:
        async with desk.session() as session, _held(session, job, desk):
            found, observed = await undo.plan_take(session, [guest], name)
            refuse(found, frozenset())
            report, notes = await _carry_out(desk, session, job, found, observed, verify=False)
            return report.as_json() | {"notes": notes}

    return work


def restart(desk: Desk, guest: Address) -> Work:
    """Restarts a guest and waits for its checks; broken off, it is started all the same."""

    async def work(job: Job) -> Told:
        async with desk.session() as session, _held(session, job, desk):
            found, observed = await restarting.plan(session, guest)
            refuse(found, frozenset())
            report, notes = await _carry_out(desk, session, job, found, observed, verify=False)
            if await restarting.brought_back(session, guest, report):
                notes.append(f"{guest} had been stopped, and was started again")
            return report.as_json() | {"notes": notes}

    return work


def check(desk: Desk, guests: Sequence[str]) -> Work:
    """Asks the checks now; the result is the document of `phoenix --json check`."""

    async def work(_: Job) -> Told:
        async with desk.session() as session:
            found = await session.health(session.resolve(guests))
            real = session.driver.has_inside
            desk.asking.heard(found, checks_of(session))
        desk.forget()
        failed = any(one.healthy is False for one in found)
        return told.health(found, real=real) | {"ok": not failed}

    return work


def chat(desk: Desk, guest: str, model: str | None, question: str, most_tokens: int) -> Work:
    """Asks a model through its route. Each event brings a piece; the result is the whole answer."""

    async def work(job: Job) -> Told:
        began, text, first_s = time.monotonic(), "", None
        messages: list[chatting.Message] = [{"role": "user", "content": question}]
        async with desk.session(kept=True) as session:
            pieces = chatting.talk(session, guest, model, messages, most_tokens=most_tokens)
            async for piece in pieces:
                elapsed_s = round(time.monotonic() - began, 3)
                first_s = elapsed_s if first_s is None else first_s
                text += piece
                job.tell({"event": "progress", "elapsed_s": elapsed_s, "message": desk.hide(piece)})
        whole_s = round(time.monotonic() - began, 3)
        return {"ok": True, "answer": desk.hide(text), "first_s": first_s, "whole_s": whole_s}

    return work


@asynccontextmanager
async def _held(session: Session, job: Job, desk: Desk) -> AsyncIterator[None]:
    """The stack is this job's within; a step of healing is waited for, and told. Raises
    `StackBusy`.
    """
    began, waits = time.monotonic(), False

    def tell(kind: EventKind, message: str) -> None:
        elapsed_s = time.monotonic() - began
        job.tell(Event(kind, _HEALING, "wait", "wait", elapsed_s, message).as_json())

    def wait(message: str) -> None:
        nonlocal waits
        waits = True
        tell("progress", desk.hide(message))

    async with waiting.hold(session, f"the dashboard: {job.kind}", wait):
        if waits:
            tell("finished", "")
        yield


async def _carry_out(
    desk: Desk,
    session: Session,
    job: Job,
    plan: Plan,
    observed: Observed,
    *,
    options: Options | None = None,
    parallel: int = PARALLEL,
    verify: bool = True,
) -> tuple[Report, list[str]]:
    """Applies a plan, and writes it into the history. The notes are what commands tell as well."""
    options = options or Options()
    notes = [f"{one.told} was broken off" for one in session.broken_off]
    past = Past(session)
    plan = past.estimated(plan, parallel)
    forecast = past.forecast(plan, parallel)

    def emit(event: Event) -> None:
        forecast.take(event)
        left_s = round(forecast.left_s(event.elapsed_s), 1)
        job.tell(event.as_json() | {"left_s": left_s})

    try:
        report = await past.apply(
            f"dashboard: {job.kind} by {job.caller.who}",
            plan,
            observed,
            emit,
            parallel=parallel,
            reconfigure=options.reconfigure,
            then_verify=(options.targets or None) if verify else frozenset(),
        )
    finally:
        desk.forget()
    if past.trouble:
        notes.append(f"no history is kept: {past.trouble}")
    if verify and report.ok and session.driver.has_inside:
        doors = session.doors(options.targets)
        notes += [f"open {url} ({address})" for address, url in doors.items()]
    return report, [desk.hide(one) for one in notes]


def _warnings(session: Session) -> list[str]:
    return [f"{one.file}:{one.line}: {one.message}" for one in session.warnings]
