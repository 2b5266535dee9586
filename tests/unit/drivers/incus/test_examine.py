"""What `phoenix doctor` says of a folder that Incus can't make, before a plan refuses it."""

from dataclasses import replace
from pathlib import Path

from tests.unit.plan.worlds import desired, plain

from phoenix_hypervisor.drivers.incus import connect
from phoenix_hypervisor.model.address import vm
from phoenix_hypervisor.model.desired import Target
from phoenix_hypervisor.model.finding import Examines

MACHINE = replace(plain(200), address=vm(200), kind="vm")


async def test_virtual_machines_are_found_before_a_plan_refuses_them() -> None:
    driver = connect(Target(), "lab", folder=Path("/nowhere"), environ={})
    assert isinstance(driver, Examines)
    assert list(await driver.examine(desired(plain(101)))) == []
    (finding,) = await driver.examine(desired(plain(101), MACHINE))
    assert (finding.what, finding.severity) == ("virtual machines", "error")
    assert "vm/200" in finding.said
    assert "--on sim" in finding.mend
