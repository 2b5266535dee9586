"""What a driver brings to the conformance suite: where its guests live and how to open it."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from phoenix_hypervisor.drivers import open_driver
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Impact
from phoenix_hypervisor.model.desired import (
    Boot,
    Bridge,
    Desired,
    Firewall,
    FirewallRule,
    Guest,
    Image,
    Mount,
    Nic,
    Pool,
    Target,
    Volume,
)
from phoenix_hypervisor.model.driver import Driver


@dataclass(frozen=True)
class Kit(ABC):
    """One target for the suite, with a stack, pool, bridge and subnet of its own.

    `folder` must exist; mounts are made from it. `raw` is a raw option that the target takes.
    `left_out` names fields that the target's `project` leaves out. `costs` are impacts of
    variations, by their title, that this target has of its own; `fixed` are titles of those that
    it can only have by making the guest anew.
    Named secrets are in `environ`.
    """

    driver: str
    folder: Path
    template: str
    stack: str = "conformance"
    pool: str = "cfpool"
    bridge: str = "cfbr0"
    cidr: str = "10.219.77.1/24"
    target: Target = field(default_factory=Target)
    environ: Mapping[str, str] = field(default_factory=dict)
    raw: tuple[str, str] = ("lxc.environment", "CONFORMANCE=1")
    left_out: frozenset[str] = frozenset()
    costs: Mapping[str, Impact] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    first_id: int = 7100

    @property
    def other_stack(self) -> str:
        """A second stack on the same target."""
        return f"{self.stack}-other"

    def open(self, stack: str | None = None) -> Driver:
        """A driver that is not connected yet."""
        return open_driver(
            self.driver,
            self.target,
            self.stack if stack is None else stack,
            environ=self.environ,
            folder=self.folder,
            reveal=lambda name: self.environ[name],
        )

    @abstractmethod
    async def make_foreign(self, address: Address) -> None:
        """Makes a stopped guest by hand, as somebody would who does not know Phoenix."""

    @abstractmethod
    async def remove_foreign(self, address: Address) -> None:
        """Removes it again."""

    def the_pool(self) -> Pool:
        """The suite's pool."""
        return Pool(addresses.storage(self.pool), self.pool, size_gb=8)

    def the_bridge(self) -> Bridge:
        """The suite's bridge."""
        return Bridge(addresses.bridge(self.bridge), self.bridge, cidr=self.cidr)

    def second_bridge(self) -> Bridge:
        """A bridge beside it on the next subnet; its name begins with this run's own."""
        own = ip_interface(self.cidr)
        beside = own.ip + own.network.num_addresses
        name = f"{self.bridge}b"
        return Bridge(addresses.bridge(name), name, cidr=f"{beside}/{own.network.prefixlen}")

    def id(self, number: int) -> int:
        """The id of the suite's guest `number` (0 to 99)."""
        return self.first_id + number

    def ip(self, number: int) -> str:
        """An address for the suite's guest `number`, with its prefix length."""
        own = ip_interface(self.cidr)
        return f"{own.network.network_address + 100 + number}/{own.network.prefixlen}"

    def host_folder(self, name: str) -> str:
        """A folder of this machine, made if it is missing."""
        made = self.folder / name
        made.mkdir(exist_ok=True)
        made.chmod(0o755)
        return str(made)

    def guest(self, number: int, **changes: Any) -> Guest:
        """A small container with a static address; `changes` replace its fields."""
        words: dict[str, Any] = {
            "address": addresses.lxc(self.id(number)),
            "kind": "lxc",
            "id": self.id(number),
            "name": f"cf{self.id(number)}",
            "source": Image(self.template),
            "memory_mb": 256,
            "cores": 1,
            "pool": self.pool,
            "disk_gb": 2,
            "nics": (Nic("eth0", self.bridge, self.ip(number), str(ip_interface(self.cidr).ip)),),
        }
        return Guest(**(words | changes))

    def full_guest(self, number: int) -> Guest:
        """A container with every word that the drivers share."""
        gateway = str(ip_interface(self.cidr).ip)
        return self.guest(
            number,
            swap_mb=0,
            nics=(
                Nic(
                    "eth0",
                    self.bridge,
                    self.ip(number),
                    gateway,
                    (gateway,),
                    mac="02:00:0A:DB:4D:64",
                ),
                Nic("eth1", self.bridge),
            ),
            mounts=(Mount(self.host_folder("shared"), "/srv/shared.d", read_only=True),),
            volumes=(Volume("data", self.pool, 1, "/var/lib/data"),),
            firewall=Firewall(
                enabled=True,
                rules=(
                    FirewallRule("in", "ACCEPT", proto="tcp", ports=("22", "8000-8010")),
                    FirewallRule("in", "ACCEPT", source=self.cidr_network, comment="its own net"),
                ),
            ),
            boot=Boot(at_boot=True, order=3, delay_s=5),
            nesting=True,
            raw=(self.raw,),
        )

    @property
    def cidr_network(self) -> str:
        """The suite's subnet."""
        return str(ip_interface(self.cidr).network)

    def desired(self, *guests: Guest) -> Desired:
        """A desired state of these guests with the suite's pool and bridge."""
        pool, bridge = self.the_pool(), self.the_bridge()
        return Desired(
            folder=self.folder,
            stack=self.stack,
            target=self.target,
            guests={guest.address: guest for guest in guests},
            pools={pool.address: pool},
            bridges={bridge.address: bridge},
        )

    def child(self) -> list[str]:
        """The command of a second process (`child.py`)."""
        return [sys.executable, str(Path(__file__).with_name("child.py"))]
