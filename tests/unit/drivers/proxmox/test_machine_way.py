"""Ways into virtual machines: what a machine's agent says is a stranger's word."""

from typing import Any

from phoenix_hypervisor.drivers.proxmox.machine_way import Machines
from phoenix_hypervisor.drivers.proxmox.state import State
from phoenix_hypervisor.model.address import Address


class Agent:
    """The one request of the API that is asked."""

    def __init__(self, *told: str) -> None:
        self.told = told

    async def get(self, where: str) -> Any:
        assert where.endswith("/agent/network-get-interfaces")
        return {
            "result": [
                {"name": "lo", "ip-addresses": [{"ip-address": "127.0.0.1"}]},
                {"name": "eth0", "ip-addresses": [{"ip-address": each} for each in self.told]},
            ]
        }


async def addresses(*told: str) -> list[str]:
    machines = Machines(Agent(*told), None, None)  # type: ignore[arg-type]
    return await machines.addresses(State(Address("vm/101"), "pve1", {"net0": "virtio"}))


async def test_the_fourth_version_goes_first_and_local_ones_not_at_all() -> None:
    told = await addresses("fe80::1%eth0", "fd00::2", "169.254.3.4", "10.0.0.7")
    assert told == ["10.0.0.7", "fd00::2"]


async def test_a_text_that_is_no_address_never_gets_to_the_node() -> None:
    """There it would stand in an address of socat, which root runs: `!!` begins another one."""
    assert await addresses("10.0.0.7:22!!EXEC:reboot", "-oProxyCommand=x", "") == []
