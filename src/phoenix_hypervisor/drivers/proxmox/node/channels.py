"""The channels to all nodes of a cluster: each is opened when it is first used."""

from collections.abc import Mapping
from typing import Self

from phoenix_hypervisor.drivers.proxmox.node import ways
from phoenix_hypervisor.drivers.proxmox.node.channel import Channel
from phoenix_hypervisor.drivers.proxmox.node.options import Options
from phoenix_hypervisor.drivers.proxmox.node.used import Used


class Channels:
    """Gives the `Channel` of a node. `used` lists what used root on all of them."""

    def __init__(self, options: Options, *, main: str, host: str) -> None:
        """`main` is the node that `hypervisor` names, `host` the host of its endpoint."""
        self.used = Used()
        self._options = options
        self._main = main
        self._hosts: dict[str, str] = {main: host}
        self._open: dict[str, Channel] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def learn(self, hosts: Mapping[str, str]) -> None:
        """Takes the nodes' addresses, as the cluster tells them (`/cluster/status`)."""
        for node, host in hosts.items():
            self._hosts.setdefault(node, host)

    def of(self, node: str) -> Channel:
        """The node's channel; nothing is started yet."""
        if node not in self._open:
            way = ways.choose(node, self.host(node), self._options)
            # One command for all nodes leads to one of them: never work on a wrong one.
            same_name = node != self._main and self._options.command is not None
            self._open[node] = Channel(node, way, self.used, same_name=same_name)
        return self._open[node]

    def host(self, node: str) -> str:
        """Where a node is reached: as the files say, as the cluster says, or by its name."""
        if node in self._options.hosts:
            return self._options.hosts[node]
        if node == self._main and self._options.host:
            return self._options.host
        return self._hosts.get(node, node)

    async def close(self) -> None:
        """Closes all that were opened."""
        channels, self._open = list(self._open.values()), {}
        for channel in channels:
            await channel.close()
