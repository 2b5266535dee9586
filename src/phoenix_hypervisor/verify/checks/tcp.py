"""`tcp`: something accepts connections on a port."""

import asyncio
import shlex
from typing import ClassVar

from pydantic import Field

from phoenix_hypervisor.model.check import Check, Place
from phoenix_hypervisor.verify.answered import No, answered, at, last_line, refused

_SCRIPT = """\
if command -v bash >/dev/null; then exec bash -c 'exec 3<>"/dev/tcp/$1/$2"' bash "$a" "$p"; fi
if command -v nc >/dev/null; then exec nc -z "$a" "$p"; fi
exit 3
"""
_NO_TOOL = 3


class Tcp(Check):
    """Opens a connection and closes it again."""

    kind: ClassVar[str] = "tcp"

    port: int = Field(ge=1, le=65535, description="The port.")
    address: str | None = Field(
        None,
        min_length=1,
        description="Where to connect: by default the guest's address, from inside 127.0.0.1.",
    )

    def describe(self) -> str:
        """`tcp :6379`."""
        return f"tcp :{self.port}"

    @answered()
    async def ask(self, place: Place) -> str:
        """Connects."""
        if self.source == "inside":
            return await self._ask_inside(place, self.address or "127.0.0.1")
        address = self.address or place.address
        where = at(address, self.port)
        try:
            _, writer = await asyncio.open_connection(address, self.port)
        except OSError as error:
            raise refused(error, where) from error
        # Aborted, not closed: there is nothing to flush, and a server may never close its end.
        writer.transport.abort()
        return f"connected to {where}"

    async def _ask_inside(self, place: Place, address: str) -> str:
        where = at(address, self.port)
        words = f"a={shlex.quote(address)} p={self.port}\n"
        said = await place.inside(words + _SCRIPT, self.timeout_s)
        if said.status == _NO_TOOL:
            raise No("can't ask from inside: neither bash nor nc is in the guest", answered=False)
        if said.status != 0:
            reason = last_line(said.err).rpartition(": ")[2].lower() or "not accepted"
            raise No(f"{reason} on {where}", answered=False)
        return f"connected to {where}"
