"""Ways into a real LXC container on the node: a kept shell, the fallback, and a feature run."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.incus.node.conftest import GUEST
from tests.support.featurebench import get
from tests.support.node import Node

from phoenix_hypervisor import features
from phoenix_hypervisor.configure import Configurator, fingerprints
from phoenix_hypervisor.drivers.proxmox.node import guest_file
from phoenix_hypervisor.drivers.proxmox.node.channel import Channel
from phoenix_hypervisor.drivers.proxmox.node.inside import Inside
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.desired import Desired, FeatureUse, Guest, Image
from phoenix_hypervisor.model.errors import Unreachable
from phoenix_hypervisor.shell import Shell

pytestmark = pytest.mark.incus

DATA = bytes(range(256)) * 4096


@pytest.fixture
def without_attach(node: Node) -> Iterator[None]:
    node.sh("mv /usr/bin/lxc-attach /opt/lxc-attach")
    yield
    node.sh("mv /opt/lxc-attach /usr/bin/lxc-attach")


class TestWayIn:
    async def test_keeps_a_shell_in_the_container(self, channel: Channel) -> None:
        with Shell(await Inside(channel).way_in(GUEST)) as shell:
            first = shell.run(
                "hostname; id -u; echo $HOME; cat >/root/data", timeout_s=20, stdin=DATA
            )
            assert first.said().out == "guest101\n0\n/root\n"
            assert shell.get("/root/data") == DATA
            shell.put(b"new", "/root/data", mode=0o600)
            assert (
                shell.run("stat -c %a /root/data; cat /root/data", timeout_s=20).out == b"600\nnew"
            )

    async def test_nothing_of_the_nodes_environment_gets_in(self, channel: Channel) -> None:
        with Shell(await Inside(channel).way_in(GUEST)) as shell:
            names = shell.run("env | cut -d= -f1", timeout_s=20).said().out.split()
        own = {"PATH", "HOME", "USER", "LANG", "TERM", "container", "PWD", "PHOENIX_COMMAND"}
        assert set(names) <= own | {"_", "OLDPWD", "SHLVL"}

    @pytest.mark.usefixtures("without_attach")
    async def test_by_pct_where_lxc_attach_is_missing(self, channel: Channel) -> None:
        way = await Inside(channel).way_in(GUEST)
        assert "pct exec" in way[-1]
        with Shell(way) as shell:
            answer = shell.run("hostname; echo $HOME; cat", timeout_s=20, stdin=DATA)
        assert answer.out == b"guest101\n/root\n" + DATA

    async def test_a_stopped_container_is_told(self, channel: Channel, node: Node) -> None:
        node.create(130)
        way = await Inside(channel).way_in(130)
        with Shell(way) as shell, pytest.raises(Unreachable, match="lxc-attach"):
            shell.run("true", timeout_s=20)
        node.destroy(130)

    async def test_many_containers_at_once(self, channel: Channel, node: Node) -> None:
        ids = [131, 132, 133]
        for vmid in ids:
            node.clone(GUEST, vmid, name=f"many{vmid}")
            node.start(vmid)
        ways = [await Inside(channel).way_in(vmid) for vmid in ids]

        def work(way: tuple[str, ...]) -> list[bytes]:
            with Shell(way) as shell:
                return [shell.run("hostname", timeout_s=20).out for _ in range(10)]

        found = await asyncio.gather(*(asyncio.to_thread(work, way) for way in ways))
        assert found == [[f"many{vmid}\n".encode()] * 10 for vmid in ids]
        for vmid in ids:
            node.destroy(vmid)
            assert node.state(vmid) == "absent"


class TestTheNodesGuests:
    async def test_their_network_is_reached_from_here(self, channel: Channel, node: Node) -> None:
        serve = "systemd-run --quiet --unit=web python3 -m http.server 8099 --directory /etc"
        wait = "until ss -tln | grep -q :8099; do sleep 0.1; done"
        with Shell(await Inside(channel).way_in(GUEST)) as shell:
            assert shell.run(f"{serve} && {wait}", timeout_s=20).ok
            status, body = await asyncio.to_thread(get, f"{node.ip(GUEST)}:8099", "/hostname")
            assert (status, body) == (200, "guest101\n")
            shell.run("systemctl stop web", timeout_s=20)

    async def test_a_feature_is_configured_through_the_channel(
        self, channel: Channel, node: Node, tmp_path: Path
    ) -> None:
        known = {"redis": features.available()["redis"]}
        use = FeatureUse("redis", known["redis"].options.model_validate({"port": 6380}))
        guest = Guest(
            address=addresses.lxc(GUEST),
            kind="lxc",
            id=GUEST,
            name="guest101",
            source=Image("debian-13-standard"),
            memory_mb=512,
            cores=1,
            features=(use,),
        )
        desired = Desired(tmp_path, "test", guests={guest.address: guest})
        way_in = await Inside(channel).way_in(GUEST)
        prints = fingerprints(guest, desired, known, tmp_path, str)
        told: list[str] = []

        async def configure(*, everything: bool) -> int:
            async with Configurator(
                features=known, secrets=str, folder=tmp_path, run_id="t", limit_s=300
            ) as configurator:
                result = await configurator.configure(
                    guest, desired, way_in, prints, told.append, everything=everything
                )
            return result.changed

        assert await configure(everything=True) > 0
        assert await configure(everything=True) == 0
        with Shell(way_in) as shell:
            assert shell.run("redis-cli -p 6380 ping", timeout_s=20).out == b"PONG\n"


class TestRawOptions:
    async def test_count_from_the_next_start_on(self, channel: Channel, node: Node) -> None:
        node.create(134)
        node.sh("mkdir -p /srv/raw; echo shared >/srv/raw/file")
        pairs = [("lxc.mount.entry", "/srv/raw srv/raw none bind,create=dir")]
        await guest_file.set_raw(channel, 134, pairs, "raw LXC options of lxc/134")
        node.start(134)
        with Shell(await Inside(channel).way_in(134)) as shell:
            assert shell.get("/srv/raw/file") == b"shared\n"
        node.destroy(134)
