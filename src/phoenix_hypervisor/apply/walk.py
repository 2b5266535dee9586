"""The concurrent walk: every step starts as soon as all steps before it have succeeded."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress

from phoenix_hypervisor.apply.means import Means
from phoenix_hypervisor.apply.perform import perform
from phoenix_hypervisor.model.change import Change, Step
from phoenix_hypervisor.model.desired import CloneOf
from phoenix_hypervisor.model.event import Emit, Event, EventKind, Failure, Report
from phoenix_hypervisor.model.plan import Plan

_BACK = "an apply brings it back"


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
        self._running: set[str] = set()
        self._failures: list[Failure] = []

    async def run(self) -> Report:
        """Walks to the end. Cancelled, it stops the running steps and reports them."""
        loop = asyncio.get_running_loop()
        steps = [step for change in self._plan.changes for step in change.steps]
        self._done = {step.id: loop.create_future() for step in steps}
        half_done: tuple[str, ...] = ()
        interrupted = False
        tasks = [asyncio.create_task(self._step(step), name=step.id) for step in steps]
        try:
            await _all(tasks)
        except asyncio.CancelledError:
            interrupted = True
            half_done = tuple(self._half_done())
            await _ended(tasks)
        except BaseException:
            await _ended(tasks)
            raise
        return Report(
            ok=all(self._succeeded(step) for step in steps) and not interrupted,
            summary=self._summary(),
            failed=tuple(self._failures),
            elapsed_s=time.monotonic() - self._begin,
            half_done=half_done,
            interrupted=interrupted,
            rooted=tuple(self._means.driver.rooted()),
            left_out=tuple(self._left_out()),
        )

    async def _step(self, step: Step) -> None:
        before = {one: self._done[one] for one in step.after if one in self._done}
        behind = [self._done[one] for one in step.behind if one in self._done]
        await asyncio.gather(*before.values(), *behind)
        missing = [one for one, done in before.items() if not done.result()]
        if missing:
            self._tell("skipped", step, f"it waits for {missing[0]}, which did not succeed")
        succeeded = not missing and await self._perform(step)
        self._done[step.id].set_result(succeeded)

    async def _perform(self, step: Step) -> bool:
        change = self._change_of[step.id]
        async with AsyncExitStack() as held:
            if step.name == "create" and (source := self._source(change)):
                await held.enter_async_context(self._sources[source])
            if step.name != "check":  # a check only waits: it must not keep others from working
                await held.enter_async_context(self._slots)
            self._running.add(step.id)
            self._tell("started", step)
            failure = await perform(
                step,
                change,
                self._means,
                lambda message: self._tell("progress", step, message),
                lambda message: self._tell("retry", step, message),
            )
            self._running.discard(step.id)
        if failure is not None:
            self._failures.append(failure)
            self._tell("failed", step, failure.message)
            return False
        self._tell("finished", step)
        return True

    def _source(self, change: Change) -> str | None:
        guest = self._means.desired.guests.get(change.address)
        return guest.source.address if guest and isinstance(guest.source, CloneOf) else None

    def _succeeded(self, step: Step) -> bool:
        done = self._done[step.id]
        return done.done() and not done.cancelled() and done.result()

    def _summary(self) -> dict[str, int]:
        """How many changes of each action were carried out completely."""
        whole = (c for c in self._plan.changes if c.steps and all(map(self._succeeded, c.steps)))
        return dict(Counter(change.action.value for change in whole))

    def _half_done(self) -> Iterator[str]:
        """What has begun and not ended: steps that run, and changes that wait for their next."""
        for change in self._plan.changes:
            running = [step for step in change.steps if step.id in self._running]
            done = [step for step in change.steps if self._succeeded(step)]
            for step in running:
                yield f"{change.address}: {step.name} had begun; the next apply finishes it"
            if done and not running and len(done) < len(change.steps):
                yield f"{change.address}: done up to {done[-1].name}; the next apply goes on"

    def _left_out(self) -> Iterator[str]:
        """Replicas that were taken out of their proxies, by this run or one before, and not back.

        One whose drain failed was left as it was.
        """
        failed = {(one.address, one.step) for one in self._failures}
        for change in self._plan.changes:
            steps = {step.name: step for step in change.steps}
            if "undrain" not in steps or self._succeeded(steps["undrain"]):
                continue
            seen = self._means.observed.guests.get(change.address)
            if "drain" in steps and self._succeeded(steps["drain"]):
                yield f"{change.address} ({change.name}) is out of its proxies until {_BACK}"
            elif (change.address, "drain") not in failed and seen and seen.fingerprint is None:
                yield f"{change.address} ({change.name}) may be out of its proxies until {_BACK}"

    def _tell(self, event: EventKind, step: Step, message: str = "") -> None:
        action = self._change_of[step.id].action.value
        elapsed = time.monotonic() - self._begin
        self._emit(Event(event, step.address, action, step.name, elapsed, message))


async def _all(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Waits for all, or for the first error. Cancelled, it leaves them as they are."""
    done = (await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION))[0] if tasks else ()
    for task in done:
        task.result()


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancels each once and waits until all have ended; cancelled again, tells it them again.

    A step takes its second cancellation for an interruption by one who has to leave at once.
    """
    going: Iterable[asyncio.Task[None]] = [task for task in tasks if not task.done()]
    while going:
        for task in going:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait(going)
        going = [task for task in going if not task.done()]
    for task in tasks:
        if not task.cancelled():
            task.exception()  # it is known: the first one is told
