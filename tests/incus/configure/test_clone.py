"""Several guests at once, of which one is a clone, and one that is stopped."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from tests.support.configurebench import ConfigureBench
from tests.support.featurebench import Bench

from phoenix_hypervisor.configure import ConfigureResult
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.desired import CloneOf
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.errors import (
    Unreachable,
)
from phoenix_hypervisor.shell import Shell

pytestmark = pytest.mark.incus


IDENTITY = "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub | cut -c 1-100"


def drive(containers: Bench, work: Callable[[Driver], Awaitable[None]]) -> None:
    async def connected() -> None:
        async with containers._driver() as driver:
            await work(driver)

    asyncio.run(connected())


@pytest.fixture
def clone(bench: ConfigureBench, containers: Bench) -> ConfigureBench:
    """A running clone of the guest, which has SSH and a feature."""
    install = "DEBIAN_FRONTEND=noninteractive apt-get install -y openssh-server"
    bench.inside(f"apt-get update -qq; {install}")
    bench.run(("probe", {}))
    nic = replace(bench.guest.nics[0], address=f"{containers.corner.subnet()}.99/24")
    guest = replace(
        bench.guest,
        address=addresses.lxc(9599),
        id=9599,
        name="clone",
        source=CloneOf(bench.guest.address, None),
        nics=(nic,),
    )
    containers.guests["clone"] = guest
    way_in: list[str] = []

    async def make(driver: Driver) -> None:
        await driver.stop(bench.guest.address, print)
        await driver.create(guest, containers.desired, print)
        await driver.start(bench.guest, print)
        await driver.start(guest, print)
        way_in.extend(await driver.way_in(guest.address))

    drive(containers, make)
    return ConfigureBench(guest, way_in, bench.folder)


def test_a_clone_beside_its_source_and_then_stopped(
    bench: ConfigureBench, clone: ConfigureBench, containers: Bench
) -> None:
    before = bench.inside(IDENTITY).splitlines()
    cloned = clone.inside(IDENTITY).splitlines()
    assert cloned[0] != before[0], "the driver boots a clone with a machine id of its own"
    assert cloned[1:] == before[1:], "its SSH keys are the source's until it is configured"
    slow = ("second", {"command": "sleep 1.5"})

    async def both() -> tuple[ConfigureResult, ConfigureResult]:
        return await asyncio.gather(
            bench.configure(("probe", {}), slow), clone.configure(("probe", {}), slow)
        )

    begun = time.monotonic()
    first, second = asyncio.run(both())
    assert time.monotonic() - begun < 25, "a step waited for a time limit"
    assert (first.ran, first.renewed) == (("second",), False)
    assert (second.ran, second.renewed) == (("probe", "second"), True)

    assert bench.inside(IDENTITY).splitlines() == before
    after = clone.inside(IDENTITY).splitlines()
    assert set(before) & set(after) == set()
    assert [len(before[0]), len(after[0])] == [32, 32]
    assert clone.inside("systemctl is-active ssh") == "active\n"
    record = json.loads(clone.inside("cat /var/lib/phoenix/applied.json"))
    assert record["address"] == "lxc/9599"
    assert clone.run(("probe", {}), slow).ran == ()

    with Shell(clone.way_in) as shell:
        shell.run("true", timeout_s=30)
        drive(containers, lambda driver: driver.stop(clone.guest.address, print))
        with pytest.raises(Unreachable):
            shell.run("echo still there", timeout_s=30)
    with pytest.raises(Unreachable, match="no shell can be opened: Error: Instance is not running"):
        clone.run(("second", {}))
