"""Folders of the node for bind mounts, and their owners."""

import pytest
from tests.support.node import Node

from phoenix_hypervisor.drivers.proxmox.node import folders
from phoenix_hypervisor.drivers.proxmox.node.channel import Channel
from phoenix_hypervisor.drivers.proxmox.node.folders import Folder
from phoenix_hypervisor.model.errors import ConfigError, DriverError

pytestmark = pytest.mark.incus

TOP = "/srv/shared folders"


@pytest.fixture(autouse=True)
def empty(node: Node) -> None:
    node.sh(f"rm -rf '{TOP}'; echo root:100000:65536 | tee /etc/subuid >/etc/subgid")


def owner(node: Node, path: str) -> str:
    return node.sh(f"stat -c %u:%g '{path}'").strip()


class TestEnsure:
    async def test_makes_what_is_missing_with_the_guests_owner(
        self, channel: Channel, node: Node
    ) -> None:
        told = await folders.ensure(
            channel,
            [
                Folder(f"{TOP}/a/b"),
                Folder(f"{TOP}/c", uid=1000, gid=33),
                Folder(f"{TOP}/d", uid=1000, shifted=False),
            ],
        )
        assert told == [
            f"made {TOP}/a/b with the owner 100000:100000",
            f"made {TOP}/c with the owner 101000:100033",
            f"made {TOP}/d with the owner 1000:0",
        ]
        assert owner(node, f"{TOP}/a/b") == "100000:100000"
        assert owner(node, f"{TOP}/a") == "0:0"
        assert owner(node, f"{TOP}/c") == "101000:100033"
        assert await folders.ensure(channel, [Folder(f"{TOP}/a/b")]) == []

    async def test_an_owner_that_is_there_stays_unless_another_was_asked_for(
        self, channel: Channel, node: Node
    ) -> None:
        node.sh(f"mkdir -p '{TOP}/a'; chown 7:8 '{TOP}/a'")
        assert await folders.ensure(channel, [Folder(f"{TOP}/a")]) == []
        assert owner(node, f"{TOP}/a") == "7:8"
        told = await folders.ensure(channel, [Folder(f"{TOP}/a", uid=0)])
        assert told == [f"gave {TOP}/a to 100000:8"]
        assert owner(node, f"{TOP}/a") == "100000:8"

    async def test_ids_are_shifted_as_the_node_says(self, channel: Channel, node: Node) -> None:
        node.sh("echo root:200000:65536 >/etc/subuid")
        told = await folders.ensure(channel, [Folder(f"{TOP}/a", uid=5)])
        assert told == [f"made {TOP}/a with the owner 200005:100000"]

    async def test_a_file_in_its_place_is_told(self, channel: Channel, node: Node) -> None:
        node.sh(f"mkdir '{TOP}'; touch '{TOP}/a'")
        with pytest.raises(DriverError, match="is there and is no folder"):
            await folders.ensure(channel, [Folder(f"{TOP}/a")])

    @pytest.mark.parametrize("path", ["srv", "/", "/srv/../etc", ""], ids=repr)
    async def test_what_is_no_path_is_refused(self, channel: Channel, path: str) -> None:
        with pytest.raises(ConfigError, match="absolute path"):
            await folders.ensure(channel, [Folder(path)])
