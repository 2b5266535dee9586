"""Who asks: what the guard finds out about a request, for the pages and the API."""

from dataclasses import dataclass
from typing import Literal

from starlette.requests import HTTPConnection

Role = Literal["act", "read"]
"""`read` sees everything and changes nothing."""

SCOPE = "phoenix_caller"
"""Where an ASGI scope holds the caller."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One who was let in. `who` is how the audit log names them: `link`, `password`, `token ci`.

    `remote` is the address they come from. `csrf` is what their unsafe requests must show; empty
    for a token, which no browser sends by itself. `session` is the key of their session; empty for
    a token.
    """

    who: str
    role: Role
    remote: str
    csrf: str = ""
    session: str = ""

    @property
    def may_act(self) -> bool:
        """Whether they may change anything."""
        return self.role == "act"


def caller(connection: HTTPConnection) -> Caller:
    """The caller of a request that the guard let through."""
    found = connection.scope[SCOPE]
    assert isinstance(found, Caller)  # noqa: S101 - the guard puts it there
    return found
