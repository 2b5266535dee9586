"""The base: people, names, time and trust."""

import subprocess
from pathlib import Path

import pytest
from tests.support.featurebench import Bench

from phoenix_hypervisor.model.errors import ConfigureFailed

pytestmark = pytest.mark.incus


class TestBaseSetup:
    def test_people_names_time_and_trust(self, bench: Bench, tmp_path: Path) -> None:
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9"),
                *("-subj", "/CN=Phoenix Test CA", "-keyout", str(tmp_path / "key.pem")),
                *("-out", str(bench.folder / "ca.pem")),
            ],
            check=True,
            capture_output=True,
        )
        bench.secrets["HASH"] = "$6$salt$" + "x" * 86
        key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGs ada's; $(touch /pwned)"
        options = {
            "ca_certificates": ["ca.pem"],
            "users": [
                {"name": "ada", "sudo": True, "ssh_keys": [key]},
                {"name": "bob", "password_hash": {"secret": "HASH"}},
            ],
            "hosts": {"data.test": {"address_of": "api"}},
            "security_updates": False,
        }
        bench.deploy("db", "base_setup", options)
        assert bench.deploy("db", "base_setup", options).changed == 0
        assert bench.sh("db", "uname -n; readlink /etc/localtime") == (
            "db\n/usr/share/zoneinfo/Europe/Berlin"
        )
        assert bench.sh("db", "getent hosts data.test").split()[0] == bench.ip("api")
        assert bench.sh("db", "runuser -u ada -- sudo -n id -u") == "0"
        assert bench.sh("db", "tail -n 1 /home/ada/.ssh/authorized_keys") == key
        assert bench.sh("db", "getent shadow bob | cut -d: -f2") == bench.secrets["HASH"]
        bench.sh("db", "! test -e /pwned; visudo -c")
        assert bench.sh("db", "stat -c '%U %a' /home/ada/.ssh /home/ada/.ssh/authorized_keys") == (
            "ada 700\nada 600"
        )
        # A user who turns the file into a link gets a file again, and root's stays as it was.
        bench.sh("db", "echo precious > /root/precious; chmod 600 /root/precious")
        keys = "/home/ada/.ssh/authorized_keys"
        bench.sh("db", f"runuser -u ada -- ln -sf /root/precious {keys}")
        assert bench.deploy("db", "base_setup", options).changed == 1
        assert bench.sh("db", f"cat /root/precious; tail -n 1 {keys}") == f"precious\n{key}"
        bench.sh("db", "rm -r /home/ada/.ssh; runuser -u ada -- ln -s /etc /home/ada/.ssh")
        with pytest.raises(ConfigureFailed):
            bench.deploy("db", "base_setup", options)
        bench.sh("db", "! test -e /etc/authorized_keys; rm /home/ada/.ssh")
        assert bench.deploy("db", "base_setup", options).changed == 1
        bundle = "/etc/ssl/certs/ca-certificates.crt"
        bench.sh(
            "db", f"openssl verify -CAfile {bundle} /usr/local/share/ca-certificates/phoenix-*"
        )
        bench.deploy("db", "base_setup", options | {"users": [], "ca_certificates": []})
        bench.sh("db", "! ls /etc/sudoers.d/phoenix-* /usr/local/share/ca-certificates/phoenix-*")
