"""Incus's own events: which guests begin and cease to run, as it happens, and who asked for it.

Source: the Incus REST API documentation, "Events", type `lifecycle`. One that nobody requested (a
guest that was shut down from inside, or whose init system died) has no requestor.
"""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

import aiohttp

from phoenix_hypervisor.drivers.incus import names
from phoenix_hypervisor.drivers.incus.client import Client
from phoenix_hypervisor.model.errors import Retryable
from phoenix_hypervisor.model.observed import GuestState
from phoenix_hypervisor.model.watching import GuestChanged

_HEARTBEAT_S = 10.0
"""A daemon that answers no ping for half as long again is given up."""
_PAUSED = "instance-paused"
_STATES: Mapping[str, GuestState] = {
    "instance-started": "running",
    "instance-restarted": "running",
    "instance-stopped": "stopped",
    "instance-shutdown": "stopped",
    "instance-deleted": "absent",
    _PAUSED: "stopped",
    "instance-resumed": "running",
}


async def changes(client: Client) -> AsyncIterator[GuestChanged | None]:
    """None once the stream has begun, then what changes. Raises `Retryable` where it is lost."""
    connector = aiohttp.UnixConnector(path=client.socket)
    query = {"type": "lifecycle", "project": client.project}
    try:
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.ws_connect(
                "http://incus/1.0/events", params=query, heartbeat=_HEARTBEAT_S
            ) as stream,
        ):
            yield None
            async for message in stream:
                if message.type is aiohttp.WSMsgType.TEXT:
                    changed = read(json.loads(message.data))
                    if changed is not None:
                        yield changed
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Retryable(f"Incus tells no events: {error}") from error
    raise Retryable("Incus has ended the stream of its events")


def read(event: Mapping[str, Any]) -> GuestChanged | None:
    """One event; None for what is no beginning or end of a guest of ours."""
    told = event.get("metadata") or {}
    action = told.get("action", "")
    state = _STATES.get(action)
    address = names.address(told.get("name", ""))
    if state is None or address is None:
        return None
    by = told.get("requestor")
    at = datetime.fromisoformat(event["timestamp"]).timestamp()
    who = None if by is None else by.get("username") or "nobody"
    return GuestChanged(address, state, at, who, paused=action == _PAUSED)
