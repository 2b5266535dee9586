"""Holds the stack for a command; a step of healing is waited for, and a person told so."""

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from rich.markup import escape

from phoenix_hypervisor.cli._context import Context

if TYPE_CHECKING:
    from phoenix_hypervisor.app import Session
    from phoenix_hypervisor.model.driver import Run


def held(context: Context, session: "Session", command: str) -> "AbstractAsyncContextManager[Run]":
    """The stack is this command's within. Raises `StackBusy`."""
    from phoenix_hypervisor.app import waiting

    def tell(text: str) -> None:
        context.say(f"[yellow]waiting:[/] {escape(text)}")

    return waiting.hold(session, command, tell)
