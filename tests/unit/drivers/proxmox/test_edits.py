"""What is written to a guest that is there: never more than the plan said."""

from collections.abc import Mapping

from phoenix_hypervisor.drivers.proxmox import edits
from phoenix_hypervisor.drivers.proxmox.state import State
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Guest, Image, Mount

GUEST = Guest(
    address=Address("lxc/101"),
    kind="lxc",
    id=101,
    name="db",
    source=Image("debian-13"),
    memory_mb=512,
    cores=1,
    mounts=(Mount("/srv/new", "/srv/new"),),
)
CONFIG: Mapping[str, object] = {"mp0": "tank:vm-101-disk-1,mp=/data,size=1G", "mp1": "/srv,mp=/srv"}


def written(*paths: str) -> edits.Edits:
    return edits.between(GUEST, State(GUEST.address, "pve1", CONFIG), frozenset(paths))


def test_a_volume_that_was_added_after_the_plan_stays() -> None:
    """Else it would be taken off, and then destroyed, by the change of a mount."""
    found = written("mounts./srv/new.source")
    assert "mp0" not in found.plain
    assert found.root == {"mp1": None, "mp2": "/srv/new,mp=/srv/new"}


def test_a_volume_goes_where_the_plan_said_so() -> None:
    assert written("volumes./data.pool").plain == {"mp0": None}
