"""The rules that the double has beyond fakepve's: each as Proxmox VE 9.2 was seen to behave."""

import pytest
from tests.support import pve

from phoenix_hypervisor.drivers.proxmox.api.login import Token
from phoenix_hypervisor.drivers.proxmox.api.paths import path
from phoenix_hypervisor.model.errors import Denied, DriverError, NotFound, Unsupported


def ct(vmid: int, *more: str) -> str:
    return path("nodes", "pve1", "lxc", vmid, *more)


async def test_a_container_with_a_bind_mount_can_t_be_snapshotted(double: pve.Pve) -> None:
    await double.container(2300)
    async with double.api() as api:
        assert await api.get(ct(2300, "feature"), feature="snapshot") == {"hasFeature": 1}
        await api.put(ct(2300, "config"), mp0="/srv,mp=/srv")
        assert await api.get(ct(2300, "feature"), feature="snapshot") == {"hasFeature": 0}
        with pytest.raises(Unsupported, match="snapshot feature is not available"):
            await api.run("POST", ct(2300, "snapshot"), snapname="before")
        with pytest.raises(Unsupported, match="unable to clone mountpoint 'mp0'"):
            await api.run("POST", ct(2300, "clone"), newid=2301, full=True)


async def test_only_a_template_has_linked_clones(double: pve.Pve) -> None:
    await double.container(2302)
    async with double.api() as api:
        assert await api.get(ct(2302, "feature"), feature="clone") == {"hasFeature": 0}
        await api.run("POST", ct(2302, "template"))
        assert await api.get(ct(2302, "feature"), feature="clone") == {"hasFeature": 1}
        assert await api.get(ct(2302, "feature"), feature="snapshot") == {"hasFeature": 0}


async def test_a_description_gains_a_newline(double: pve.Pve) -> None:
    await double.container(2303)
    async with double.api() as api:
        await api.put(ct(2303, "config"), description="notes")
        assert (await api.get(ct(2303, "config")))["description"] == "notes\n"
        pending = {one["key"]: one for one in await api.get(ct(2303, "pending"))}
        assert pending["description"]["value"] == "notes\n"


async def test_an_unknown_bridge_breaks_a_running_container_s_network(double: pve.Pve) -> None:
    await double.container(2304, status="running", config={"net0": "name=eth0,bridge=vmbr0"})
    async with double.api() as api:
        with pytest.raises(NotFound, match="unable to hotplug net0: bridge 'vmbr7' does not exist"):
            await api.put(ct(2304, "config"), net0="name=eth0,bridge=vmbr7", memory=300)
        shown = await api.get(ct(2304, "config"), current=True)
        assert "net0" not in shown
        assert shown["memory"] == 300
        assert "bridge=vmbr7" in (await api.get(ct(2304, "config")))["net0"]
        await api.run("POST", ct(2304, "status", "stop"))
        with pytest.raises(NotFound, match="bridge 'vmbr7' does not exist"):
            await api.run("POST", ct(2304, "status", "start"))
        await double.bridge("vmbr7")
        await api.run("POST", ct(2304, "status", "start"))
        bridges = await api.get(path("nodes", "pve1", "network"), type="bridge")
        assert {one["iface"] for one in bridges} == {"vmbr0", "vmbr7"}


async def test_an_unknown_bridge_of_a_stopped_container_is_refused_but_written(
    double: pve.Pve,
) -> None:
    await double.container(2307)
    async with double.api() as api:
        with pytest.raises(NotFound, match="bridge 'vmbr8' does not exist"):
            await api.put(ct(2307, "config"), net0="name=eth0,bridge=vmbr8")
        assert "bridge=vmbr8" in (await api.get(ct(2307, "config")))["net0"]


async def test_no_token_is_root(double: pve.Pve) -> None:
    await double.container(2305)
    await double.set("apitokens", {"root@pam!all": pve.TOKEN_SECRET})
    async with double.api(Token("root@pam!all", lambda: pve.TOKEN_SECRET)) as api:
        for option in ({"dev0": "/dev/null"}, {"mp0": "/srv,mp=/srv"}, {"features": "keyctl=1"}):
            with pytest.raises(Denied) as caught:
                await api.put(ct(2305, "config"), **option)
            assert caught.value.missing == "root@pam"


async def test_machines(double: pve.Pve) -> None:
    vm = path("nodes", "pve1", "qemu", 2310)
    await double.machine(
        2310,
        "vm",
        status="running",
        config={"scsi0": "local-lvm:vm-2310-disk-0,size=2G", "memory": 512},
    )
    token = await double.token()
    async with double.api(token) as api:
        with pytest.raises(Denied, match="only root can set 'hostpci0'"):
            await api.put(f"{vm}/config", hostpci0="0000:01:00.0")
        await api.put(f"{vm}/config", hostpci0="mapping=gpu0", tags="Web;phoenix;app", memory=1024)
        waiting = await api.get(f"{vm}/config")
        now = await api.get(f"{vm}/config", current=True)
        assert (waiting["memory"], now["memory"]) == ("1024", "512")
        await api.run("PUT", f"{vm}/resize", disk="scsi0", size="+1G")
        assert (await api.get(f"{vm}/config"))["scsi0"].endswith("size=3G")
        with pytest.raises(DriverError, match="shrinking disks is not supported"):
            await api.run("PUT", f"{vm}/resize", disk="scsi0", size="1G")


async def test_refused_parameters_are_recorded(double: pve.Pve) -> None:
    await double.container(2306)
    async with double.api() as api:
        await api.put(ct(2306, "config"), memory=300)
        assert (await double.asked()).refused == []
        with pytest.raises(DriverError, match="oops: property is not defined in schema"):
            await api.put(ct(2306, "config"), oops=1)
    assert [str(one) for one in (await double.asked()).refused] == [f"PUT {ct(2306, 'config')}"]
