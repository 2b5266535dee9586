"""Root on the node by a real sshd: the way there, what bars it, and when it is lost."""

import asyncio
import contextlib
import os
import pty
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.incus.node.conftest import GUEST, MakeChannels, Words
from tests.support import pve
from tests.support.node import Node

from phoenix_hypervisor.drivers.proxmox.node import options
from phoenix_hypervisor.drivers.proxmox.node.channel import Channel
from phoenix_hypervisor.drivers.proxmox.node.inside import Inside
from phoenix_hypervisor.drivers.proxmox.node.ssh import Ssh
from phoenix_hypervisor.drivers.shell_node import SHELL_VARIABLE
from phoenix_hypervisor.model.errors import (
    Conflict,
    Denied,
    NotFound,
    PhoenixError,
    Unreachable,
)
from phoenix_hypervisor.shell import Shell

pytestmark = pytest.mark.incus


class TestTheWay:
    async def test_is_root_on_the_node(self, channel: Channel, node: Node) -> None:
        said = (await channel.run("id -u; hostname", "who")).said()
        assert said.out == f"0\n{node.name}\n"

    async def test_through_sudo(self, make_channels: MakeChannels, node: Node) -> None:
        answer = await make_channels(user="ops").of(node.name).run("id -u", "who")
        assert answer.out == b"0\n"

    async def test_by_a_command(self, make_channels: MakeChannels, node: Node) -> None:
        gate = f"incus exec --project={node.corner.name} {{node}} -T -- sh"
        channel = make_channels({SHELL_VARIABLE: gate}).of(node.name)
        assert (await channel.run("hostname", "who")).out == f"{node.name}\n".encode()
        with Shell(await Inside(channel).way_in(GUEST)) as shell:
            data = bytes(range(256)) * 4096
            answer = shell.run("hostname >&2; cat", timeout_s=30, stdin=data)
        assert (answer.err, answer.out == data) == (b"guest101\n", True)

    async def test_more_shells_than_one_connection_carries(
        self, channel: Channel, node: Node
    ) -> None:
        assert (await channel.run("true", "opening the connection")).ok
        shells = [Shell(channel.inside("sh")) for _ in range(14)]  # sshd: MaxSessions 10
        try:
            for number, shell in enumerate(shells):
                assert shell.run(f"echo {number}", timeout_s=20).out == f"{number}\n".encode()
        finally:
            for shell in shells:
                shell.close()

    async def test_the_first_command_does_not_wait_for_the_connection_that_stays(
        self, make_channels: MakeChannels, node: Node
    ) -> None:
        vector = make_channels(port=22).of(node.name).inside("echo", "done")
        done = await asyncio.to_thread(
            subprocess.run, vector, capture_output=True, check=True, timeout=15
        )
        assert done.stdout == b"done\n"

    @pytest.mark.parametrize("by", ["ssh", "command"])
    async def test_a_terminal(self, make_channels: MakeChannels, node: Node, by: str) -> None:
        gate = f"incus exec --project={node.corner.name} {node.name} -T -- sh"
        environ = {SHELL_VARIABLE: gate} if by == "command" else {}
        vector = await Inside(make_channels(environ).of(node.name)).terminal(GUEST)
        said = await asyncio.to_thread(typed, vector, b"tty; hostname; exit 3\r")
        assert b"/dev/pts/" in said
        assert b"guest101\r" in said


def typed(vector: Sequence[str], words: bytes) -> bytes:
    """What a person sees who types words at the prompt of an interactive command."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        vector, stdin=follower, stdout=follower, stderr=follower, start_new_session=True
    ) as process:
        os.close(follower)
        seen = b""
        while b"# " not in seen:
            seen += os.read(leader, 1000)
        os.write(leader, words)
        with contextlib.suppress(OSError):  # a terminal that nobody has open any more
            while data := os.read(leader, 1000):
                seen += data
        assert process.wait(20) == 3
    os.close(leader)
    return seen


@pytest.fixture
def another_key(tmp_path: Path) -> Path:
    path = tmp_path / "another"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def unknown(node: Node, folder: Path, another: Path) -> Words:
    (folder / "none").touch()
    return {"known_hosts": str(folder / "none")}


def changed(node: Node, folder: Path, another: Path) -> Words:
    kind, key = another.with_suffix(".pub").read_text().split()[:2]
    (folder / "old").write_text(f"{node.address} {kind} {key}\n")
    return {"known_hosts": str(folder / "old")}


def wrong_key(node: Node, folder: Path, another: Path) -> Words:
    return {"identity_file": str(another)}


def no_sudo(node: Node, folder: Path, another: Path) -> Words:
    return {"user": "plain"}


def wrong_port(node: Node, folder: Path, another: Path) -> Words:
    return {"port": 2222}


class Bar(NamedTuple):
    """What is in the way, as words of `hypervisor.ssh`, and the error that it gives."""

    words: Callable[[Node, Path, Path], Words]
    kind: type[PhoenixError]
    message: str
    hint: str


BARS = [
    Bar(unknown, Unreachable, "host key of {} is not known", "ssh-keyscan {} >>"),
    Bar(changed, Unreachable, "host key of {} has changed", "ssh-keygen -f"),
    Bar(wrong_key, Denied, "takes none of your SSH keys", "ssh-copy-id"),
    Bar(no_sudo, Denied, "plain can't become root", "NOPASSWD"),
    Bar(wrong_port, Unreachable, "Connection refused", "hypervisor.ssh.host"),
]


class TestWhatBarsIt:
    @pytest.mark.parametrize("bar", BARS, ids=[bar.words.__name__ for bar in BARS])
    async def test_is_told_with_how_to_mend_it(
        self,
        make_channels: MakeChannels,
        node: Node,
        tmp_path: Path,
        another_key: Path,
        bar: Bar,
    ) -> None:
        channel = make_channels(**bar.words(node, tmp_path, another_key)).of(node.name)
        with pytest.raises(PhoenixError) as caught:
            await channel.run("true", "trying")
        assert type(caught.value) is bar.kind
        assert bar.message.format(node.address) in caught.value.message
        assert bar.hint.format(node.address) in caught.value.hint

    async def test_what_the_hint_says_mends_it(
        self, make_channels: MakeChannels, node: Node, tmp_path: Path, another_key: Path
    ) -> None:
        words = unknown(node, tmp_path, another_key)
        channel = make_channels(**words).of(node.name)
        with pytest.raises(Unreachable) as caught:
            await channel.run("true", "trying")
        command = caught.value.hint.partition("trust: ")[2].partition(". On the node")[0]
        assert command.startswith("ssh-keyscan")
        await asyncio.to_thread(subprocess.run, ["sh", "-c", command], check=True, timeout=20)
        assert (await channel.run("true", "again")).ok


class TestALostConnection:
    async def test_is_told_and_the_next_use_opens_a_new_one(
        self, make_channels: MakeChannels, node: Node, ssh_words: Words
    ) -> None:
        channel = make_channels(user="ops").of(node.name)
        master = Ssh(node.address, options.read(ssh_words | {"user": "ops"}, {}, Path("/")))
        assert (await channel.run("true", "opening")).ok
        work = asyncio.create_task(channel.run("echo begun >/run/begun; sleep 30", "long"))
        await asyncio.to_thread(
            node.sh, "timeout 20 sh -c 'until [ -e /run/begun ]; do sleep 0.05; done'"
        )
        await asyncio.to_thread(subprocess.run, master.close(), check=True, capture_output=True)
        with pytest.raises(Unreachable, match="connection was lost"):
            await work
        assert (await channel.run("echo again", "after")).out == b"again\n"
        # What ran was ended there, too.
        assert "sleep 30" not in await asyncio.to_thread(node.sh, "ps -eo args")

    async def test_an_sshd_that_restarts(self, channel: Channel, node: Node) -> None:
        assert (await channel.run("true", "before")).ok
        await asyncio.to_thread(node.sh, "systemctl restart ssh.service")
        assert (await channel.run("echo on", "after")).out == b"on\n"


class TestTheApiAsRoot:
    async def test_does_what_no_token_may(self, channel: Channel, node: Node) -> None:
        with pve.started(node.name, time_scale=0.02) as double:
            await double.container(150, "bound", node=node.name)
            await asyncio.to_thread(node.use_api, double.url, "root@pam", pve.PASSWORD)
            where = f"/nodes/{node.name}/lxc/150"
            why = "bind mounts of lxc/150"
            await channel.api("PUT", f"{where}/config", why, mp0="/srv/a b,mp=/a")
            found = await channel.api("GET", f"{where}/config", why)
            assert found["mp0"] == "/srv/a b,mp=/a"
            upid = await channel.api("POST", f"{where}/status/start", why)
            assert upid.startswith(f"UPID:{node.name}:")
            assert (await double.guest(150) or {})["status"] == "running"
            with pytest.raises(Conflict):
                await channel.api("POST", f"{where}/status/start", why)
            with pytest.raises(NotFound):
                await channel.api("GET", f"/nodes/{node.name}/lxc/999/config", why)
            with pytest.raises(PhoenixError, match="memory"):
                await channel.api("PUT", f"{where}/config", why, memory="much")
        assert (node.name, why) in list(channel.used)
