"""What commands of pyinfra's operations and of our helpers are about."""

import pytest

from phoenix_hypervisor.configure.commands import Meaning, meanings
from phoenix_hypervisor.features._release import switch_script
from phoenix_hypervisor.features._system import APT_PATIENCE
from phoenix_hypervisor.features._take import script


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            "DEBIAN_FRONTEND=noninteractive apt-get -y -o Dpkg::Options::=--force-confdef install "
            f"--no-install-recommends {APT_PATIENCE} nginx redis=7.0",
            [
                Meaning("package", "nginx", after="installed", ask="version"),
                Meaning("package", "redis", after="7.0", ask="version"),
            ],
        ),
        ("apt-get -y remove nginx", [Meaning("package", "nginx", "installed", "removed")]),
        (
            "systemctl start nginx.service",
            [Meaning("service", "nginx.service", "not running", "running")],
        ),
        (
            "systemctl restart nginx.service",
            [Meaning("service", "nginx.service", "running", "restarted", follows=True)],
        ),
        (
            "systemctl daemon-reload",
            [Meaning("command", "systemd", after="reads its units again", follows=True)],
        ),
        ("chmod 0644 /etc/x", [Meaning("mode", "/etc/x", after="644", ask="mode")]),
        (
            "chown root:www-data '/etc/a b'",
            [Meaning("mode", "/etc/a b", after="root:www-data", ask="owner")],
        ),
        ("chgrp redis /etc/x", [Meaning("mode", "/etc/x", after=":redis", ask="owner")]),
        ("mkdir -p /opt/x", [Meaning("folder", "/opt/x", "missing", "made")]),
        ("rm -f /etc/x", [Meaning("file", "/etc/x", "there", "removed")]),
        ("ln -s /usr/x /etc/x", [Meaning("link", "/etc/x", after="/usr/x", ask="link")]),
        (
            "useradd -d /home/ann -s /bin/sh ann",
            [Meaning("user", "ann", "missing", "useradd -d /home/ann -s /bin/sh")],
        ),
        ("usermod -s /bin/sh ann", [Meaning("user", "ann", "there", "usermod -s /bin/sh")]),
        (
            "apt-get -o x=1 update && find /var/lib/apt/lists -exec touch {} +",
            [Meaning("command", "the package index", after="fetched", follows=True)],
        ),
        ("locale-gen", []),
        ("echo 'unbalanced", []),
        ("chmod 644 /a && rm -rf /b", []),
        ("set -e\nrm -f /x\n", []),
        ("", []),
    ],
)
def test_a_command(command: str, expected: list[Meaning]) -> None:
    assert meanings(command) == expected


def test_links_that_helpers_move() -> None:
    link = Meaning("link", "/srv/a b/current", after="releases/0123", ask="link")
    assert meanings(switch_script("/srv/a b", "0123")) == [link]
    taken = script("what", ["/etc/x"], {"/srv/a b/current": "releases/0123"}, "true", ":")
    assert meanings(taken) == [link]
