"""A container's file on the node: changed at once, under the lock that others take too."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.node import Node

from phoenix_hypervisor.drivers.proxmox.node import guest_file, guest_text
from phoenix_hypervisor.drivers.proxmox.node.channel import Channel
from phoenix_hypervisor.model.errors import Conflict, DriverError, Locked, NotFound

pytestmark = pytest.mark.incus

ID = 140
WHY = "raw LXC options of lxc/140"
FILE = f"/etc/pve/lxc/{ID}.conf"
LOCK = f"/run/lock/lxc/pve-config-{ID}.lock"
TEXT = """\
#Notes, ü
arch: amd64
mp0: /srv/shared,mp=/shared
mp1: local:140/vm-140-disk-1.raw,mp=/data,size=1G

[before]
mp0: /srv/shared,mp=/shared
"""


@pytest.fixture(autouse=True)
async def file(node: Node) -> AsyncIterator[None]:
    node.sh(f"cat >{FILE} <<'END'\n{TEXT}END\nrm -f /var/lib/phoenix/set-aside/*")
    yield
    node.sh(f"rm -f {FILE}*")


def text(node: Node) -> str:
    return node.sh(f"cat {FILE}")


class TestEdit:
    async def test_sets_raw_options_and_keeps_the_rest(self, channel: Channel, node: Node) -> None:
        pairs = [("lxc.mount.entry", "/a a none bind"), ("lxc.mount.entry", "/b b none bind")]
        assert await guest_file.set_raw(channel, ID, pairs, WHY)
        first, rest = TEXT.split("\n[before]")
        lines = "".join(f"{key}: {value}\n" for key, value in pairs)
        assert text(node) == f"{first}{lines}\n[before]{rest}"
        assert not await guest_file.set_raw(channel, ID, pairs, WHY)
        assert node.sh(f"stat -c %a {FILE}; ls {FILE}*") == f"640\n{FILE}\n"

    async def test_bytes_that_are_no_text_stay(self, channel: Channel, node: Node) -> None:
        node.sh(f"printf '#\\377\\nlxc.a: 1\\n' >{FILE}")
        await guest_file.set_raw(channel, ID, [], WHY)
        assert node.sh(f"od -An -tx1 {FILE}").split() == ["23", "ff", "0a"]

    async def test_many_editors_lose_nothing(self, channel: Channel, node: Node) -> None:
        def add(number: int) -> None:
            # Another program, which takes the lock as Proxmox VE does.
            node.sh(
                f"for n in $(seq 25); do (flock 9; cp {FILE} {FILE}.x; "
                f'sed -i "1i #other {number} $n" {FILE}.x; sleep 0.01; mv {FILE}.x {FILE}) '
                f"9>>{LOCK}; sleep 0.03; done"
            )

        async def ours() -> None:
            for number in range(8):
                pairs = [("lxc.own", str(n)) for n in range(number + 1)]
                while True:
                    try:
                        await guest_file.set_raw(channel, ID, pairs, WHY)
                        break
                    except Conflict:
                        continue

        await asyncio.gather(asyncio.to_thread(add, 1), asyncio.to_thread(add, 2), ours())
        now = text(node)
        assert len([line for line in now.splitlines() if line.startswith("#other")]) == 50
        assert guest_text.raw(now) == tuple(("lxc.own", str(n)) for n in range(8))

    async def test_a_file_that_is_not_the_one_that_was_read_is_refused(
        self, channel: Channel, node: Node
    ) -> None:
        digest = node.sh(f"sha1sum <{FILE}").split()[0]
        node.sh(f"sed -i '1i #changed' {FILE}")
        with pytest.raises(Conflict, match="changed by somebody else"):
            await guest_file.set_raw(channel, ID, [("lxc.a", "1")], WHY, digest=digest)
        assert text(node) == "#changed\n" + TEXT
        digest = node.sh(f"sha1sum <{FILE}").split()[0]
        assert await guest_file.set_raw(channel, ID, [("lxc.a", "1")], WHY, digest=digest)

    async def test_a_task_that_works_on_the_guest_is_waited_for(
        self, channel: Channel, node: Node
    ) -> None:
        node.sh(f"sed -i '2i lock: backup' {FILE}")
        with pytest.raises(Locked, match="CT 140 is locked"):
            await guest_file.set_raw(channel, ID, [("lxc.a", "1")], WHY)

    async def test_the_lock_is_waited_for(self, channel: Channel, node: Node) -> None:
        holding = asyncio.create_task(
            asyncio.to_thread(node.sh, f"flock {LOCK} sh -c 'touch /run/held; sleep 1.5'")
        )
        await asyncio.to_thread(
            node.sh, "timeout 20 sh -c 'until [ -e /run/held ]; do sleep 0.05; done'"
        )
        clock = asyncio.get_running_loop().time
        started = clock()
        assert await guest_file.set_raw(channel, ID, [("lxc.a", "1")], WHY)
        assert clock() - started > 0.5
        await holding

    async def test_a_guest_that_is_not_there_or_elsewhere(
        self, channel: Channel, node: Node
    ) -> None:
        with pytest.raises(NotFound, match=r"CT 998 is not on pve1$"):
            await guest_file.read(channel, 998, WHY)
        node.sh("mkdir -p /etc/pve/nodes/pve7/lxc; touch /etc/pve/nodes/pve7/lxc/997.conf")
        with pytest.raises(NotFound, match="not on pve1; it is on pve7"):
            await guest_file.set_raw(channel, 997, [("lxc.a", "1")], WHY)


class TestAside:
    async def test_bind_mounts_are_away_for_a_while(self, channel: Channel, node: Node) -> None:
        async with guest_file.Aside(channel, ID, needed=True, why=WHY):
            now = text(node)
            assert guest_text.host_mounts(now) == ()
            assert "mp1: local:140" in now
            assert now.endswith("[before]\nmp0: /srv/shared,mp=/shared\n")
        assert text(node) == TEXT
        assert node.sh("ls /var/lib/phoenix/set-aside") == ""

    async def test_they_come_back_after_a_failure(self, channel: Channel, node: Node) -> None:
        with pytest.raises(DriverError, match="no snapshot"):
            async with guest_file.Aside(channel, ID, needed=True, why=WHY):
                raise DriverError("no snapshot")
        assert text(node) == TEXT

    async def test_a_killed_run_loses_nothing(self, channel: Channel, node: Node) -> None:
        await guest_file.Aside(channel, ID, needed=True, why=WHY).__aenter__()
        assert guest_text.host_mounts(text(node)) == ()
        assert await guest_file.put_back(channel, ID, WHY)
        assert text(node) == TEXT
        assert not await guest_file.put_back(channel, ID, WHY)

    async def test_one_without_bind_mounts_is_left_alone(
        self, channel: Channel, node: Node
    ) -> None:
        async with guest_file.Aside(channel, ID, needed=False, why=WHY):
            assert text(node) == TEXT
        assert list(channel.used) == []

    async def test_a_guest_that_went_is_forgotten(self, channel: Channel, node: Node) -> None:
        await guest_file.Aside(channel, ID, needed=True, why=WHY).__aenter__()
        node.sh(f"rm {FILE}")
        assert not await guest_file.put_back(channel, ID, WHY)
        assert node.sh("ls /var/lib/phoenix/set-aside") == ""
