"""The words on the host itself become what `phoenix host` looks after."""

from phoenix_hypervisor.config.desire.hosts.backups import backups
from phoenix_hypervisor.config.desire.hosts.cards import cards
from phoenix_hypervisor.config.desire.hosts.firewall import firewall
from phoenix_hypervisor.config.desire.hosts.names import names
from phoenix_hypervisor.config.desire.hosts.network import network
from phoenix_hypervisor.config.desire.hosts.profiles import profiles
from phoenix_hypervisor.config.desire.hosts.shares import shares
from phoenix_hypervisor.config.desire.hosts.storage import storage
from phoenix_hypervisor.config.desire.hosts.system import system
from phoenix_hypervisor.config.desire.hosts.volumes import volumes
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.host import HostSetup


def setup(folder: Folder) -> HostSetup:
    """All parts of the host."""
    return HostSetup(
        storage=storage(folder),
        volumes=volumes(folder),
        network=network(folder),
        firewall=firewall(folder),
        shares=shares(folder),
        system=system(folder),
        cards=cards(folder),
        profiles=profiles(folder),
        names=names(folder),
        backups=backups(folder),
    )
