# SPDX-License-Identifier: AGPL-3.0-or-later
"""Lets somebody play the insides of containers: a task ends when its player has done the same.

The player is an HTTP server (tests/support/player.py). It is told of each task of a container when
its work is done in the state, and of each change of a configuration before its answer is out.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import aiohttp
from tests.fakepve.rules import StrictPve

from fakepve.model import PveError, TaskError  # type: ignore[import-not-found]

Values = dict[str, Any]
Answer = Callable[[str, Values], Awaitable[Any]]

_ASKED: ContextVar[Values | None] = ContextVar("asked", default=None)
"""What the request asked for that a task comes from."""


class PlayedPve(StrictPve):
    """The double with a player, where `insides` is its URL."""

    insides = ""

    def in_step(self) -> None:
        """Called before the player is told."""

    async def task(
        self, node: str, ttype: str, tid: Any, user: str, body: Any, **options: Any
    ) -> str:
        """It does its work, then its player; what fails there is the task's error."""
        ct = options.get("vm")
        asked = _ASKED.get()

        async def played() -> Any:
            note = await body()
            if why := await self._tell(ttype, ct, asked or {}):
                raise TaskError(why)
            return note

        is_played = self.insides and ct is not None and ct.guest.startswith("lxc/")
        wanted = played if is_played else body
        return str(await super().task(node, ttype, tid, user, wanted, **options))

    def _lxc_handler(self, fn: Answer) -> Any:
        async def noted(user: str, values: Values) -> Any:
            _ASKED.set(values)
            answer = await fn(user, values)
            if self.insides and getattr(fn, "__name__", "") == "_lxc_config_put":
                ct = self._find_ct(values["node"], values["vmid"])
                if why := await self._tell("config", ct, values):
                    raise PveError(500, why)
            return answer

        return super()._lxc_handler(noted)

    async def _tell(self, kind: str, ct: Any, asked: Values) -> str:
        """Why it could not be played; empty where it could."""
        self.in_step()
        told = {
            "type": kind,
            "vmid": ct.vmid,
            "asked": asked,
            "config": ct.config,
            "status": ct.status,
        }
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.insides, json=told) as answer,
        ):
            text = await answer.text()
        return "" if answer.ok else text or f"status {answer.status}"
