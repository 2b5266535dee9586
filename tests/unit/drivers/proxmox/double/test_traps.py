"""What Proxmox VE does otherwise than one would think, each seen on its real daemons."""

import asyncio
from dataclasses import replace

import pytest
from tests.conformance.double import DoubleKit
from tests.conformance.steps import must_see, quiet
from tests.unit.drivers.proxmox.double.worlds import asked_for, converged, made, only, tasks
from tests.unit.plan.worlds import NGINX

from phoenix_hypervisor.drivers.proxmox.api.paths import path
from phoenix_hypervisor.model.change import Action
from phoenix_hypervisor.model.desired import (
    CloneOf,
    Firewall,
    FirewallRule,
    Guest,
    Mount,
    Nic,
    Volume,
)
from phoenix_hypervisor.plan.make import make
from phoenix_hypervisor.plan.options import Options


def ct(guest: Guest, *more: str) -> str:
    return path("nodes", "pve1", "lxc", guest.id, *more)


def resting(kit: DoubleKit, number: int = 0, **words: object) -> Guest:
    return kit.guest(number, snapshot_name="ready", **words)


@pytest.mark.parametrize("text", ["One line", "Two\nlines & more: ü", "trailing\n"])
async def test_a_description_gains_a_newline(kit: DoubleKit, text: str) -> None:
    """And is no difference for that."""
    desired = await made(kit, resting(kit, description=text.rstrip("\n")))
    await converged(kit, desired)
    changed = kit.desired(resting(kit, description="Another"))
    assert (await kit.apply(desired=changed)).ok
    await converged(kit, changed)
    without = kit.desired(resting(kit))
    assert (await kit.apply(desired=without)).ok
    await converged(kit, without)


async def test_tags_come_back_sorted_and_lower_cased(kit: DoubleKit) -> None:
    """Somebody's own stay; the stack's name may have capitals."""
    capital = replace(kit, stack="Lab")
    guest = resting(kit)
    desired = capital.desired(guest)
    assert (await capital.apply(desired=desired)).ok
    async with kit.double.api() as by_hand:
        there = await by_hand.get(ct(guest, "config"))
        await by_hand.put(ct(guest, "config"), tags=f"zoo;{there['tags']};Alpha")
    await converged(capital, desired)
    changed = capital.desired(replace(guest, memory_mb=300))
    assert (await capital.apply(desired=changed)).ok
    async with capital.open() as driver:
        await driver.mark(guest.address, "abc123")
        assert (await must_see(driver, capital, guest)).fingerprint == "abc123"
    there = await kit.double.guest(guest.id)
    assert there is not None
    assert there["config"]["tags"] == f"alpha;phoenix-id.{guest.id}.abc123;phoenix.lab;zoo"


async def test_a_snapshot_of_a_guest_with_bind_mounts(kit: DoubleKit) -> None:
    """Proxmox VE takes none: the mounts are set aside for that time, and are back whatever came."""
    source = resting(kit, mounts=(Mount(kit.host_folder("shared"), "/srv/shared"),))
    clone = kit.guest(1, source=CloneOf(source.address, "ready"), snapshot_name="own")
    await kit.double.answer("POST", f"/{source.id}/snapshot", 500, "oops")
    report = await kit.apply(source)
    assert only(report).message == "oops"
    there = await kit.double.guest(source.id)
    assert there is not None
    assert there["config"]["mp0"] == f"{kit.host_folder('shared')},mp=/srv/shared"
    desired = kit.desired(source, clone)
    assert (await kit.apply(desired=desired)).ok
    there = await kit.double.guest(source.id)
    assert there is not None
    assert "ready" in there["snapshots"]
    assert "mp0" not in there["snapshots"]["ready"]
    assert there["config"]["mp0"] == f"{kit.host_folder('shared')},mp=/srv/shared"
    await converged(kit, desired)


@pytest.mark.parametrize("what", ["start", "stop"])
async def test_somebody_was_faster(kit: DoubleKit, what: str) -> None:
    """A guest that runs (or rests) just before the request: what was wanted is there."""
    running, rests = kit.guest(0), resting(kit)
    await made(kit, rests if what == "start" else running)
    desired = kit.desired(running if what == "start" else rests)
    suffix = "/status/start" if what == "start" else "/status/shutdown"
    await kit.double.delay("POST", suffix, 0.3, times=1)
    async with kit.open() as driver:
        plan = await kit.plan(desired, driver)
        walk = asyncio.create_task(kit.walk(plan, desired, driver))
        await asked_for(kit, "POST", suffix)
        await kit.double.set_guest(running.id, status="running" if what == "start" else "stopped")
        report = await walk
    assert report.ok, report.failed
    await converged(kit, desired)


async def test_an_unknown_bridge_is_told_by_the_plan(kit: DoubleKit) -> None:
    guest = kit.guest(0)
    await made(kit, guest)
    changed = replace(guest, nics=(replace(guest.nics[0], bridge="vmbr7"),))
    other = replace(kit.the_bridge(), address=type(guest.address)("bridge/vmbr7"), name="vmbr7")
    desired = replace(kit.desired(changed), bridges={other.address: other})
    plan = await kit.plan(desired)
    assert any("bridge/vmbr7 is not there" in line for line in plan.refusals)
    there = await kit.double.guest(guest.id)
    assert there is not None
    assert "bridge=vmbr0" in there["config"]["net0"]


async def test_a_card_that_was_lost_by_a_failed_change_comes_back(kit: DoubleKit) -> None:
    """The bridge vanishes between plan and apply: the card is gone, and its bad value waits."""
    await kit.double.bridge("vmbr7")
    guest = kit.guest(0)
    await made(kit, guest)
    changed = replace(guest, nics=(Nic("eth0", "vmbr7", kit.ip(0)),), memory_mb=300)
    desired = kit.desired(changed)
    async with kit.open() as driver:
        plan = await kit.plan(desired, driver)
        await kit.double.unset("bridges", "vmbr7")
        failure = only(await kit.walk(plan, desired, driver))
    assert "bridge 'vmbr7' does not exist" in failure.message
    there = await kit.double.guest(guest.id)
    assert there is not None
    assert "net0" not in there["config"]
    await kit.double.forget()  # that it was refused is what is tested
    back = kit.desired(guest)
    assert (await kit.plan(back)).changes != ()
    assert (await kit.apply(desired=back)).ok
    there = await kit.double.guest(guest.id)
    assert there is not None
    assert "bridge=vmbr0" in there["config"]["net0"]
    assert there["pending"] == {}
    await converged(kit, back)


async def test_firewall_rules_keep_their_order(kit: DoubleKit) -> None:
    """A new one lands at the top, whatever position is asked for."""

    def rules(*ports: str) -> Guest:
        told = tuple(FirewallRule("in", "ACCEPT", proto="tcp", ports=(port,)) for port in ports)
        return resting(kit, firewall=Firewall(enabled=True, rules=told))

    guest = rules("1", "2", "3")
    await made(kit, guest)
    for ports in (("1", "2", "3"), ("3", "1", "2"), ("3", "9", "1", "2"), ("2",)):
        desired = kit.desired(rules(*ports))
        assert (await kit.apply(desired=desired)).ok
        async with kit.double.api() as by_hand:
            there = await by_hand.get(ct(guest, "firewall", "rules"))
        assert tuple(rule["dport"] for rule in there) == ports
        await converged(kit, desired)


async def test_a_rollback_by_hand(kit: DoubleKit) -> None:
    """It brings back tags and sizes but keeps the notes: the inside's fingerprint is a tag."""
    guest = resting(kit, features=NGINX, description="as the files say")
    desired = kit.desired(guest)
    async with kit.open() as driver:
        await driver.create(guest, desired, quiet)
        await driver.mark(guest.address, "a1")
        await driver.snapshot(guest.address, "ready", quiet)
        async with kit.double.api() as by_hand:
            await by_hand.run("POST", ct(guest, "snapshot"), snapname="byhand")
        later = replace(guest, memory_mb=300)
        assert (await kit.apply(desired=kit.desired(later))).ok
        await driver.mark(guest.address, "b2")
        wanted = kit.desired(later)
        prints = Options(fingerprints={guest.address: "b2"})

        async with kit.double.api() as by_hand:
            await by_hand.run("POST", ct(guest, "snapshot", "byhand", "rollback"))
        seen = await must_see(driver, kit, later)
        assert (seen.fingerprint, seen.stack, seen.complete) == ("a1", kit.stack, True)
        plan = make(wanted, await driver.observe(wanted), driver, prints)
        (change,) = plan.changes
        assert change.action is Action.UPDATE
        assert {field.path for field in change.fields} == {"memory_mb"}
        assert "configure" in {step.name for step in change.steps}


async def test_a_rollback_behind_the_marks(kit: DoubleKit) -> None:
    """To a snapshot that somebody took before Phoenix adopted the guest: the notes still tell."""
    guest = kit.guest(0, snapshot_name="ready")
    await kit.double.container(guest.id, guest.name, config={"memory": 128})
    async with kit.double.api() as by_hand, kit.open() as driver:
        await by_hand.run("POST", ct(guest, "snapshot"), snapname="byhand")
        await driver.adopt(guest, quiet)
        await driver.mark(guest.address, "a1")
        await by_hand.run("POST", ct(guest, "snapshot", "byhand", "rollback"))
        seen = await must_see(driver, kit, guest)
    assert (seen.stack, seen.complete, seen.fingerprint) == (kit.stack, True, None)


async def test_volumes_that_were_taken_off_leave_nothing(kit: DoubleKit) -> None:
    """Proxmox VE keeps them as `unused`; those that somebody keeps so stay."""
    guest = resting(kit, volumes=(Volume("data", kit.pool, 1, "/data"),))
    await made(kit, guest)
    config = {"unused0": f"{kit.pool}:vm-{guest.id}-disk-9"}
    await kit.double.set_guest(guest.id, config=config)
    without = kit.desired(replace(guest, volumes=()))
    report = await kit.apply(desired=without)
    assert report.ok, report.failed
    there = await kit.double.guest(guest.id)
    assert there is not None
    unused = {key: value for key, value in there["config"].items() if key.startswith("unused")}
    assert unused == config
    assert (await kit.plan(without)).changes == ()


@pytest.mark.parametrize("kind", ["machine", "container"])
async def test_an_id_that_is_somebody_else_s(kit: DoubleKit, kind: str) -> None:
    guest = kit.guest(0)
    if kind == "machine":
        await kit.double.machine(guest.id, "theirs", config={"memory": 64})
    else:
        await kit.double.container(guest.id, "theirs")
    plan = await kit.plan(kit.desired(guest))
    (refusal,) = plan.refusals
    assert refusal.startswith(f"{guest.address}: the id is taken by ")
    assert "“theirs”" in refusal
    if kind == "machine":
        assert f"vm/{guest.id}" in refusal


async def test_a_clone_has_no_marks_of_its_source(kit: DoubleKit) -> None:
    """It is copied with its source's tags and notes."""
    source = resting(kit, description="the source")
    clone = kit.guest(1, source=CloneOf(source.address, "ready"), snapshot_name="own")
    await made(kit, source)
    async with kit.double.api() as by_hand:
        await by_hand.run("POST", ct(source, "clone"), newid=kit.id(5), snapname="ready", full=True)
    async with kit.open() as driver:
        theirs = (await driver.observe(kit.desired(source, clone))).guests
    assert [one.stack for one in theirs.values() if one.address.endswith(str(kit.id(5)))] == [None]
    assert (await kit.apply(source, clone)).ok
    made_by_us = await kit.double.guest(clone.id)
    assert made_by_us is not None
    assert "the source" not in made_by_us["config"]["description"]
    assert await tasks(kit, "vzdestroy") == []


async def test_somebody_adds_a_firewall_rule_meanwhile(kit: DoubleKit) -> None:
    """Positions move by it: it is not the one that is taken away, and the next plan shows it."""

    def rules(*ports: str) -> Guest:
        told = tuple(FirewallRule("in", "ACCEPT", proto="tcp", ports=(port,)) for port in ports)
        return resting(kit, firewall=Firewall(enabled=True, rules=told))

    guest = rules("1", "2")
    await made(kit, guest)
    desired = kit.desired(rules("3"))
    await kit.double.delay("DELETE", "/firewall/rules/2", 0.5, times=1)
    async with kit.open() as driver, kit.double.api() as by_hand:
        plan = await kit.plan(desired, driver)
        walk = asyncio.create_task(kit.walk(plan, desired, driver))
        await asked_for(kit, "DELETE", "/firewall/rules/2")
        rows = ct(guest, "firewall", "rules")
        await by_hand.post(rows, type="in", action="DROP", comment="by hand", enable=1)
        failure = only(await walk)
    assert "detected modified configuration" in failure.message
    async with kit.double.api() as by_hand:
        there = await by_hand.get(ct(guest, "firewall", "rules"))
    assert [rule.get("comment") or rule.get("dport") for rule in there] == [
        "by hand",
        "3",
        "1",
        "2",
    ]
    assert (await kit.plan(desired)).changes != ()
    assert (await kit.apply(desired=desired)).ok
    await converged(kit, desired)


async def test_a_guest_that_stops_while_it_is_stopped_hard(kit: DoubleKit) -> None:
    guest = kit.guest(0)
    await made(kit, guest)
    await kit.double.delay("POST", "/status/stop", 0.3, times=1)
    async with kit.open() as driver:
        task = asyncio.create_task(driver.delete(guest.address, quiet))
        await asked_for(kit, "POST", "/status/stop")
        await kit.double.set_guest(guest.id, status="stopped")
        await task
    assert await kit.double.guests() == []
