"""The host's objects in a real Proxmox VE: what its API takes, keeps and tells.

The network is only looked at. All else is made beside what is there, and taken away again; the
firewall has to be off, and stays so.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.pve.node import PveKit, Setting

from phoenix_hypervisor.host import _rules, backups, firewall, network, storages
from phoenix_hypervisor.host._firewall_world import SWITCH
from phoenix_hypervisor.host.part import Choice, Decided, Part
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action
from phoenix_hypervisor.model.desired import Desired, Host
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.backups import BackupJob, Backups, Keep
from phoenix_hypervisor.model.host.firewall import Alias, ClusterFirewall, Group, HostRule, IpSet
from phoenix_hypervisor.model.host.network import HostInterface, HostNetwork
from phoenix_hypervisor.model.host.storage import PveStorage, Storage
from phoenix_hypervisor.model.node import Node

pytestmark = pytest.mark.pve

_STACK = "phoenix-host-test"
_CLUSTER = "/cluster/firewall"
_STORAGE = "phoenix-host-test"
_JOB = f"phoenix-{_STACK}-nightly"
_PVE_USER = "set PHOENIX_PVE_USER and PHOENIX_PVE_PASSWORD (root@pam), or give the token more"


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> PveKit:
    setting = Setting()
    kit = PveKit.make(tmp_path_factory.mktemp("pve-host"), setting)
    return replace(kit, target=setting.target(as_root=bool(setting.get("USER"))))


@pytest.fixture
async def node(kit: PveKit) -> AsyncIterator[Node]:
    async with kit.open(_STACK) as driver:
        yield await driver.node()


async def _needs(node: Node, *privileges: str) -> None:
    allowed = (await node.get("/access/permissions")).get("/", {})
    if lacks := [one for one in privileges if one not in allowed]:
        pytest.skip(f"the login lacks {', '.join(lacks)} on /: {_PVE_USER}")


def _desired(**setup: Any) -> Desired:
    return Desired(Path("/nowhere"), _STACK, host=Host(setup=HostSetup(**setup)))


async def _decide(part: Part, node: Node, desired: Desired) -> Decided:
    return part.decide(desired, await part.look(node, desired), Choice())


async def _apply(
    part: Part, node: Node, desired: Desired, *, but: Sequence[Address] = ()
) -> list[str]:
    """Makes all tasks but some; then nothing else may be left. What was made, in order."""
    decided = await _decide(part, node, desired)
    assert decided.refusals == ()
    made = [task for task in decided.tasks if task.address not in but]
    for task in made:
        await part.make(node, task, desired, lambda _: None)
    left = await _decide(part, node, desired)
    assert [task.fields for task in left.tasks if task.address not in but] == []
    return [str(task.address) for task in made]


async def test_a_bridge_that_is_there_reads_as_declared(kit: PveKit, node: Node) -> None:
    rows = {row["iface"]: row for row in await node.get(f"/nodes/{node.name}/network")}
    row = rows[kit.bridge]
    same = HostInterface(
        kit.bridge,
        "bridge",
        address=row.get("cidr"),
        gateway=row.get("gateway"),
        ports=tuple(str(row.get("bridge_ports") or "").split()),
        vlan_aware=str(row.get("bridge_vlan_aware", 0)) == "1",
        autostart=str(row.get("autostart", 0)) == "1",
    )

    async def plan(interface: HostInterface) -> Decided:
        return await _decide(
            network.PART, node, _desired(network=HostNetwork((interface,), revert_after_s=60))
        )

    assert (await plan(same)) == Decided()
    (task,) = (await plan(replace(same, comment="of a test"))).tasks
    assert [change.path for change in task.fields] == [f"{kit.bridge}.comment"]
    assert "takes it back unless it is reached again within 60 s" in task.reason
    other = await plan(replace(same, kind="vlan", vlan_id=5, device="eno1", ports=None))
    assert other.tasks == ()
    assert f"{kit.bridge} is a VLAN interface in the files" in other.refusals[0]
    missing = (await plan(HostInterface("phxnone0", "eth", mtu=9000))).refusals
    assert "no card phxnone0" in missing[0]
    assert rows == {row["iface"]: row for row in await node.get(f"/nodes/{node.name}/network")}


_FIREWALL = ClusterFirewall(
    declared=True,
    policy_in="ACCEPT",
    aliases=(Alias("phx-office", "10.213.0.0/24"),),
    ipsets=(IpSet("phx-admins", ("phx-office", "203.0.113.8", "!203.0.113.64/26")),),
    groups=(
        Group(
            "phx-web",
            (HostRule(macro="Web"), HostRule(action="DROP", proto="tcp", ports=("9300-9400",))),
        ),
    ),
    node_rules=(HostRule(macro="SSH", source="+phx-admins", comment="in"),),
    rules=(
        HostRule(proto="tcp", ports=("80", "443"), source="phx-office", comment="two: a, b"),
        HostRule(group="phx-web"),
        HostRule(action="REJECT", proto="udp", ports=("137-138",), source_ports=("1024-65535",)),
        HostRule("out", "ACCEPT", dest="198.51.100.7-198.51.100.9"),
    ),
)


def _plain(found: Any) -> Any:
    if isinstance(found, Mapping):
        return {key: _plain(value) for key, value in found.items() if key != "digest"}
    return [_plain(one) for one in found] if isinstance(found, list) else found


async def _filter(node: Node) -> dict[str, Any]:
    """All that the cluster and the node have of a firewall."""
    parts = ("options", "aliases", "ipset", "groups", "rules")
    found = {part: await node.get(f"{_CLUSTER}/{part}") for part in parts}
    own = await node.get(f"/nodes/{node.name}/firewall/rules")
    return {key: _plain(value) for key, value in {**found, "own": own}.items()}


async def _clear_filter(node: Node) -> None:
    """By hand: rules with our mark, then what they named."""
    lists = [f"{_CLUSTER}/rules", f"/nodes/{node.name}/firewall/rules"]
    groups = {row["group"] for row in await node.get(f"{_CLUSTER}/groups")}
    if "phx-web" in groups:
        lists.append(f"{_CLUSTER}/groups/phx-web")
    for where in lists:
        for row in reversed(_rules.in_order(await node.get(where))):
            if _rules.is_ours(row, _STACK) or "phx by hand" in str(row.get("comment")):
                await node.send("DELETE", f"{where}/{row['pos']}")
    if "phx-web" in groups:
        await node.send("DELETE", f"{_CLUSTER}/groups/phx-web")
    if "phx-admins" in {row["name"] for row in await node.get(f"{_CLUSTER}/ipset")}:
        where = f"{_CLUSTER}/ipset/phx-admins"
        for row in await node.get(where):
            await node.send("DELETE", f"{where}/{quote(row['cidr'], safe='')}")
        await node.send("DELETE", where)
    if "phx-office" in {row["name"] for row in await node.get(f"{_CLUSTER}/aliases")}:
        await node.send("DELETE", f"{_CLUSTER}/aliases/phx-office")


@pytest.fixture
async def off(node: Node) -> AsyncIterator[Node]:
    """A node whose firewall is off, and is afterwards as it was."""
    await _needs(node, "Sys.Audit", "Sys.Modify")
    if str((await node.get(f"{_CLUSTER}/options")).get("enable") or "0") != "0":
        pytest.skip("the data centre's firewall is on: rules of a test would hold")
    await _clear_filter(node)
    before = await _filter(node)
    yield node
    await _clear_filter(node)
    assert await _filter(node) == before


async def test_the_firewalls_objects_and_rules(off: Node) -> None:
    desired, but = _desired(firewall=_FIREWALL), (SWITCH,)
    made = await _apply(firewall.PART, off, desired, but=but)
    assert made[:3] == ["alias/phx-office", "ipset/phx-admins", "group/phx-web"]
    assert sorted(made[3:]) == ["firewall/datacenter", f"firewall/{off.name}"]
    assert await _apply(firewall.PART, off, desired, but=but) == []

    rules = f"{_CLUSTER}/rules"
    ours = [row for row in await off.get(rules) if _rules.is_ours(row, _STACK)]
    assert [str(row["enable"]) for row in ours] == ["1"] * 4
    assert ours[0]["comment"] == f"two: a, b [phoenix {_STACK}]"
    by_hand = {"action": "ACCEPT", "type": "in", "enable": "0", "comment": "phx by hand"}
    await off.send("POST", rules, **by_hand)
    await off.send("PUT", f"{rules}/0", moveto=str(ours[0]["pos"] + 3))  # between ours
    await off.send("PUT", f"{rules}/0", dport="81")
    await off.send("POST", f"{_CLUSTER}/ipset/phx-admins", cidr="203.0.113.9")
    await off.send("PUT", f"{_CLUSTER}/aliases/phx-office", cidr="10.214.0.0/24")
    made = await _apply(firewall.PART, off, desired, but=but)
    assert sorted(made) == ["alias/phx-office", "firewall/datacenter", "ipset/phx-admins"]
    rows = [str(row.get("comment")) for row in _rules.in_order(await off.get(rules))]
    assert 0 < rows.index("phx by hand") < 4

    fewer = replace(_FIREWALL, rules=_FIREWALL.rules[2:3], node_rules=())
    await _apply(firewall.PART, off, _desired(firewall=fewer), but=but)
    left = [row for row in await off.get(rules) if _rules.is_ours(row, _STACK)]
    assert [row["dport"] for row in left] == ["137:138"]


async def test_a_storage_on_a_mounted_folder(kit: PveKit, node: Node) -> None:
    await _needs(node, "Datastore.Allocate")
    folder = kit.host_folder("storage")
    clear = f"mountpoint -q {folder} && umount {folder}; rm -rf {folder}; true"
    await kit.as_root(f"{clear}; mkdir -p {folder}; mount -t tmpfs -o size=4m none {folder}")
    try:
        one = PveStorage(_STORAGE, "dir", "phxnone/phxnone", folder, ("iso",))

        async def apply(storage: PveStorage) -> list[str]:
            desired = _desired(storage=Storage(storages=(storage,)))
            return await _apply(storages.PART, node, desired)

        assert await apply(one) == [f"storage/{_STORAGE}"]
        assert await apply(one) == []
        more = replace(one, content=("iso", "vztmpl"))
        assert await apply(more) == [f"storage/{_STORAGE}"]
        there = await node.get(f"/storage/{_STORAGE}")
        assert sorted(there["content"].split(",")) == ["iso", "vztmpl"]
        assert str(there["is_mountpoint"]) in {"1", "yes"}
        elsewhere = _desired(storage=Storage(storages=(replace(more, folder="/var/tmp/none"),)))
        assert "its path is" in (await _decide(storages.PART, node, elsewhere)).refusals[0]
    finally:
        if _STORAGE in {row["storage"] for row in await node.get("/storage")}:
            await node.send("DELETE", f"/storage/{_STORAGE}")
        await kit.as_root(clear)


async def test_a_backup_job_from_its_making_to_its_end(kit: PveKit, node: Node) -> None:
    """It is off all the time, so that it never runs."""
    await _needs(node, "Sys.Audit", "Sys.Modify", "VM.Backup", "Datastore.Allocate")
    rows = await node.get("/storage")
    store = next((row["storage"] for row in rows if "backup" in row["content"].split(",")), None)
    if store is None:
        pytest.skip("no storage of the node takes backups")
    job = BackupJob(
        "nightly",
        (addresses.lxc(kit.id(0)), addresses.lxc(kit.id(1))),
        "mon..fri 03:30",
        store,
        keep=Keep(last=2, daily=3),
        notes="{{guestname}} of a test",
        enabled=False,
    )

    async def apply(*jobs: BackupJob) -> list[str]:
        return await _apply(backups.PART, node, _desired(backups=Backups(jobs=jobs)))

    async def there() -> list[str]:
        return [row["id"] for row in await node.get("/cluster/backup")]

    before = [one for one in await there() if one != _JOB]
    try:
        assert await apply(job) == ["backup/nightly"]
        assert await apply(job) == []
        await node.send("PUT", f"/cluster/backup/{_JOB}", schedule="04:00")
        assert await apply(job) == ["backup/nightly"]
        plain = replace(job, keep=Keep(), notes=None, mode="stop", compress="gzip")
        assert await apply(plain) == ["backup/nightly"]
        assert await apply(replace(plain, guests=None)) == ["backup/nightly"]
        decided = await _decide(backups.PART, node, _desired(backups=Backups()))
        assert [task.action for task in decided.tasks] == [Action.DELETE]
        assert await apply() == ["backup/nightly"]
        assert await there() == before
    finally:
        if _JOB in await there():
            await node.send("DELETE", f"/cluster/backup/{_JOB}")
