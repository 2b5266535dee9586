"""Asks a guest what differs from the files, inside a worker process; changes nothing there.

The features' own deploy functions run, with operations that only tell what they would do. What an
operation would have done is not there for those after it: where one of them stumbles over that,
the rest of its feature can't be known before the difference is mended, and that is told.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from phoenix_hypervisor.configure.connector import Link
from phoenix_hypervisor.configure.differing import Reader
from phoenix_hypervisor.configure.identity import INTERRUPTED
from phoenix_hypervisor.configure.job import FeatureTask, Job, Task
from phoenix_hypervisor.configure.record import Applied, Record
from phoenix_hypervisor.configure.session import Session
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.drift import Difference, FeatureDrift, GuestDrift
from phoenix_hypervisor.model.errors import PhoenixError, TimedOut, Unreachable, Unsupported
from phoenix_hypervisor.shell import Shell
from phoenix_hypervisor.shell.answer import text
from phoenix_hypervisor.shell.leftovers import RUN_FILE

_S = 30.0
_FOLLOWS = "what follows from it can't be known before that is mended"
_BEFORE = "what differs here can't be known before what differs above is mended"


def examine(
    job: Job, shell: Shell, redact: Callable[[str], str], tell: Callable[[str], None]
) -> GuestDrift:
    """All that differs in the guest. Raises `TimedOut` and `Unreachable`."""
    return _Examination(job, shell, redact, tell).run()


class _Examination:
    def __init__(
        self, job: Job, shell: Shell, redact: Callable[[str], str], tell: Callable[[str], None]
    ) -> None:
        self._job = job
        self._shell = shell
        self._redact = redact
        self._tell = tell
        self._deadline = time.monotonic() + job.limit_s
        self._reader = Reader(shell, self._remaining, redact)
        self._session: Session | None = None
        self._before = False
        """Whether a feature before the current one differs."""

    def run(self) -> GuestDrift:
        """Asks every feature."""
        record = Record.look(self._shell)
        notes = list(self._notes(record))
        if record is not None and record.address != self._job.address:
            record = None
        features = []
        for task in self._job.tasks:
            found = self._ask(task, record or Record(self._job.address))
            self._before |= found.drifted and not found.unsupported
            features.append(found)
        return GuestDrift(Address(self._job.address), "", tuple(features), tuple(notes))

    def _notes(self, record: Record | None) -> list[str]:
        notes = []
        run = text(self._shell.run(f"cat {RUN_FILE} 2>/dev/null", timeout_s=_S).out).strip()
        if run:
            notes.append(
                f"run {run.partition('.')[0]} configures it now, or was broken off here: "
                "the next apply tells"
            )
        if record is not None and record.address != self._job.address:
            notes.append(
                f"its record is that of {record.address}: it is a clone, and nothing was "
                f"applied to it as {self._job.address}"
            )
        dropped = set(record.features if record else ()) - {task.name for task in self._job.tasks}
        if dropped and not self._job.is_host:
            notes.append(
                f"taken out of its features: {', '.join(sorted(dropped))}; the next apply ends "
                "what they run, and leaves their packages and data"
            )
        if self._shell.run(INTERRUPTED, timeout_s=_S).ok:
            notes.append("an installation of packages was interrupted; the next apply completes it")
        return notes

    def _ask(self, task: Task, record: Record) -> FeatureDrift:
        known = record.features.get(task.name)
        current = None if known is None else known == self._job.fingerprints[task.name]
        applied = record.applied.get(task.name, Applied("", "")) if known else Applied("", "")
        told = FeatureDrift(task.name, (), current, applied.run, applied.at)
        if not isinstance(task, FeatureTask):
            return _script(told)
        self._tell(f"asking {task.name}")
        try:
            unknown, failed = self._deploy(task)
        except Unsupported as error:
            why = self._redact(error.message)
            return replace(told, unknown=why, failed=True, unsupported=why)
        found = _in_order(self._reader.found)
        return replace(told, differences=found, unknown=unknown, failed=failed)

    def _deploy(self, task: FeatureTask) -> tuple[str, bool]:
        """Runs the feature; why the rest of it is not known, and whether that is a failure."""
        self._reader.begin()
        if self._session is None:
            link = Link(self._shell, self._remaining, self._redact)
            self._session = Session(
                self._job.address, link, _nobody, _nobody, hear=self._reader.hear
            )
        try:
            self._session.run(task)
        except (TimedOut, Unreachable, Unsupported):
            raise
        except PhoenixError as error:
            last = [line.strip() for line in error.detail.splitlines() if line.strip()][-1:]
            why = self._redact(": ".join([error.message, *last]))
            if self._reader.found or self._before:
                told = _FOLLOWS if self._reader.found else _BEFORE
                return f"{told} ({why})", False
            return why, True
        return "", False

    def _remaining(self) -> float:
        return max(1.0, self._deadline - time.monotonic())


def _script(told: FeatureDrift) -> FeatureDrift:
    """A script can't be asked what it would do: only whether it ran as it is now."""
    found: tuple[Difference, ...] = ()
    if told.current is False:
        found = (Difference("script", told.name, "ran with other content or arguments", "runs"),)
    elif told.current is None:
        found = (Difference("script", told.name, "did not run", "runs"),)
    return FeatureDrift(told.name, found, told.current, told.run, told.at, asked=False)


def _in_order(found: list[Difference]) -> tuple[Difference, ...]:
    """What differs first, then what would follow from it; nothing twice."""
    once = list(dict.fromkeys(found))
    return tuple(sorted(once, key=lambda one: one.follows))


def _nobody(_: str) -> None:
    """Hears nothing."""
