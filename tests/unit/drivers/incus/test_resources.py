import pytest
from tests.unit.plan.worlds import INCUS, desired, plain

from phoenix_hypervisor.drivers.incus.resources import routed_elsewhere
from phoenix_hypervisor.model.address import bridge
from phoenix_hypervisor.model.desired import Bridge
from phoenix_hypervisor.model.observed import Observed, SeenResource

ROUTES = (("192.0.2.0/24", "eth0"), ("10.0.0.0/8", "tun0"), ("fd42::/64", "phxbr0"))


@pytest.mark.parametrize(
    ("cidr", "taken"),
    [
        ("192.0.2.1/24", "192.0.2.0/24 on eth0"),
        ("192.0.2.129/25", "192.0.2.0/24 on eth0"),
        ("192.0.0.1/16", "192.0.2.0/24 on eth0"),
        ("10.201.0.1/24", "10.0.0.0/8 on tun0"),
        ("192.0.3.1/24", None),
        ("fd42::1/64", None),  # the bridge's own route
        ("fd42::1/48", None),
        ("fd43::1/64", None),
        (None, None),
    ],
)
def test_routed_elsewhere(cidr: str | None, taken: str | None) -> None:
    assert routed_elsewhere(Bridge(bridge("phxbr0"), "phxbr0", cidr), ROUTES) == taken


def on_a_bridge(cidr: str | None) -> Observed:
    fields = {"managed": True} | ({"cidr": cidr} if cidr else {})
    return Observed(resources={bridge("vmbr0"): SeenResource(bridge("vmbr0"), None, fields)})


def test_the_plan_refuses_addresses_that_a_bridge_does_not_serve() -> None:
    folder = desired(plain())  # 10.0.0.101/24
    (told,) = INCUS.problems(folder, on_a_bridge("10.201.0.1/24"))
    assert "lxc/101: its address 10.0.0.101/24 is outside the subnet 10.201.0.0/24" in told
    for cidr in ("10.0.0.1/24", "10.0.0.1/8", "fd00::1/64", None):
        assert INCUS.problems(folder, on_a_bridge(cidr)) == []


def test_the_plan_refuses_a_subnet_that_is_routed_elsewhere() -> None:
    folder = desired(plain())  # on vmbr0, 10.0.0.1/24
    (told,) = INCUS.problems(folder, Observed(routes=ROUTES))
    assert told.startswith("bridge/vmbr0: this machine already routes 10.0.0.1/24 elsewhere")
    assert "10.0.0.0/8 on tun0" in told
    there = {bridge("vmbr0"): SeenResource(bridge("vmbr0"))}
    assert INCUS.problems(folder, Observed(routes=ROUTES, resources=there)) == []
