"""Names on Incus: how instances, volumes and marks are called.

Everything that Phoenix must know about a guest lies in its `user.phoenix.*` keys, which a
snapshot's restore rolls back together with the disk. A clone copies them too: whoever clones
writes them anew.
"""

from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address

PREFIX = "user.phoenix."
STACK = PREFIX + "stack"
ADDRESS = PREFIX + "address"
NAME = PREFIX + "name"
STATE = PREFIX + "state"
FINGERPRINT = PREFIX + "fingerprint"
FIREWALL = PREFIX + "firewall"
PROTECTED = PREFIX + "protected"
NIC = PREFIX + "nic."
VOLUME = PREFIX + "volume."
HANDOVER = PREFIX + "handover"

COMPLETE = "complete"
CREATING = "creating"


def instance(address: Address) -> str:
    """`lxc/101` -> `lxc-101` (Incus refuses dots and slashes)."""
    return address.replace("/", "-")


def address(instance_name: str) -> Address | None:
    """`lxc-101` -> `lxc/101`; None for a name that no guest of ours could have."""
    kind, _, number = instance_name.partition("-")
    if kind in ("lxc", "vm") and number.isdigit():
        return Address(f"{kind}/{number}")
    return None


def volume(guest: Address, name: str) -> str:
    """The custom storage volume of a guest's volume: `lxc-101-data`."""
    return f"{instance(guest)}-{name.replace('/', '-')}"


def host_of(resource: Address) -> str:
    """The plain name of a pool or bridge."""
    return addresses.ident(resource)
