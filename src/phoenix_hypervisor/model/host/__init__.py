"""The host below the guests as the files want it: one module for each of its parts."""

from dataclasses import dataclass, field

from phoenix_hypervisor.model.host.backups import Backups
from phoenix_hypervisor.model.host.cards import Cards
from phoenix_hypervisor.model.host.firewall import ClusterFirewall
from phoenix_hypervisor.model.host.names import Names
from phoenix_hypervisor.model.host.network import HostNetwork
from phoenix_hypervisor.model.host.profiles import Profiles
from phoenix_hypervisor.model.host.shares import Shares
from phoenix_hypervisor.model.host.storage import Storage
from phoenix_hypervisor.model.host.system import System
from phoenix_hypervisor.model.host.volumes import Volumes


@dataclass(frozen=True, slots=True)
class HostSetup:
    """All that `phoenix host` looks after."""

    storage: Storage = field(default_factory=Storage)
    volumes: Volumes = field(default_factory=Volumes)
    network: HostNetwork = field(default_factory=HostNetwork)
    firewall: ClusterFirewall = field(default_factory=ClusterFirewall)
    shares: Shares = field(default_factory=Shares)
    system: System = field(default_factory=System)
    cards: Cards = field(default_factory=Cards)
    profiles: Profiles = field(default_factory=Profiles)
    names: Names = field(default_factory=Names)
    backups: Backups = field(default_factory=Backups)
