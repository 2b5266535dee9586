"""Tells another place again and again that Phoenix watches, so that its own death is noticed."""

import asyncio
import time
from collections.abc import Callable

from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.secret import Secret

_LIMIT_S = 10.0
_BAD = 400


async def beat(
    url: Secret,
    every_s: float,
    lookup: Callable[[str], str],
    is_well: Callable[[], bool],
    tell: Callable[[str], None],
) -> None:
    """Asks for the URL every so often, until it is cancelled; only while `is_well`.

    `tell` is told once when that begins to fail, and once when it works again; never the URL,
    which may be a secret.
    """
    failing = False
    while True:
        began = time.monotonic()
        if is_well():
            why = await _ask(url, lookup)
            if why and not failing:
                tell(f"the heartbeat is not taken: {why}")
            elif failing and not why:
                tell("the heartbeat is taken again")
            failing = bool(why)
        await asyncio.sleep(max(0.0, began + every_s - time.monotonic()))


async def _ask(url: Secret, lookup: Callable[[str], str]) -> str:
    """Why it failed; empty where it did not."""
    import aiohttp

    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_LIMIT_S)) as session,
            session.get(url.reveal(lookup)) as reply,
        ):
            return f"status {reply.status}" if reply.status >= _BAD else ""
    except PhoenixError as error:
        return error.message
    except TimeoutError:
        return f"no answer within {_LIMIT_S:.0f} s"
    except aiohttp.InvalidURL:
        return "it is no URL"
    except aiohttp.ClientConnectionError as error:
        cause = getattr(error, "os_error", None)
        return f"no connection: {cause.strerror}" if cause else "no connection"
    except Exception as error:  # noqa: BLE001 - whatever the URL is, watching goes on
        return f"an unexpected {type(error).__name__}"
