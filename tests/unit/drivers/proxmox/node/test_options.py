"""`hypervisor.ssh`, word by word."""

from pathlib import Path
from typing import Any

import pytest

from phoenix_hypervisor.drivers.proxmox.node import options
from phoenix_hypervisor.drivers.shell_node import SHELL_VARIABLE
from phoenix_hypervisor.model.errors import ConfigError

FOLDER = Path("/stack")


class TestRead:
    def test_nothing_said_is_root_and_the_users_own_configuration(self) -> None:
        assert options.read({}, {}, FOLDER) == options.Options()

    def test_every_word(self) -> None:
        found = options.read(
            {
                "host": "10.0.0.1",
                "hosts": {"pve2": "10.0.0.2"},
                "port": 2222,
                "user": "ops",
                "identity_file": "keys/node",
                "known_hosts": "/etc/hosts.known",
                "config_file": "~/own",
                "command": "ssh -J gate root@pve1",
                "x-note": "a comment",
            },
            {},
            FOLDER,
        )
        assert found == options.Options(
            host="10.0.0.1",
            hosts={"pve2": "10.0.0.2"},
            port=2222,
            user="ops",
            identity_file=FOLDER / "keys/node",
            known_hosts=Path("/etc/hosts.known"),
            config_file=Path.home() / "own",
            command="ssh -J gate root@pve1",
        )

    def test_the_environment_comes_before_the_file(self) -> None:
        environ = {SHELL_VARIABLE: "incus exec pve -- sh"}
        found = options.read({"command": "ssh root@pve1"}, environ, FOLDER)
        assert found.command == "incus exec pve -- sh"

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            ({"hosst": "a"}, "“hosst” is not known; did you mean “host”"),
            ({"zzz": "a"}, "“zzz” is not known"),
            ({"port": "22"}, "port is a number from 1 to 65535, not '22'"),
            ({"port": True}, "port is a number"),
            ({"port": 70000}, "not 70000"),
            ({"host": 3}, "host is a text, not 3"),
            ({"host": "-oProxyCommand=evil"}, "does not begin with a dash"),
            ({"user": "-x"}, "does not begin with a dash"),
            ({"hosts": ["a"]}, "hosts maps nodes to addresses"),
            ({"command": "ssh 'open"}, "No closing quotation"),
        ],
        ids=lambda value: str(value)[:24],
    )
    def test_what_is_wrong_is_told(self, words: dict[str, Any], told: str) -> None:
        with pytest.raises(ConfigError) as caught:
            options.read(words, {}, FOLDER)
        assert told in caught.value.message
