"""What earlier runs of a folder tell of this one, and this one's way into the history."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from phoenix_hypervisor import __version__
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.history import Notebook
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.event import Event, Report
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan import as_json, estimate, schedule
from phoenix_hypervisor.plan.forecast import Forecast
from phoenix_hypervisor.plan.schedule import PARALLEL, Hands

if TYPE_CHECKING:
    from phoenix_hypervisor.history.recorder import Recorder


def target(session: Session) -> str:
    """The target as the history names it."""
    endpoint = session.desired.target.endpoint
    return session.driver.name + (f" {endpoint}" if endpoint else "")


class Past:
    """The history beside one session. Whatever is wrong with it, everything here works."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._notebook = Notebook(session.desired.folder)
        self._target = target(session)

    @property
    def trouble(self) -> str:
        """Why the history could not be read or written; empty: it could."""
        return self._notebook.trouble

    def estimated(self, plan: Plan, parallel: int = PARALLEL) -> Plan:
        """The plan with estimates from earlier runs, where there are any of the same work."""
        if not plan.changes:
            return plan
        session = self._session
        known = estimate.pace(self._notebook.samples(self._target))
        if not known.anywhere and parallel == PARALLEL:
            return plan  # made with just these estimates
        hands = self._hands(parallel)
        return estimate.refined(plan, session.desired, session.driver, known, hands)

    def forecast(self, plan: Plan, parallel: int) -> Forecast:
        """Tells the time that is left while the plan is applied."""
        return Forecast(plan, self._hands(parallel))

    async def apply(
        self,
        command: str,
        plan: Plan,
        observed: Observed,
        emit: Callable[[Event], None],
        **options: Any,
    ) -> Report:
        """`Session.apply` with its options, written into the history as it goes.

        `command` is what the person asked for.
        """
        recorder = self._record(command, plan)

        def both(event: Event) -> None:
            recorder.take(event)
            emit(event)

        try:
            report = await self._session.apply(plan, observed, both, **options)
        except PhoenixError as error:
            recorder.end("failed", error=self._session.secrets.redactor(error.message))
            raise
        except (asyncio.CancelledError, KeyboardInterrupt):
            recorder.end("interrupted")
            raise
        except BaseException as error:
            # Its text may hold anything: the kind of bug is enough here.
            recorder.end("failed", error=f"an unexpected {type(error).__name__}")
            raise
        ended = "ok" if report.ok else "failed"
        recorder.end("interrupted" if report.interrupted else ended, report.as_json())
        return report

    def _record(self, command: str, plan: Plan) -> "Recorder":
        from phoenix_hypervisor.history.recorder import Begun

        session = self._session
        begun = Begun(
            id=session.run_id,
            command=session.secrets.redactor(command),
            target=self._target,
            stack=session.desired.stack,
            version=__version__,
            summary=plan.summary,
            plan=lambda: as_json.dump(plan),
            works=estimate.works(plan, session.desired, session.driver),
        )
        return self._notebook.record(begun)

    def _hands(self, parallel: int) -> Hands:
        return schedule.hands(self._session.desired, self._session.driver.limits, parallel)
