"""Asks a guest's checks: once, or again and again until each passes or its time is over."""

import asyncio
import time
from collections.abc import Callable, Sequence

from phoenix_hypervisor.model.check import Check, Outcome, Place
from phoenix_hypervisor.model.errors import CheckFailed

Answers = list[tuple[Check, Outcome]]
_AGAIN_S = 15.0
"""After so long what is waited for is told again, though nothing changed."""


async def ask(checks: Sequence[Check], place: Place) -> Answers:
    """Asks each once, all at the same time; the answers are in the order of the checks."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(check.ask(place)) for check in checks]
    return [(check, task.result()) for check, task in zip(checks, tasks, strict=True)]


async def wait(checks: Sequence[Check], place: Place, tell: Callable[[str], None]) -> Answers:
    """Asks all until each has passed once.

    `tell` is told what is being waited for whenever that changes, and now and then. Raises
    `CheckFailed` with all that did not pass before their own deadline, each with its last answer.
    """
    answers = await settle(checks, place, tell)
    failed = [f"{check.title}: {outcome.message}" for check, outcome in answers if not outcome.ok]
    if failed:
        raise CheckFailed(
            f"{len(failed)} of {len(answers)} checks failed: {'; '.join(failed)}",
            hint="`phoenix logs` shows what the guest says, `phoenix check` asks again",
        )
    return answers


async def settle(checks: Sequence[Check], place: Place, tell: Callable[[str], None]) -> Answers:
    """As `wait`, with the last answer of each, also of those that never passed."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_wait_for(check, place, tell)) for check in checks]
    return [(check, task.result()) for check, task in zip(checks, tasks, strict=True)]


async def _wait_for(check: Check, place: Place, tell: Callable[[str], None]) -> Outcome:
    deadline = time.monotonic() + check.deadline_s
    told, told_at = "", 0.0
    while True:
        outcome = await check.ask(place)
        if outcome.ok or time.monotonic() + check.interval_s >= deadline:
            return outcome
        now = time.monotonic()
        if outcome.message != told:
            told, told_at = outcome.message, now
            tell(f"waiting for {check.title}: {told}")
        elif now - told_at >= _AGAIN_S:
            told_at = now
            tell(f"waiting for {check.title}, up to {deadline - now:.0f} s more: {told}")
        await asyncio.sleep(check.interval_s)
