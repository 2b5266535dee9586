"""What pages and API work with: put into the application when it is made."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import HTTPConnection, Request

from phoenix_hypervisor.app.metrics import Metrics
from phoenix_hypervisor.web.desk import Desk
from phoenix_hypervisor.web.jobs import Jobs
from phoenix_hypervisor.web.security.audit import Audit
from phoenix_hypervisor.web.security.sessions import Sessions

ASSETS = Path(__file__).parent / "assets"
_SCOPE = "phoenix_context"


@dataclass(frozen=True, slots=True)
class Context:
    """One dashboard."""

    desk: Desk
    jobs: Jobs
    sessions: Sessions
    audit: Audit
    metrics: Metrics


def context(request: Request) -> Context:
    """The dashboard that a request asks."""
    return of(request)


def of(connection: HTTPConnection) -> Context:
    """The same, of any connection."""
    found = connection.scope[_SCOPE]
    assert isinstance(found, Context)  # noqa: S101 - `put` is around everything
    return found


def put(scope: MutableMapping[str, Any], given: Context) -> None:
    """Puts it into the scope of a request."""
    scope[_SCOPE] = given
