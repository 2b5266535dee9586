"""Desired states as small as a feature's question needs them."""

from pathlib import Path
from typing import Any

from phoenix_hypervisor.model import address
from phoenix_hypervisor.model.desired import Desired, Guest, Host, Image, Nic


def guest(number: int, name: str, *, ip: str | None = "auto", **fields: Any) -> Guest:
    """A container; its address is 10.0.0.<number> unless it is told."""
    cidr = f"10.0.0.{number}/24" if ip == "auto" else ip
    return Guest(
        address=address.lxc(number),
        kind="lxc",
        id=number,
        name=name,
        source=Image("debian-13-standard"),
        memory_mb=512,
        cores=1,
        nics=(Nic("eth0", "br0", cidr),),
        **fields,
    )


def desired(*guests: Guest, host: Host | None = None) -> Desired:
    """These guests."""
    return Desired(
        folder=Path("/nowhere"),
        stack="test",
        host=host or Host(),
        guests={each.address: each for each in guests},
    )
