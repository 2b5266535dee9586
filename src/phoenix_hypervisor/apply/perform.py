"""Performs one step: within its time limit, tried again where its error's type says so."""

import asyncio
import traceback
from collections.abc import Callable

import tenacity

from phoenix_hypervisor.apply import truth
from phoenix_hypervisor.apply.means import Means
from phoenix_hypervisor.apply.steps import HANDLERS, LIMITS_S
from phoenix_hypervisor.model.change import Change, Step
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import (
    Locked,
    PhoenixError,
    Retryable,
    TimedOut,
    UnknownOutcome,
)
from phoenix_hypervisor.model.event import Failure

_TRIES = 8
_LOCK_GROWTH = 1.2

OnRetry = Callable[[str], None]


async def perform(
    step: Step, change: Change, means: Means, tell: Tell, on_retry: OnRetry
) -> Failure | None:
    """Does the step. Returns what went wrong, or None."""
    limit = LIMITS_S.get(step.name)
    clock = asyncio.timeout(limit)
    tries = _Tries(on_retry)
    try:
        async with clock:
            await _with_retries(step, change, means, tell, tries)
    except PhoenixError as error:
        return _failure(step, error)
    except asyncio.CancelledError as error:
        if _is_cancelled():
            raise
        return _bug(step, error)
    except Exception as error:  # noqa: BLE001 - a bug in one step must not hide what the others did
        if clock.expired() and isinstance(error, TimeoutError):
            if tries.lock is not None:
                return _failure(step, tries.lock)
            return _failure(
                step, TimedOut(f"{step.name} took longer than {limit:.0f} s and was given up")
            )
        return _bug(step, error)
    return None


class _Tries:
    """How the tries of one step went: what counts, and the lock that it waits for now."""

    def __init__(self, on_retry: OnRetry) -> None:
        self.on_retry = on_retry
        self.failed = 0
        self.lock: Locked | None = None

    def note(self, error: BaseException | None) -> None:
        """Waiting for a lock is no failed try: it lasts as long as the step may."""
        self.lock = error if isinstance(error, Locked) else None
        self.failed += self.lock is None


async def _with_retries(
    step: Step, change: Change, means: Means, tell: Tell, tries: _Tries
) -> None:
    def given_up(state: tenacity.RetryCallState) -> bool:
        tries.note(state.outcome.exception() if state.outcome else None)
        return tries.failed >= _TRIES

    def before_sleep(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        pause = state.next_action.sleep if state.next_action else 0.0
        count = "" if tries.lock else f" (try {tries.failed + 1} of {_TRIES})"
        tries.on_retry(f"{error}; again in {pause:.0f} s{count}")

    async for attempt in tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type((Retryable, UnknownOutcome)),
        stop=given_up,
        wait=lambda state: _pause(state, means.longest_pause_s),
        before_sleep=before_sleep,
        reraise=True,
    ):
        with attempt:
            try:
                await HANDLERS[step.name](means, change, tell)
            except UnknownOutcome:
                tell("the answer was lost: looking what is true")
                if not await truth.achieved(step, change, means):
                    raise


def _pause(state: tenacity.RetryCallState, longest_s: float) -> float:
    error = state.outcome.exception() if state.outcome else None
    first = error.after_s if isinstance(error, Retryable) else 1.0
    # A lock ends with somebody's task, mostly soon: asking for it again costs little.
    growth = _LOCK_GROWTH if isinstance(error, Locked) else 2.0
    return min(first * growth ** (state.attempt_number - 1), longest_s)


def _is_cancelled() -> bool:
    """Whether this task is to end; else the error came out of something that was awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _failure(step: Step, error: PhoenixError) -> Failure:
    return Failure(step.address, step.name, error.message, error.hint, error.detail)


def _bug(step: Step, error: BaseException) -> Failure:
    return Failure(
        step.address,
        step.name,
        f"an unexpected {type(error).__name__}: {error}",
        hint="this is a bug in Phoenix; please report it with the lines above",
        detail="".join(traceback.format_exception(error)),
    )
