"""Connections of their own, past all that are kept: what a network change is proven by."""

from pathlib import Path

from phoenix_hypervisor.drivers.proxmox.node.channel import Channel
from phoenix_hypervisor.drivers.proxmox.node.options import Options
from phoenix_hypervisor.drivers.proxmox.node.ssh import Ssh
from phoenix_hypervisor.drivers.proxmox.node.used import Used
from phoenix_hypervisor.drivers.proxmox.node.ways import Command


def _settings(argv: tuple[str, ...]) -> dict[str, str]:
    pairs = [argv[n + 1] for n, word in enumerate(argv) if word == "-o"]
    return dict(pair.split("=", 1) for pair in pairs)


def test_ssh_shares_nothing_then(tmp_path: Path) -> None:
    way = Ssh("pve1", Options(port=2222), sockets=tmp_path)
    assert _settings(way.shell())["ControlMaster"] == "auto"
    fresh = _settings(way.anew(None).shell())
    assert fresh["ControlPath"] == "none"
    assert not {"ControlMaster", "ControlPersist", "HostName", "HostKeyAlias"} & set(fresh)
    assert fresh["StrictHostKeyChecking"] == "yes"


def test_ssh_to_another_address_expects_the_same_host_key(tmp_path: Path) -> None:
    argv = Ssh("pve1", Options(port=2222), sockets=tmp_path).anew("10.0.0.3").shell()
    fresh = _settings(argv)
    assert (fresh["HostName"], fresh["HostKeyAlias"]) == ("10.0.0.3", "[pve1]:2222")
    assert "pve1" in argv


def test_a_command_gets_the_new_address_in_its_place() -> None:
    way = Command("ssh -J gate root@{host} {node}", "pve1", "10.0.0.2")
    assert way.anew("10.0.0.3").shell() == ("ssh", "-J", "gate", "root@10.0.0.3", "pve1")
    assert way.anew(None).shell() == way.shell()


async def test_a_channel_starts_a_shell_for_it_and_ends_it() -> None:
    used = Used()
    async with Channel("pve1", Command("sh", "pve1", "10.0.0.2"), used) as channel:
        first = await channel.anew("echo $$", "proof", address="10.0.0.3", timeout_s=10)
        second = await channel.anew("echo $$; kill -0 $0 2>/dev/null", "proof", address=None,
                                    timeout_s=10)  # fmt: skip
    assert first.said().out != second.said().out.splitlines()[0]
    assert not Path(f"/proc/{first.said().out.strip()}").exists()
    assert list(used) == [("pve1", "proof")]
