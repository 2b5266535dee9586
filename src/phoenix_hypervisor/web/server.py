"""Puts the dashboard together, and serves it until it is told to end."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket

import uvicorn
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from phoenix_hypervisor import __version__
from phoenix_hypervisor.app.metrics import Metrics
from phoenix_hypervisor.model.errors import UsageError
from phoenix_hypervisor.model.redact import Redactor
from phoenix_hypervisor.web import context, pages
from phoenix_hypervisor.web.api import acts, errors, reads
from phoenix_hypervisor.web.context import Context
from phoenix_hypervisor.web.desk import Desk
from phoenix_hypervisor.web.jobs import Jobs
from phoenix_hypervisor.web.listening import bound, refuse_unusable
from phoenix_hypervisor.web.login import Doors
from phoenix_hypervisor.web.metrics import router as metrics
from phoenix_hypervisor.web.patience import Patient
from phoenix_hypervisor.web.security import answers
from phoenix_hypervisor.web.security import pages as bound_pages
from phoenix_hypervisor.web.security.audit import Audit
from phoenix_hypervisor.web.security.guard import Guard, Rules
from phoenix_hypervisor.web.security.keys import Keys
from phoenix_hypervisor.web.security.names import Listen, origins, unguessable
from phoenix_hypervisor.web.security.sessions import Sessions

_LARGEST_MESSAGE = 256 * 1024
_END_S = 5
_CONNECTIONS = 500
API = "/api/v1/openapi.json"


@dataclass(frozen=True, slots=True)
class Settings:
    """How to serve. Times in seconds; `names` are further host names that lead here."""

    listen: Listen
    names: tuple[str, ...] = ()
    cert: Path | None = None
    key: Path | None = None
    idle_s: float = 1800.0
    lifetime_s: float = 12 * 3600.0

    @property
    def tls(self) -> bool:
        """Whether it is HTTPS."""
        return self.cert is not None


class Dashboard:
    """One folder's dashboard."""

    def __init__(
        self, folder: Path, on: str | None, redactor: Redactor, settings: Settings
    ) -> None:
        self._settings = settings
        self._keys = Keys(folder)
        audit = Audit(folder)
        audit.check()
        refuse_unusable(settings.cert, settings.key)
        _refuse_unsafe(settings, self._keys)
        where = settings.listen
        cookie = f"__Host-phoenix-{where.port}" if settings.tls else f"phoenix-{where.port}"
        sessions = Sessions(settings.idle_s, settings.lifetime_s, holds=self._keys.holds)
        self._doors = Doors(self._keys, sessions, audit, cookie, settings.tls)
        names = list(settings.names)
        if where.is_loopback and not names and not settings.tls:  # no certificate holds for it
            names.append(unguessable())
        self._host = names[0] if names else where.host
        self._rules = Rules(
            origins(where, names, tls=settings.tls),
            cookie,
            hsts=settings.tls and bool(settings.names),
        )
        self._context = Context(
            desk=Desk(folder, on, redactor),
            jobs=Jobs(audit, redactor),
            sessions=sessions,
            audit=audit,
            metrics=Metrics(folder, redactor),
        )

    @property
    def link(self) -> str:
        """A link that lets in once."""
        where, scheme = self._settings.listen, "https" if self._settings.tls else "http"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{where.port}/enter?code={self._doors.link.new()}"

    @property
    def app(self) -> ASGIApp:
        """The whole of it, behind the guard."""
        # Two of them: what the API does not have must not be looked for among the pages.
        api = FastAPI(
            title="Phoenix",
            version=__version__,
            docs_url=None,  # both load scripts from elsewhere
            redoc_url=None,
            openapi_url=API,
        )
        for router in (reads.router, acts.router):
            for route in router.routes:
                if isinstance(route, APIRoute):  # by itself it is the function's name
                    route.summary = route.description.partition("\n")[0].rstrip(".")
            api.include_router(router)
        inner = FastAPI(openapi_url=None, lifespan=self._lifespan)
        inner.include_router(metrics)
        inner.router.routes.extend(self._doors.routes())
        for each in (api, inner):
            errors.answer(each, self._context.desk.hide)
        pages.mount(inner)
        answers.nonces()
        bound_pages.bind(self._context.sessions)

        async def with_context(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] in ("http", "websocket"):
                context.put(scope, self._context)
                if scope["path"].startswith("/api/"):
                    await api(scope, receive, send)
                    return
            await inner(scope, receive, send)

        here = self._context
        return Guard(with_context, self._rules, here.sessions, self._keys, here.audit)

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        yield
        await self._context.jobs.close()
        self._context.metrics.close()

    async def serve(self, ready: Callable[[str], None]) -> None:
        """Serves until it is cancelled. `ready` gets the link. Raises `PhoenixError`."""
        settings = self._settings
        config = uvicorn.Config(
            self.app,
            host=settings.listen.host,
            port=settings.listen.port,
            ssl_certfile=settings.cert,
            ssl_keyfile=settings.key,
            ws_max_size=_LARGEST_MESSAGE,
            ws="websockets-sansio",
            http=Patient,
            limit_concurrency=_CONNECTIONS,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_END_S,
        )
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        server = _Server(config, lambda: ready(self.link))
        config.load()
        serving = asyncio.create_task(server.serve(sockets=[bound(settings.listen)]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            server.should_exit = True
            await serving
            raise


class _Server(uvicorn.Server):
    """Says when it listens. Signals are the command's own matter."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begins to listen."""
        await super().startup(sockets)
        if self.started:
            self._ready()


def _refuse_unsafe(settings: Settings, keys: Keys) -> None:
    """Raises `UsageError` where the dashboard would be open to a network unprotected."""
    if settings.listen.is_loopback:
        return
    if not settings.tls:
        raise UsageError(
            f"--listen {settings.listen.host} is not only this machine: that needs TLS",
            hint="give --cert and --key, or listen on 127.0.0.1 behind an SSH tunnel",
        )
    if not keys.any:
        raise UsageError(
            f"--listen {settings.listen.host} is not only this machine: that needs a password",
            hint="`phoenix serve --set-password` or `phoenix serve --new-token NAME` first",
        )
