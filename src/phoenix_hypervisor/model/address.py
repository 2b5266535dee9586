"""Addresses name everything that Phoenix manages, such as `lxc/101` or `bridge/vmbr0`."""

from typing import NewType

Address = NewType("Address", str)


def lxc(guest_id: int) -> Address:
    """The address of a container."""
    return Address(f"lxc/{guest_id}")


def vm(guest_id: int) -> Address:
    """The address of a virtual machine."""
    return Address(f"vm/{guest_id}")


def storage(name: str) -> Address:
    """The address of a storage pool."""
    return Address(f"storage/{name}")


def bridge(name: str) -> Address:
    """The address of a network bridge."""
    return Address(f"bridge/{name}")


def kind(address: Address) -> str:
    """The part before the first slash: `lxc`, `vm`, `storage`, …"""
    return address.partition("/")[0]


def ident(address: Address) -> str:
    """The part after the first slash: the id or name."""
    return address.partition("/")[2]


def is_guest(address: Address) -> bool:
    """Whether the address names a container or a virtual machine."""
    return kind(address) in ("lxc", "vm")


def order(address: Address) -> tuple[str, int, str]:
    """A sort key: by kind, then by number where the name is one, then by name."""
    name = ident(address)
    return (kind(address), int(name) if name.isascii() and name.isdigit() else 0, name)
