"""Takes secrets out of what a session tells: events, reports, answers of checks, errors."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from phoenix_hypervisor.model.check import Outcome
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.event import Emit, Event, Report

Hide = Callable[[str], str]


def events(emit: Emit, hide: Hide) -> Emit:
    """Passes events on without secrets."""

    def hiding(event: Event) -> None:
        emit(replace(event, message=hide(event.message)) if event.message else event)

    return hiding


def report(told: Report, hide: Hide) -> Report:
    """The report without secrets."""
    failed = tuple(
        replace(one, message=hide(one.message), hint=hide(one.hint), detail=hide(one.detail))
        for one in told.failed
    )
    return replace(
        told,
        failed=failed,
        half_done=tuple(map(hide, told.half_done)),
        rooted=tuple(map(hide, told.rooted)),
        found=tuple(map(hide, told.found)),
        left_out=tuple(map(hide, told.left_out)),
    )


def outcome(told: Outcome, hide: Hide) -> Outcome:
    """A check's answer without secrets."""
    return replace(told, message=hide(told.message))


@asynccontextmanager
async def errors(hide: Hide) -> AsyncIterator[None]:
    """Errors of our own tree leave this block without secrets."""
    try:
        yield
    except PhoenixError as error:
        error.message = hide(error.message)
        error.args = (error.message,)
        error.hint = hide(error.hint)
        error.detail = hide(error.detail)
        raise
