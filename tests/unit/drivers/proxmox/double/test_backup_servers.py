"""Proxmox Backup Servers as storages: added, mended, and their password never shown."""

from dataclasses import replace
from typing import Any

import pytest
from tests.conformance.double import DoubleKit
from tests.conformance.steps import quiet

from phoenix_hypervisor.drivers.proxmox import privileges
from phoenix_hypervisor.host import backups
from phoenix_hypervisor.host.backup_servers import PART
from phoenix_hypervisor.host.part import Choice, Decided
from phoenix_hypervisor.host.planning import make
from phoenix_hypervisor.model.desired import Desired, Host
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.errors import SecretMissing
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.backups import BackupJob, Backups, BackupServer
from phoenix_hypervisor.model.secret import Secret

PASSWORD = "pa55'word \"$(id)"
VAULT = BackupServer(
    "vault",
    server="10.0.0.5",
    datastore="home",
    username="phoenix@pbs!home",
    password=Secret(name="PBS"),
    fingerprint=":".join(["AB"] * 32),
)
RIGHTS = (*privileges.BASE, "Datastore.Allocate", "Sys.Modify")


@pytest.fixture
async def knowing(kit: DoubleKit) -> DoubleKit:
    await kit.double.token(*RIGHTS)
    return replace(kit, environ={**kit.environ, "PBS": PASSWORD})


def asking(kit: DoubleKit, *servers: BackupServer, jobs: tuple[BackupJob, ...] = ()) -> Desired:
    setup = HostSetup(backups=Backups(jobs=jobs, servers=servers))
    return replace(kit.desired(), host=Host(setup=setup))


async def decided(driver: Driver, desired: Desired) -> Decided:
    return PART.decide(desired, await PART.look(await driver.node(), desired), Choice())


async def brought(driver: Driver, desired: Desired) -> list[tuple[str, dict[str, Any]]]:
    """Does what is to be done; what was shown of it. Afterwards there is nothing left to do."""
    found = await decided(driver, desired)
    assert found.refusals == ()
    for task in found.tasks:
        await PART.make(await driver.node(), task, desired, quiet)
    assert (await decided(driver, desired)).tasks == ()
    shown = [(t.action.value, {f.path: (f.before, f.after) for f in t.fields}) for t in found.tasks]
    assert PASSWORD not in repr(found)
    return shown


async def test_one_is_added_changed_and_mended(knowing: DoubleKit) -> None:
    async with knowing.open() as driver:
        ((action, fields),) = await brought(driver, asking(knowing, VAULT))
        assert (action, fields["password"]) == ("create", (None, "[secret]"))
        node = await driver.node()
        there = await node.get("/storage/vault")
        assert (there["type"], there["content"], there["server"]) == ("pbs", "backup", "10.0.0.5")
        assert "password" not in there
        # Another namespace, and a fingerprint that was changed by hand.
        await node.send("PUT", "/storage/vault", fingerprint=":".join(["cd"] * 32))
        ((action, fields),) = await brought(
            driver, asking(knowing, replace(VAULT, namespace="a/b"))
        )
        assert (action, set(fields)) == ("update", {"fingerprint", "namespace"})
    # A new password alone is seen, though Proxmox VE shows none.
    other = replace(knowing, environ={**knowing.environ, "PBS": "another"})
    async with other.open() as driver:
        assert await brought(driver, asking(other, VAULT)) == [
            ("update", {"password": (None, "[secret]")})
        ]
        assert await brought(driver, asking(other)) == []
        assert [one["storage"] for one in await node_storages(driver)].count("vault") == 1


async def test_what_can_not_be_changed_is_refused(knowing: DoubleKit) -> None:
    async with knowing.open() as driver:
        await brought(driver, asking(knowing, VAULT))
        (refusal,) = (await decided(driver, asking(knowing, replace(VAULT, server="b")))).refusals
        assert refusal.startswith("storage/vault: its server is 10.0.0.5, the files say b.")
        there = BackupServer("local", "b", "home", "a@pbs", Secret(literal="x"))
        (refusal,) = (await decided(driver, asking(knowing, there))).refusals
        assert refusal.startswith("storage/local: its type is dir, the files say pbs.")


async def test_a_missing_privilege_is_told_before_anything_is_done(kit: DoubleKit) -> None:
    async with kit.open() as driver:
        (refusal,) = (await decided(driver, asking(kit, VAULT))).refusals
        assert refusal.startswith("the login of the API lacks Datastore.Allocate on /storage")


async def test_a_secret_without_a_value_is_told(kit: DoubleKit) -> None:
    await kit.double.token(*RIGHTS)
    lacking = replace(VAULT, password=Secret(name="NOWHERE"))
    async with kit.open() as driver:
        found = await decided(driver, asking(kit, lacking))
        with pytest.raises((SecretMissing, KeyError)):
            await PART.make(await driver.node(), found.tasks[0], asking(kit, lacking), quiet)


async def test_a_job_waits_for_its_server(knowing: DoubleKit) -> None:
    job = BackupJob("nightly", schedule="02:30", storage="vault")
    desired = asking(knowing, VAULT, jobs=(job,))
    async with knowing.open() as driver:
        node = await driver.node()
        jobs = backups.PART.decide(desired, await backups.PART.look(node, desired), Choice())
        plan = make("home", "proxmox", [await decided(driver, desired), jobs])
        server, nightly = plan.changes
        assert nightly.after == (server.address,)
        assert nightly.steps[0].after == (server.steps[0].id,)


async def node_storages(driver: Driver) -> list[dict[str, object]]:
    found: list[dict[str, object]] = await (await driver.node()).get("/storage")
    return found
