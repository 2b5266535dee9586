"""Which way is taken to a node, and the vectors of those without SSH."""

import subprocess
import sys

from phoenix_hypervisor.drivers.proxmox.node import ways
from phoenix_hypervisor.drivers.proxmox.node.channels import Channels
from phoenix_hypervisor.drivers.proxmox.node.options import Options
from phoenix_hypervisor.drivers.proxmox.node.ssh import Ssh
from phoenix_hypervisor.model.errors import Denied, Unreachable


class TestChoose:
    def test_ssh_where_nothing_is_said(self) -> None:
        assert isinstance(ways.choose("pve1", "10.0.0.1", Options()), Ssh)

    def test_a_command_comes_first(self) -> None:
        way = ways.choose("pve1", "10.0.0.1", Options(command="gate {node} root@{host}"))
        assert way.shell() == ("gate", "pve1", "root@10.0.0.1")

    def test_a_machine_without_the_clusters_files_is_no_node(self) -> None:
        assert not ways.is_here("pve1")


class TestCommand:
    def test_runs_commands_with_the_words_that_they_are_made_of(self) -> None:
        way = ways.Command("sh", "pve1", "pve1")
        done = subprocess.run(
            way.inside("printf", "%s\n", "a b", "$HOME", "it's"),
            capture_output=True,
            check=True,
            timeout=10,
        )
        assert done.stdout == b"a b\n$HOME\nit's\n"

    def test_one_that_gives_no_shell_is_told_with_its_words(self) -> None:
        error = ways.Command("gate x", "pve1", "pve1").explain(Unreachable("gate closed"))
        assert "gate closed" in error.message
        assert "echo id | gate x" in error.hint


class TestLocal:
    def test_root_needs_no_more(self) -> None:
        way = ways.Local(is_root=True)
        assert (way.shell(), way.inside("id")) == (("sh",), ("id",))

    def test_others_need_sudo(self) -> None:
        way = ways.Local(is_root=False)
        assert way.inside("id") == ("sudo", "-n", "--", "id")
        error = way.explain(Unreachable("sudo: a password is required"))
        assert isinstance(error, Denied)


class TestHosts:
    def test_the_files_come_before_the_cluster_and_that_before_the_name(self) -> None:
        options = Options(host="gate", hosts={"pve2": "second"})
        channels = Channels(options, main="pve1", host="10.0.0.1")
        channels.learn({"pve1": "x", "pve2": "10.0.0.2", "pve3": "10.0.0.3"})
        hosts = [channels.host(f"pve{number}") for number in range(1, 5)]
        assert hosts == ["gate", "second", "10.0.0.3", "pve4"]

    def test_without_words_the_endpoints_host_is_the_node(self) -> None:
        assert Channels(Options(), main="pve1", host="10.0.0.1").host("pve1") == "10.0.0.1"

    def test_a_node_has_one_channel(self) -> None:
        channels = Channels(Options(command="sh"), main="pve1", host="pve1")
        assert channels.of("pve1") is channels.of("pve1")
        assert channels.of("pve1").used is channels.of("pve2").used
        assert sys.executable in channels.of("pve1").inside("id")
