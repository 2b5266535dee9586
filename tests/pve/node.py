"""A real Proxmox VE node, given by environment variables, as a kit of the conformance suite.

It touches nothing but the guests of the range of ids that it is given.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_interface, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from tests.conformance.kit import Kit

from phoenix_hypervisor.drivers.proxmox.api.client import Api, path
from phoenix_hypervisor.drivers.proxmox.node import options
from phoenix_hypervisor.drivers.proxmox.node.channels import Channels
from phoenix_hypervisor.drivers.proxmox.open import api
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Impact
from phoenix_hypervisor.model.desired import Target
from phoenix_hypervisor.model.secret import Secret

NEEDED = ("URL", "NODE", "STORAGE", "TEMPLATE", "BRIDGE", "SUBNET", "IDS")
_PREFIX = "PHOENIX_PVE_"
_LIVE, _RESTART = Impact.LIVE, Impact.RESTART

COSTS: Mapping[str, Impact] = {
    # Proxmox VE plugs cards and sets addresses while a container runs, but not name servers.
    **dict.fromkeys(("nameservers", "no nameservers"), _RESTART),
    **dict.fromkeys(("address", "no gateway", "a MAC", "no MAC"), _LIVE),
    **dict.fromkeys(("a second card", "no second card", "gpus"), _LIVE),
    "privileged": Impact.DESTRUCTIVE,
}


def missing() -> list[str]:
    """The variables that are needed and not set."""
    told = [f"{_PREFIX}{name}" for name in NEEDED if not os.environ.get(f"{_PREFIX}{name}")]
    token = "TOKEN_ID" if not os.environ.get(f"{_PREFIX}USER") else "USER"
    return told + ([] if os.environ.get(f"{_PREFIX}{token}") else [f"{_PREFIX}{token}"])


@dataclass(frozen=True)
class Setting:
    """What the environment says of the node."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def get(self, name: str) -> str:
        """The value of `PHOENIX_PVE_<name>`; empty where it is not set."""
        return self.environ.get(f"{_PREFIX}{name}", "")

    @property
    def ids(self) -> range:
        """The ids that may be used."""
        first, _, last = self.get("IDS").partition("-")
        return range(int(first), int(last) + 1)

    def target(self, *, as_root: bool = False) -> Target:
        """The words of `hypervisor`; by token where there is one, else by password."""
        token = bool(self.get("TOKEN_ID")) and not as_root
        return Target(
            driver="proxmox",
            endpoint=self.get("URL"),
            node=self.get("NODE"),
            token_id=self.get("TOKEN_ID") if token else None,
            token_secret=Secret(name=f"{_PREFIX}TOKEN_SECRET") if token else None,
            username=None if token else self.get("USER"),
            password=None if token else Secret(name=f"{_PREFIX}PASSWORD"),
            ca_file=self.get("CA") or None,
            fingerprint=None if self.get("CA") else self.get("FINGERPRINT") or None,
        )

    def driver_environ(self) -> dict[str, str]:
        """The environment of a driver: with the way to a root shell on the node."""
        shell = {"PHOENIX_NODE_SHELL": self.get("SHELL")} if self.get("SHELL") else {}
        return {**self.environ, **shell}

    def api(self, *, as_root: bool = False) -> Api:
        """The API by hand, as somebody would use it who does not know Phoenix."""
        return api(self.target(as_root=as_root), Path.cwd(), lambda name: self.environ[name])


@dataclass(frozen=True)
class PveKit(Kit):
    """The kit; `first` is the first id of the range that it may use."""

    setting: Setting = field(default_factory=Setting)

    @classmethod
    def make(cls, folder: Path, setting: Setting) -> "PveKit":
        """From the environment. The guests' network is the node's own; its first address is the
        gateway.
        """
        network = ip_network(setting.get("SUBNET"), strict=False)
        gateway = ip_interface(f"{network.network_address + 1}/{network.prefixlen}")
        return cls(
            driver="proxmox",
            folder=folder,
            template=setting.get("TEMPLATE"),
            stack="phoenix-conformance",
            pool=setting.get("STORAGE"),
            bridge=setting.get("BRIDGE"),
            cidr=str(gateway),
            target=setting.target(),
            environ=setting.driver_environ(),
            costs=COSTS,
            fixed=frozenset({"privileged", "gpus"}),
            first_id=setting.ids.start,
            setting=setting,
        )

    def ip(self, number: int) -> str:
        """An address in the upper part of the subnet."""
        own = ip_interface(self.cidr)
        last = own.network.num_addresses - 2
        place = number % (own.network.num_addresses // 2)
        return f"{own.network.network_address + last - place}/{own.network.prefixlen}"

    def host_folder(self, name: str) -> str:
        """A folder of the node; Phoenix makes it."""
        return f"/var/tmp/phoenix-conformance/{name}"

    async def make_foreign(self, address: Address) -> None:
        async with self.setting.api() as by_hand:
            await by_hand.run(
                "POST",
                path("nodes", self.setting.get("NODE"), "lxc"),
                vmid=addresses.ident(address),
                ostemplate=self.setting.get("TEMPLATE"),
                hostname="by-hand",
                rootfs=f"{self.pool}:1",
                memory=128,
                unprivileged=True,
            )

    async def remove_foreign(self, address: Address) -> None:
        node = self.setting.get("NODE")
        async with self.setting.api() as by_hand:
            where = path("nodes", node, "lxc", addresses.ident(address))
            await by_hand.run("DELETE", where, purge=True)

    def id(self, number: int) -> int:
        """Ids of the range only: with a small one they come again, since guests don't stay."""
        ids = self.setting.ids
        return ids[number % len(ids)]

    def bridge_address(self, name: str) -> Address:
        """The address of a bridge."""
        return addresses.bridge(name)

    async def clear_folders(self) -> None:
        """Removes the folders that mounts made on the node."""
        await self.as_root("rm -rf /var/tmp/phoenix-conformance")

    async def as_root(self, script: str) -> None:
        """Runs a script as root on the node, by hand."""
        await self.said_by_root(script)

    async def said_by_root(self, script: str) -> str:
        """What such a script prints."""
        words = {"command": self.setting.get("SHELL")} if self.setting.get("SHELL") else {}
        read = options.read(words, self.setting.environ, self.folder)
        host = urlsplit(self.setting.get("URL")).hostname or ""
        async with Channels(read, main=self.setting.get("NODE"), host=host) as channels:
            answer = await channels.of(self.setting.get("NODE")).run(script, "by hand")
            assert answer.ok, answer.words()
            return answer.said().out.strip()
