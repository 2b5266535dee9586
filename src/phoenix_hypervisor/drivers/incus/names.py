"""Names on Incus: how instances, volumes and marks are called.

Everything that Phoenix must know about a guest lies in its `user.phoenix.*` keys, which a
snapshot's restore rolls back together with the disk. A clone copies them too: whoever clones
writes them anew.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping

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
UNPLUGGED = PREFIX + "unplugged"
"""Which network cards we took off, to put them on again at once. One that is away and is not named
here was taken away by somebody."""
SPARE = PREFIX + "spare"
"""On a guest that is a restored backup and only there to be checked, and on its volumes: whose."""

_RESTORED = "phoenix-spare-"
COMPLETE = "complete"
CREATING = "creating"

ROOT = "root"
_PREFIXES = ("mount-", "volume-", "nic-", "handover-")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


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
    return f"{instance(guest)}-{_legal(name)}"


def restored(name: str) -> str:
    """`lxc-9900` -> `phoenix-spare-lxc-9900`: what is imported for a spare guest is called so.

    An import writes no marks: all keys are those of the guest that was backed up. So the name is
    the mark, which nobody gives by hand.
    """
    return f"{_RESTORED}{name}"


def restored_for(name: str) -> Address | None:
    """`phoenix-spare-lxc-9900-data` -> `lxc/9900`; None for another name."""
    if not name.startswith(_RESTORED):
        return None
    kind, _, rest = name.removeprefix(_RESTORED).partition("-")
    return address(f"{kind}-{rest.partition('-')[0]}")


def volume_device(name: str) -> str:
    """The device that hands a volume to its guest: `volume-data`."""
    return f"volume-{_legal(name)}"


def mount_device(target: str) -> str:
    """The device of a bind mount; its target is in the device's `path`."""
    return f"mount-{_hash(target)}"


def nic_device(name: str) -> str:
    """The device of a network card: the card's own name, where no other device could have it."""
    own = _legal(name) == name and name != ROOT and not name.startswith(_PREFIXES)
    return name if own else f"nic-{_hash(name)}"


def volume_names(keys: Mapping[str, str]) -> dict[str, str]:
    """The names of an instance's volumes, by the device of each, from its configuration keys."""
    found: Iterable[str] = (k.removeprefix(VOLUME) for k in keys if k.startswith(VOLUME))
    return {volume_device(name): name for name in found}


def _legal(name: str) -> str:
    # A name as it is never holds a dot, so that none can be the hash of another.
    return name if _PLAIN.fullmatch(name) else f"{_hash(name)}.x"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def host_of(resource: Address) -> str:
    """The plain name of a pool or bridge."""
    return addresses.ident(resource)
