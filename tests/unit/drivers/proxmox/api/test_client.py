"""The client against the double: what is sent, how much at once, and what breaks on the way."""

import asyncio
import time
from typing import Any

import pytest
from tests.support import pve

from phoenix_hypervisor.drivers.proxmox.api.client import Api
from phoenix_hypervisor.drivers.proxmox.api.login import Ticket
from phoenix_hypervisor.drivers.proxmox.api.paths import path
from phoenix_hypervisor.drivers.proxmox.api.trust import Trust
from phoenix_hypervisor.model.errors import (
    Conflict,
    Denied,
    DriverError,
    Locked,
    Retryable,
    UnknownOutcome,
    Unreachable,
)

QUICK: dict[str, Any] = {"pause_s": 0.01}


def config(vmid: int) -> str:
    return path("nodes", "pve1", "lxc", vmid, "config")


async def test_parameters_arrive_as_they_are(double: pve.Pve) -> None:
    await double.container(2001)
    async with double.api() as api:
        await api.put(
            config(2001),
            description="a;b&c=d+e %41 ü",
            onboot=True,
            tags="phoenix;web",
            searchdomain=None,
        )
        found = await api.get(config(2001), current=True)
    assert found["description"] == "a;b&c=d+e %41 ü\n"
    assert found["tags"] == "phoenix;web"
    assert found["onboot"] == 1
    asked = await double.asked()
    assert asked.refused == []
    assert asked.of("GET", "/config")[0].query == {"current": "1"}
    assert "searchdomain" not in asked.of("PUT")[0].form


async def test_delete_sends_its_parameters_in_the_query(double: pve.Pve) -> None:
    await double.container(2002)
    async with double.api() as api:
        upid = await api.run("DELETE", path("nodes", "pve1", "lxc", 2002), purge=True)
    assert upid is not None
    assert await double.guest(2002) is None
    request = (await double.asked()).of("DELETE")[0]
    assert (request.query, request.form) == ({"purge": "1"}, {})


async def test_a_write_without_a_task(double: pve.Pve) -> None:
    await double.container(2003)
    async with double.api() as api:
        assert await api.run("PUT", config(2003), memory=300) is None


@pytest.mark.parametrize("at_once", [6, 2])
async def test_so_many_requests_under_way_per_node(double: pve.Pve, at_once: int) -> None:
    await double.delay("GET", "/status", 0.05)
    async with double.api(at_once=at_once) as api:
        await asyncio.gather(
            *(api.get("/nodes/pve1/status") for _ in range(20)),
            *(api.get("/nodes/pve2/status") for _ in range(20)),
        )
    most = (await double.asked()).most
    assert (most["pve1"], most["pve2"]) == (at_once, at_once)


@pytest.mark.parametrize("status", [595, 596, 599, 502])
async def test_a_read_without_an_answer_is_asked_again(double: pve.Pve, status: int) -> None:
    await double.answer("GET", "/cluster/resources", status, times=2, html=status == 502)
    async with double.api(**QUICK) as api:
        assert isinstance(await api.get("/cluster/resources"), list)
    assert len((await double.asked()).of("GET", "/cluster/resources")) == 3


async def test_a_read_that_never_gets_an_answer_ends(double: pve.Pve) -> None:
    await double.answer("GET", "/cluster/resources", 596, times=None)
    async with double.api(**QUICK) as api:
        with pytest.raises(Retryable, match="596 Connection timed out"):
            await api.get("/cluster/resources")
    assert len((await double.asked()).of("GET", "/cluster/resources")) == 6


async def test_a_dropped_read_is_asked_again(double: pve.Pve) -> None:
    await double.drop("GET", "/cluster/resources", times=3)
    async with double.api(**QUICK) as api:
        assert isinstance(await api.get("/cluster/resources"), list)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("status", [595, 596, 599, 502])
async def test_a_write_without_an_answer_is_sent_once(
    double: pve.Pve, status: int, when: str
) -> None:
    await _memory(double, 2010, 256)
    async with double.api(**QUICK) as api:
        await double.answer("PUT", "/config", status, when=when, html=status == 502)  # type: ignore[arg-type]
        with pytest.raises(UnknownOutcome, match=str(status)) as caught:
            await api.put(config(2010), memory=512)
    assert "look before" in caught.value.hint
    assert caught.value.detail == f"PUT {config(2010)}"
    assert len((await double.asked()).of("PUT")) == 1
    assert await _memory_of(double, 2010) == (512 if when == "after" else 256)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_dropped_write_is_sent_once(double: pve.Pve, method: str, when: str) -> None:
    await _memory(double, 2011, 256)
    requests: dict[str, tuple[str, dict[str, Any]]] = {
        "POST": (path("nodes", "pve1", "lxc", 2011, "status", "start"), {}),
        "PUT": (config(2011), {"memory": 512}),
        "DELETE": (path("nodes", "pve1", "lxc", 2011), {}),
    }
    where, params = requests[method]
    async with double.api(**QUICK) as api:
        await double.drop(method, where.rpartition("/")[2], when=when, times=None)  # type: ignore[arg-type]
        with pytest.raises(UnknownOutcome):
            await api.run(method, where, **params)
    await double.no_faults()
    assert len((await double.asked()).of(method, where)) == 1
    await asyncio.sleep(0.05)
    guest = await double.guest(2011)
    changed = guest is None or guest["status"] == "running" or guest["config"]["memory"] == 512
    assert changed == (when == "after")
    if guest is not None and guest["status"] == "running":
        async with double.api() as api:
            await api.run("POST", path("nodes", "pve1", "lxc", 2011, "status", "stop"))


async def _memory(double: pve.Pve, vmid: int, memory: int) -> None:
    if await double.guest(vmid) is None:
        await double.container(vmid)
    await double.set_guest(vmid, config={"memory": memory})


async def _memory_of(double: pve.Pve, vmid: int) -> int:
    guest = await double.guest(vmid)
    assert guest is not None
    return int(guest["config"]["memory"])


async def test_an_answer_that_takes_too_long(double: pve.Pve) -> None:
    await _memory(double, 2012, 256)
    async with double.api(request_s=0.3, **QUICK) as api:
        await double.delay("PUT", "/config", 1.0, times=1)
        with pytest.raises(UnknownOutcome, match="nothing came within 0 s"):
            await api.put(config(2012), memory=512)


async def test_nobody_answers() -> None:
    api = Api("https://127.0.0.1:1", Ticket("root@pam", lambda: "x"))
    with pytest.raises(Unreachable, match=r"https://127\.0\.0\.1:1: .*refused") as caught:
        await api.__aenter__()
    assert "hypervisor.endpoint" in caught.value.hint


async def test_a_daemon_that_goes_away_may_come_back() -> None:
    with pve.started() as short:
        api = Api(
            short.url, Ticket("root@pam", lambda: pve.PASSWORD), Trust(verify=False), pause_s=0.01
        )
        await api.__aenter__()
    try:
        for request in (api.get("/version"), api.put("/cluster/options", console="html5")):
            with pytest.raises(Retryable, match="does not answer at"):
                await request
    finally:
        await api.__aexit__()


async def test_it_must_be_open() -> None:
    api = Api("https://pve1", Ticket("root@pam", lambda: "x"))
    with pytest.raises(Unreachable, match="not open"):
        await api.get("/version")


@pytest.mark.parametrize("text", ["http://pve1:8006", "pve1", "https://", "https://pve1:x"])
def test_an_address_that_is_none(text: str) -> None:
    with pytest.raises(Unreachable) as caught:
        Api(text, Ticket("root@pam", lambda: "x"))
    assert "https://pve1:8006" in caught.value.hint


def test_the_port_is_proxmox_ves_own() -> None:
    login = Ticket("root@pam", lambda: "x")
    assert str(Api("https://pve1", login)._url) == "https://pve1:8006"
    assert str(Api("https://pve1:443/api2/json", login)._url) == "https://pve1"


async def test_root_only_and_missing_privileges(double: pve.Pve) -> None:
    await double.container(2020)
    few = await double.token("VM.Audit", "VM.Config.Disk", token_id="few@pve!t")
    async with double.api(few) as api:
        assert (api.user, api.is_root) == ("few@pve!t", False)
        with pytest.raises(Denied) as caught:
            await api.put(config(2020), memory=512)
        assert caught.value.missing == "VM.Config.Memory on /vms/2020"
        with pytest.raises(Denied) as caught:
            await api.put(config(2020), mp0="/srv,mp=/srv")
        assert caught.value.missing == "root@pam"
    async with double.api() as api:
        assert (api.user, api.is_root) == ("root@pam", True)
        await api.put(config(2020), mp0="/srv,mp=/srv")


async def test_states_of_the_cluster(double: pve.Pve) -> None:
    await double.container(2021)
    async with double.api(**QUICK) as api:
        await double.call("lose_quorum")
        try:
            with pytest.raises(Retryable, match="no quorum"):
                await api.put(config(2021), memory=512)
        finally:
            await double.call("regain_quorum")
        await double.call("snapshot_lock", 2021, "backup")
        with pytest.raises(Locked, match=r"CT is locked \(backup\)"):
            await api.put(config(2021), memory=512)
        await double.call("unlock", 2021)
        await double.call("hold_config_lock", 2021, None)
        with pytest.raises(Locked, match="got timeout"):
            await api.put(config(2021), memory=512)
        await double.call("release_config_lock", 2021)
        with pytest.raises(Conflict):
            await api.put(config(2021), memory=512, digest="0" * 40)
        await double.call("set_node_offline", "pve2")
        try:
            with pytest.raises(UnknownOutcome, match="595 No route to host"):
                await api.put(path("nodes", "pve2", "lxc", 2021, "config"), memory=512)
        finally:
            await double.call("set_node_offline", "pve2", False)


async def test_secrets_never_show(double: pve.Pve) -> None:
    token = await double.token("VM.Audit", token_id="mum@pve!t")
    async with double.api(token) as api:
        await double.answer("POST", "/lxc", 500, f"bad {pve.TOKEN_SECRET} hunter2")
        with pytest.raises(DriverError) as caught:
            await api.post(path("nodes", "pve1", "lxc"), password="hunter2")
    shown = f"{caught.value!r} {caught.value.hint} {caught.value.detail}"
    assert "hunter2" not in shown
    assert pve.TOKEN_SECRET not in shown
    assert "bad [secret] [secret]" in caught.value.message


async def test_a_waiting_request_does_not_hold_up_other_nodes(double: pve.Pve) -> None:
    await double.delay("GET", "/nodes/pve1/status", 1.0, times=1)
    async with double.api(at_once=1) as api:
        slow = asyncio.create_task(api.get("/nodes/pve1/status"))
        await asyncio.sleep(0.05)
        begun = time.monotonic()
        await api.get("/nodes/pve2/status")
        assert time.monotonic() - begun < 0.5
        slow.cancel()
