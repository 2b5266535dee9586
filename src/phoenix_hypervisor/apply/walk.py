"""The concurrent walk: every step starts as soon as all steps before it have succeeded."""

import asyncio
import time
from collections import defaultdict
from contextlib import AsyncExitStack

from phoenix_hypervisor.apply.means import Means
from phoenix_hypervisor.apply.perform import perform
from phoenix_hypervisor.model.change import Change, Step
from phoenix_hypervisor.model.desired import CloneOf
from phoenix_hypervisor.model.event import Emit, Event, EventKind, Failure, Report
from phoenix_hypervisor.model.plan import Plan


class Walk:
    """One run over one plan's graph."""

    def __init__(self, plan: Plan, means: Means, emit: Emit) -> None:
        self._plan = plan
        self._means = means
        self._emit = emit
        self._begin = time.monotonic()
        parallel = max(1, min(means.parallel, means.driver.limits.parallel))
        self._slots = asyncio.Semaphore(parallel)
        clones = means.driver.limits.clones_per_source
        self._sources = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(clones))
        self._change_of = {s.id: change for change in plan.changes for s in change.steps}
        self._done: dict[str, asyncio.Future[bool]] = {}
        self._running: dict[str, Step] = {}
        self._failures: list[Failure] = []
        self._half_done: list[str] = []
        self._skipped = False

    async def run(self) -> Report:
        """Walks to the end. Cancelled, it stops the running steps and reports them."""
        loop = asyncio.get_running_loop()
        steps = [step for change in self._plan.changes for step in change.steps]
        self._done = {step.id: loop.create_future() for step in steps}
        interrupted = False
        tasks = [asyncio.create_task(self._step(step), name=step.id) for step in steps]
        try:
            await asyncio.gather(*tasks)
        except asyncio.CancelledError:
            interrupted = True
            self._half_done = [self._describe(step) for step in self._running.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return Report(
            ok=not self._failures and not self._skipped and not interrupted,
            summary=self._plan.summary,
            failed=tuple(self._failures),
            elapsed_s=time.monotonic() - self._begin,
            half_done=tuple(self._half_done),
            interrupted=interrupted,
        )

    async def _step(self, step: Step) -> None:
        before = [self._done[one] for one in step.after if one in self._done]
        succeeded = all(await asyncio.gather(*before))
        if succeeded:
            succeeded = await self._perform(step)
        else:
            self._skipped = True
            reason = "something that it waits for failed"
            self._tell("skipped", step, reason)
        self._done[step.id].set_result(succeeded)

    async def _perform(self, step: Step) -> bool:
        change = self._change_of[step.id]
        async with AsyncExitStack() as held:
            if step.name == "create" and (source := self._source(change)):
                await held.enter_async_context(self._sources[source])
            if step.name != "check":  # a check only waits: it must not keep others from working
                await held.enter_async_context(self._slots)
            self._running[step.id] = step
            self._tell("started", step)
            failure = await perform(
                step,
                change,
                self._means,
                lambda message: self._tell("progress", step, message),
                lambda message: self._tell("retry", step, message),
            )
            del self._running[step.id]
        if failure is not None:
            self._failures.append(failure)
            self._tell("failed", step, failure.message)
            return False
        self._tell("finished", step)
        return True

    def _source(self, change: Change) -> str | None:
        guest = self._means.desired.guests.get(change.address)
        return guest.source.address if guest and isinstance(guest.source, CloneOf) else None

    def _tell(self, event: EventKind, step: Step, message: str = "") -> None:
        action = self._change_of[step.id].action.value
        elapsed = time.monotonic() - self._begin
        self._emit(Event(event, step.address, action, step.name, elapsed, message))

    def _describe(self, step: Step) -> str:
        return f"{step.address}: {step.name} had begun; the next apply finishes it"
