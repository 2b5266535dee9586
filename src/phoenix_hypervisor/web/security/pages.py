"""Binds NiceGUI's pages to the sessions that they were made for.

NiceGUI takes the page from each message of a websocket, and forgets who opened that. So every
message is looked at here once more, and a page goes when its session ends.
"""

import asyncio
import inspect
from typing import Any

from phoenix_hypervisor.web.security.caller import SCOPE, Caller
from phoenix_hypervisor.web.security.sessions import Sessions

_OF_NO_PAGE = ("connect", "disconnect")


def session_of_page(client_id: str) -> str | None:
    """The key of the session that a page was made for; None where there is no such page."""
    from nicegui import Client

    page = Client.instances.get(client_id)
    return None if page is None else _session(page.request.scope)


def bind(sessions: Sessions) -> None:
    """Has every message refused that is not of a living session about a page of its own."""
    from nicegui import Client, core

    handlers = core.sio.handlers["/"]
    for name, handler in list(handlers.items()):
        if name not in _OF_NO_PAGE:
            handlers[name] = _bound(handler, sessions)

    def gone(key: str) -> None:
        for client in list(Client.instances.values()):
            if _session(client.request.scope) == key:
                client.delete()

    def ended(key: str) -> None:
        # Later: who found the end may be in the middle of work at such a page.
        asyncio.get_running_loop().call_soon(gone, key)

    sessions.ended = ended


def _bound(handler: Any, sessions: Sessions) -> Any:
    from nicegui import core

    async def bound(sid: str, message: Any = None, *more: Any) -> Any:
        told = message.get("client_id") if isinstance(message, dict) else None
        own = _session(core.sio.get_environ(sid)["asgi.scope"])
        if not own or session_of_page(str(told)) != own or sessions.at(own) is None:
            return False  # as NiceGUI says it of pages that are not there
        done = handler(sid, message, *more)
        return await done if inspect.isawaitable(done) else done

    return bound


def _session(scope: Any) -> str:
    found = scope.get(SCOPE)
    return found.session if isinstance(found, Caller) else ""
