"""The way by OpenSSH's client: one control connection per node, which later commands share.

It is the user's own client with the user's configuration, agent, keys and jump hosts. Host keys
are always verified. Source: ssh(1), ssh_config(5).
"""

import hashlib
import os
import re
import shlex
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from phoenix_hypervisor.drivers.proxmox.node.options import Options
from phoenix_hypervisor.model.errors import Denied, DriverError, PhoenixError, Unreachable

_KEPT_S = 60
_LONGEST_SOCKET = 107
# What `ssh` adds to the folder: our 9 bytes, 40 of %C, and while it is made a suffix of 17.
_SOCKET_NAME = 1 + 9 + 40 + 17


class Ssh:
    """`ssh` to one host, as root or as a user who may become root by `sudo -n`."""

    def __init__(
        self,
        host: str,
        options: Options,
        *,
        sockets: Path | None = None,
        alone: bool = False,
        address: str | None = None,
    ) -> None:
        """`sockets` is the folder of the control connections; None: the user's own.

        `alone`: it shares no connection; `address` is where the host is reached, if not at its own
        name, by which its host key is known still.
        """
        self._host = host
        self._alone = alone
        self._address = address
        self._options = options
        self._sockets = sockets
        port = "" if options.port in (None, 22) else f"-p {options.port} "
        self.label = f"ssh {port}{options.user}@{host}"

    def shell(self) -> tuple[str, ...]:
        """`ssh … sh`."""
        return self.inside("sh")

    def inside(self, *command: str) -> tuple[str, ...]:
        """`ssh -T … command`."""
        return (*self._client(), "-T", "--", self._host, self._rooted(command))

    def terminal(self, *command: str) -> tuple[str, ...]:
        """`ssh -t … command`."""
        return (*self._client(), "-t", "--", self._host, self._rooted(command))

    def close(self) -> tuple[str, ...]:
        """Ends the control connection."""
        return (*self._client(), "-O", "exit", "--", self._host)

    def anew(self, address: str | None) -> "Ssh":
        """A connection that is not shared."""
        return Ssh(self._host, self._options, sockets=self._sockets, alone=True, address=address)

    def explain(self, error: Unreachable) -> PhoenixError:
        """The client's words as an error that says how to mend it."""
        for pattern, make in _EXPLAINED:
            if found := re.search(pattern, error.message):
                return make(self, found)
        return Unreachable(
            f"{self.label}: {error.message}", hint=f"try it by hand: ssh {self._by_hand()}"
        )

    def _client(self) -> tuple[str, ...]:
        options = self._options
        settings = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "ConnectTimeout": "10",
            "ServerAliveInterval": "15",
            "ServerAliveCountMax": "3",
            "LogLevel": "ERROR",
            **self._sharing(),
        }
        if options.known_hosts is not None:
            settings["UserKnownHostsFile"] = _quoted(options.known_hosts)
            settings["GlobalKnownHostsFile"] = "none"
        if options.identity_file is not None:
            settings["IdentitiesOnly"] = "yes"
        argv = ["ssh"]
        if options.config_file is not None:
            argv += ["-F", str(options.config_file)]
        for name, value in settings.items():
            argv += ["-o", f"{name}={value}"]
        if options.identity_file is not None:
            argv += ["-i", str(options.identity_file)]
        if options.port is not None:
            argv += ["-p", str(options.port)]
        return (*argv, "-l", options.user)

    def _sharing(self) -> dict[str, str]:
        if self._alone:
            moved = {"HostName": self._address or "", "HostKeyAlias": self._known_as()}
            return {"ControlPath": "none", **(moved if self._address else {})}
        return {
            "ControlMaster": "auto",
            "ControlPersist": str(_KEPT_S),
            "ControlPath": f"{self._folder()}/{self._digest()}-%C",
        }

    def _rooted(self, command: tuple[str, ...]) -> str:
        prefix = () if self._options.user == "root" else ("sudo", "-n", "--")
        return shlex.join((*prefix, *command))

    def _folder(self) -> Path:
        if self._sockets is None:
            self._sockets = private_folder(os.environ)
        return self._sockets

    def _digest(self) -> str:
        # A connection that was made with other keys or known hosts is not shared.
        return hashlib.sha256(repr((self._host, self._options)).encode()).hexdigest()[:8]

    def _by_hand(self) -> str:
        options = self._options
        words: list[str] = []
        if options.config_file is not None:
            words += ["-F", str(options.config_file)]
        if options.known_hosts is not None:
            words += ["-o", f"UserKnownHostsFile={_quoted(options.known_hosts)}"]
        if options.identity_file is not None:
            words += ["-i", str(options.identity_file)]
        if options.port is not None:
            words += ["-p", str(options.port)]
        return shlex.join([*words, f"{options.user}@{self._host}"])

    def _known_as(self) -> str:
        port = self._options.port
        return self._host if port in (None, 22) else f"[{self._host}]:{port}"

    def _unknown_key(self, _: re.Match[str]) -> PhoenixError:
        port = "" if self._options.port is None else f"-p {self._options.port} "
        kept = shlex.quote(str(self._options.known_hosts or "~/.ssh/known_hosts")).replace("'", "")
        return Unreachable(
            f"the host key of {self._known_as()} is not known, so it is not trusted",
            hint=f"accept it once by hand: ssh {self._by_hand()} — or, on a network that you "
            f"trust: ssh-keyscan {port}{self._host} >>{kept}. On the node, "
            "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub shows its fingerprint.",
        )

    def _changed_key(self, _: re.Match[str]) -> PhoenixError:
        file = self._options.known_hosts
        kept = "" if file is None else f"-f {shlex.quote(str(file))} "
        return Unreachable(
            f"the host key of {self._known_as()} has changed: the node was installed anew, or "
            "somebody else answers in its place",
            hint="if you know why it changed, forget the old one with ssh-keygen "
            f"{kept}-R {shlex.quote(self._known_as())} and accept the new one with "
            f"ssh {self._by_hand()}",
        )

    def _no_key(self, found: re.Match[str]) -> PhoenixError:
        copy = self._by_hand()
        return Denied(
            f"{self.label}: the node takes none of your SSH keys ({found[0]})",
            missing=f"an SSH key for {self._options.user} on {self._host}",
            hint=f"copy yours there: ssh-copy-id {copy}; a key with a passphrase has to be in "
            "the agent (ssh-add)",
        )

    def _bad_key_file(self, found: re.Match[str]) -> PhoenixError:
        return Denied(
            f"{self.label}: the key file can't be used: {found[0].strip()}",
            missing="a readable private key",
            hint="name the private key (not .pub) as hypervisor.ssh.identity_file; its mode has "
            "to be 0600",
        )

    def _no_sudo(self, found: re.Match[str]) -> PhoenixError:
        user = self._options.user
        return Denied(
            f"{self.label}: {user} can't become root: {found[0]}",
            missing="root",
            hint=f"let {user} use sudo without a password (on the node, in /etc/sudoers.d/phoenix: "
            f"{user} ALL=(root) NOPASSWD: ALL), or take root as hypervisor.ssh.user",
        )

    def _no_client(self, _: re.Match[str]) -> PhoenixError:
        return Unreachable(
            "there is no ssh on this machine",
            hint="install OpenSSH's client: apt install openssh-client",
        )

    def _unreached(self, found: re.Match[str]) -> PhoenixError:
        return Unreachable(
            f"{self.label}: {found[0].strip()}",
            hint="is the node up, and are host and port right? hypervisor.ssh.host and .port "
            f"name them; try it by hand: ssh {self._by_hand()}",
        )


_Make = Callable[[Ssh, re.Match[str]], PhoenixError]
# OpenSSH's own words, in the order in which they are looked for.
_EXPLAINED: tuple[tuple[str, _Make], ...] = (
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED", Ssh._changed_key),  # noqa: SLF001
    (r"host key is known for|Host key verification failed", Ssh._unknown_key),  # noqa: SLF001
    (
        r"UNPROTECTED PRIVATE KEY FILE|Load key [^\n]*|Identity file [^\n]* not accessible[^\n]*",
        Ssh._bad_key_file,  # noqa: SLF001
    ),
    (r"Permission denied \([^)\n]*\)|Too many authentication failures", Ssh._no_key),  # noqa: SLF001
    (r"sudo: (?!unable to resolve)[^\n]*", Ssh._no_sudo),  # noqa: SLF001
    (r"No such file or directory: 'ssh'", Ssh._no_client),  # noqa: SLF001
    (
        r"Could not resolve hostname[^\n]*|connect to host[^\n]*|Connection (?:timed out|refused)"
        r"[^\n]*|No route to host[^\n]*|kex_exchange_identification[^\n]*",
        Ssh._unreached,  # noqa: SLF001
    ),
)


def private_folder(environ: Mapping[str, str]) -> Path:
    """The user's folder for control connections, made with mode 0700.

    Under XDG_RUNTIME_DIR, for root /run, else /tmp: short enough for a socket's path (unix(7)
    allows 108 bytes). Raises `DriverError` where somebody else could get at it.
    """
    candidates = [Path("/run/phoenix")] if os.geteuid() == 0 else []
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        candidates.insert(0, Path(runtime) / "phoenix")
    fitting = [
        each
        for each in candidates
        if each.parent.is_dir() and len(bytes(each)) + _SOCKET_NAME <= _LONGEST_SOCKET
    ]
    folder = fitting[0] if fitting else Path(f"/tmp/phoenix-{os.geteuid()}")  # noqa: S108
    folder /= "ssh"
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    for each, open_to in ((folder.parent, 0o022), (folder, 0o077)):
        found = each.lstat()
        is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
        if not is_own or found.st_mode & open_to:
            raise DriverError(
                f"{each} is not a folder of yours alone, so no connection is kept in it",
                hint=f"remove it: rm -rf {shlex.quote(str(each))}",
            )
    return folder


def _quoted(path: Path) -> str:
    """A path as ssh_config(5) reads it: with blanks it stands in double quotes."""
    text = str(path)
    return f'"{text}"' if re.search(r"\s", text) else text
