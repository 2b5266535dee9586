"""The vectors of the SSH client, its folder, and its words as errors."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from phoenix_hypervisor.drivers.proxmox.node.options import Options
from phoenix_hypervisor.drivers.proxmox.node.ssh import Ssh, private_folder
from phoenix_hypervisor.model.errors import Denied, DriverError, PhoenixError, Unreachable

SOCKETS = Path("/run/s")


def ssh(host: str = "pve1", **words: object) -> Ssh:
    return Ssh(host, Options(**words), sockets=SOCKETS)  # type: ignore[arg-type]


def settings(way: Ssh) -> dict[str, str]:
    """What the real client makes of the vector."""
    vector = way.shell()
    asked = [vector[0], "-G", *vector[1:]]
    told = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=10).stdout
    return dict(line.split(" ", 1) for line in told.splitlines() if " " in line)


class TestVector:
    def test_the_client_verifies_keys_and_shares_one_connection(self) -> None:
        found = settings(ssh())
        assert found["batchmode"] == "yes"
        assert found["stricthostkeychecking"] == "true"
        assert found["controlmaster"] == "auto"
        assert found["controlpersist"] == "60"
        assert found["controlpath"].startswith(f"{SOCKETS}/")
        assert (found["connecttimeout"], found["serveraliveinterval"]) == ("10", "15")
        assert (found["hostname"], found["user"]) == ("pve1", "root")

    def test_takes_every_word(self, tmp_path: Path) -> None:
        key = tmp_path / "a key"
        key.touch()
        found = settings(
            ssh(
                port=2222,
                user="ops",
                identity_file=key,
                known_hosts=Path("/k/known hosts"),
                config_file=Path("/dev/null"),
            )
        )
        assert (found["port"], found["user"]) == ("2222", "ops")
        assert found["identityfile"] == str(key)
        assert found["userknownhostsfile"] == "/k/known hosts"

    def test_a_command_arrives_as_the_words_that_it_is_made_of(self) -> None:
        vector = ssh().inside("printf", "%s", "a b", "$HOME", "it's")
        assert vector[-2:] == ("pve1", """printf %s 'a b' '$HOME' 'it'"'"'s'""")
        assert "-T" in vector

    def test_others_than_root_go_through_sudo(self) -> None:
        assert ssh(user="ops").shell()[-1] == "sudo -n -- sh"

    def test_a_terminal_is_asked_for(self) -> None:
        assert "-t" in ssh().terminal("top")

    def test_other_keys_never_share_a_connection(self) -> None:
        paths = {
            settings(way)["controlpath"]
            for way in (ssh(), ssh(identity_file=Path("/k")), ssh(known_hosts=Path("/h")))
        }
        assert len(paths) == 3

    def test_the_sockets_path_fits(self) -> None:
        folder = private_folder({})
        path = settings(Ssh("a" * 60, Options()))["controlpath"]
        assert path.startswith(str(folder))
        assert len(path) + 17 < 108


@pytest.fixture
def runtime() -> Iterator[Path]:
    """A folder of the user's with a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


class TestPrivateFolder:
    def test_is_made_for_the_user_alone(self, runtime: Path) -> None:
        folder = private_folder({"XDG_RUNTIME_DIR": str(runtime)})
        assert folder == runtime / "phoenix/ssh"
        assert folder.stat().st_mode & 0o777 == 0o700

    def test_one_that_others_can_enter_is_refused(self, runtime: Path) -> None:
        folder = runtime / "phoenix/ssh"
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        with pytest.raises(DriverError, match="not a folder of yours alone") as caught:
            private_folder({"XDG_RUNTIME_DIR": str(runtime)})
        assert caught.value.hint == f"remove it: rm -rf {folder}"

    def test_a_link_is_refused(self, runtime: Path) -> None:
        (runtime / "elsewhere").mkdir(mode=0o700)
        (runtime / "phoenix").mkdir(mode=0o700)
        (runtime / "phoenix/ssh").symlink_to(runtime / "elsewhere")
        with pytest.raises(DriverError, match="not a folder of yours alone"):
            private_folder({"XDG_RUNTIME_DIR": str(runtime)})

    def test_a_path_that_is_too_long_for_a_socket_is_not_taken(self, tmp_path: Path) -> None:
        deep = tmp_path / ("d" * 60)
        deep.mkdir()
        folder = private_folder({"XDG_RUNTIME_DIR": str(deep)})
        assert folder in (Path("/run/phoenix/ssh"), Path(f"/tmp/phoenix-{os.geteuid()}/ssh"))


# OpenSSH 9.2's own words.
CASES: list[tuple[str, str, type[PhoenixError], str, str]] = [
    (
        "unknown host key",
        "No ED25519 host key is known for pve1 and you have requested strict checking.\n"
        "Host key verification failed.",
        Unreachable,
        "host key of pve1 is not known",
        "ssh root@pve1",
    ),
    (
        "changed host key",
        "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.",
        Unreachable,
        "host key of pve1 has changed",
        "ssh-keygen -R pve1",
    ),
    (
        "no key",
        "root@pve1: Permission denied (publickey,password).",
        Denied,
        "takes none of your SSH keys",
        "ssh-copy-id root@pve1",
    ),
    (
        "unreadable key",
        'Load key "/k": invalid format\nroot@pve1: Permission denied (publickey).',
        Denied,
        "the key file can't be used",
        "identity_file",
    ),
    ("no sudo", "sudo: a password is required", Denied, "can't become root", "NOPASSWD"),
    (
        "no client",
        "[Errno 2] No such file or directory: 'ssh'",
        Unreachable,
        "no ssh on this machine",
        "apt install openssh-client",
    ),
    (
        "refused",
        "ssh: connect to host pve1 port 22: Connection refused",
        Unreachable,
        "Connection refused",
        "hypervisor.ssh.host",
    ),
    (
        "no such name",
        "ssh: Could not resolve hostname pve1: Name or service not known",
        Unreachable,
        "Could not resolve hostname pve1",
        "hypervisor.ssh.host",
    ),
    ("something else", "the moon is full", Unreachable, "the moon is full", "ssh root@pve1"),
]


class TestExplain:
    @pytest.mark.parametrize(
        ("words", "kind", "message", "hint"),
        [case[1:] for case in CASES],
        ids=[c[0] for c in CASES],
    )
    def test_says_what_is_wrong_and_how_to_mend_it(
        self, words: str, kind: type[PhoenixError], message: str, hint: str
    ) -> None:
        error = ssh().explain(Unreachable(f"pve1: no shell can be opened: {words}"))
        assert type(error) is kind
        assert message in error.message
        assert hint in error.hint

    def test_names_a_host_with_a_port_as_known_hosts_does(self) -> None:
        words = Unreachable("REMOTE HOST IDENTIFICATION HAS CHANGED")
        error = ssh(port=2222, known_hosts=Path("/k/known")).explain(words)
        assert "ssh-keygen -f /k/known -R '[pve1]:2222'" in error.hint
