"""The rules that close a model server's port, in Proxmox VE's own firewall."""

from dataclasses import replace

from tests.conformance.double import DoubleKit
from tests.unit.drivers.proxmox.double.worlds import converged

from phoenix_hypervisor.config.desire.guarded import MARK, guarded
from phoenix_hypervisor.drivers.proxmox.state import url
from phoenix_hypervisor.model.desired import Desired, Firewall, FirewallRule
from phoenix_hypervisor.model.finding import Examines, Finding

OWN = FirewallRule("in", "ACCEPT", "192.0.2.7", proto="tcp", ports=("8000",), comment="my desk")


def world(kit: DoubleKit) -> Desired:
    """A model server on port 8000 with a rule of its own, its proxy, and one that depends on it."""
    server = replace(kit.guest(0), firewall=Firewall(True, (OWN,), "ACCEPT"))
    proxy, user = kit.guest(1), replace(kit.guest(2), dependencies=(server.address,))
    reached = {proxy.address: [(server.address, 8000)]}
    return guarded(kit.desired(server, proxy, user), {server.address: [8000]}, reached).desired


async def test_the_rules_are_made_in_order_and_the_next_plan_is_empty(kit: DoubleKit) -> None:
    desired = world(kit)
    server, proxy, user = desired.guests.values()
    report = await kit.apply(desired=desired)
    assert report.ok, report.failed
    async with kit.double.api() as api:
        rows = await api.get(url("pve1", server.address, "firewall", "rules"))
        card = (await api.get(url("pve1", server.address, "config")))["net0"]
    told = sorted(rows, key=lambda row: int(row["pos"]))
    assert [(row["action"], row.get("source"), row["dport"], row["comment"]) for row in told] == [
        ("ACCEPT", "192.0.2.7", "8000", "my desk"),
        ("ACCEPT", f"{proxy.ip},{user.ip}", "8000", MARK),
        ("REJECT", None, "8000", MARK),
    ]
    assert "firewall=1" in card
    await converged(kit, desired)


async def found(kit: DoubleKit, desired: Desired) -> list[Finding]:
    async with kit.open() as driver:
        assert isinstance(driver, Examines)
        return [one for one in await driver.examine(desired) if one.what == "firewall"]


async def test_the_doctor_says_where_the_datacenters_firewall_is_off(kit: DoubleKit) -> None:
    desired = world(kit)
    assert await found(kit, kit.desired(kit.guest(1))) == []
    (off,) = await found(kit, desired)
    assert (off.severity, kit.guest(0).address in off.said) == ("warning", True)
    async with kit.double.api() as api:
        await api.put("/cluster/firewall/options", enable="1")
    (on,) = await found(kit, desired)
    assert on.ok
