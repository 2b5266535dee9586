"""The node of Proxmox VE below the guests, for `phoenix host`."""

from collections.abc import Callable, Sequence
from typing import Any

from phoenix_hypervisor.drivers.proxmox.api.client import Api
from phoenix_hypervisor.drivers.proxmox.node.channel import Channel
from phoenix_hypervisor.model.check import Said
from phoenix_hypervisor.model.secret import Secret


class HostNode:
    """Its API, and the root shell on it."""

    is_pve = True

    def __init__(self, api: Api, channel: Channel, reveal: Callable[[str], str]) -> None:
        self.name = channel.node
        self._api = api
        self._channel = channel
        self._reveal = reveal

    @property
    def way_in(self) -> Sequence[str]:
        """A root shell on the node, over pipes."""
        return self._channel.inside("sh")

    async def run(
        self, script: str, why: str, *, stdin: bytes = b"", timeout_s: float = 60.0
    ) -> Said:
        """As `model.node.Node` has it."""
        return (await self._channel.run(script, why, stdin=stdin, timeout_s=timeout_s)).said()

    async def get(self, path: str, /, **query: Any) -> Any:
        """A read; `path` as `/nodes/pve1/network`."""
        return await self._api.get(path, **query)

    async def send(self, method: str, path: str, /, **params: Any) -> Any:
        """A write; the task that it begins is waited for."""
        return await self._api.run(method, path, **params)

    def reveal(self, secret: Secret) -> str:
        """As `model.node.Reveals` has it."""
        return secret.reveal(self._reveal)

    async def anew(self, script: str, why: str, *, address: str | None, timeout_s: float) -> Said:
        """As `model.node.ReachedAnew` has it."""
        answer = await self._channel.anew(script, why, address=address, timeout_s=timeout_s)
        return answer.said()

    def moved(self, old: str, new: str) -> None:
        """As `model.node.ReachedAnew` has it; an API that is reached elsewhere stays there."""
        self._channel.move(new)
        self._api.move(old, new)
