"""Watching as a service of systemd: its unit, and how it is put in place and taken away.

Source: systemd.service(5), systemd.exec(5), systemd.unit(5), systemd.syntax(7).
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from phoenix_hypervisor.model.errors import NotFound, PhoenixError, Unsupported

_HANDED_ON = (
    "INCUS_DIR",
    "INCUS_SOCKET",
    "PHOENIX_NODE_SHELL",
    "PHOENIX_SIM_SECONDS",
    "PHOENIX_SIM_STATE",
)
"""What of this shell's environment says where the target is; none of it is a secret."""
ROOT = os.geteuid() == 0
"""Root's are the system's own units."""
_LIMIT_S = 90.0
"""Longer than the unit may take to end."""
_MADE_BY = "# Made by `phoenix watch --install` in "
_NAMES = "phoenix-watch-*.service"
# It may be asked to make a guest anew, which mounts, unpacks, starts programs, opens devices and
# writes into /etc/pve: what would stop that is not forbidden. What is never its work is. A private
# /tmp would hide folders that lie there, `ProtectClock` closes all devices.
_UNIT = """\
{made_by}{folder}
[Unit]
Description=Phoenix watches the stack {stack}
Documentation=https://www.freedesktop.org/software/systemd/man/systemd.service.html
Wants=network-online.target
After=network-online.target incus.service pve-cluster.service
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={command}
WorkingDirectory={directory}
EnvironmentFile=-{secrets}
{environment}Restart=always
RestartSec=2
WatchdogSec=60
TimeoutStartSec=infinity
TimeoutStopSec=60
LimitCORE=0
LimitNOFILE=65536
OOMScoreAdjust=-500
CPUWeight=1000
UMask=0077
LockPersonality=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectSystem=full
ReadWritePaths={written} -/etc/pve
RestrictRealtime=yes

[Install]
WantedBy={target}
"""


@dataclass(frozen=True, slots=True)
class Service:
    """The unit of one folder. `argv` is the whole command."""

    stack: str
    folder: Path
    argv: Sequence[str]
    environ: Mapping[str, str]
    root: bool = ROOT

    @property
    def name(self) -> str:
        """`phoenix-watch-<stack>.service`."""
        return f"phoenix-watch-{re.sub(r'[^A-Za-z0-9_.-]', '-', self.stack)}.service"

    @property
    def path(self) -> Path:
        """Where its unit lies."""
        return _units(self.environ, self.root) / self.name

    @property
    def secrets(self) -> Path:
        """A file for secrets that are kept in the environment; it need not be there."""
        base = Path("/etc/phoenix") if self.root else Path.home() / ".config" / "phoenix"
        return base / f"{self.name.removesuffix('.service')}.env"

    def unit(self) -> str:
        """The unit's text."""
        handed = {name: self.environ[name] for name in _HANDED_ON if self.environ.get(name)}
        return _UNIT.format(
            made_by=_MADE_BY,
            folder=self.folder,
            stack=_plain(self.stack),
            command=" ".join(_quoted(word, command=True) for word in self.argv),
            directory=_plain(str(self.folder)),
            secrets=_plain(str(self.secrets)),
            written=_quoted(str(self.folder)),
            environment="".join(
                f"Environment={_quoted(f'{name}={value}')}\n" for name, value in handed.items()
            ),
            target="multi-user.target" if self.root else "default.target",
        )

    def install(self) -> None:
        """Writes the unit, enables and starts it; one that runs is started anew.

        One of this folder by another name goes: its stack was renamed.

        Raises `Unsupported` without systemd, `PhoenixError` where another folder has the name.
        """
        if not _runs():
            raise Unsupported(
                "systemd does not run this machine, so there is no service to install",
                hint="have what starts your services run: " + " ".join(self.argv),
            )
        if (other := _folder(self.path)) not in (None, str(self.folder)):
            raise PhoenixError(
                f"{self.name} watches {other or 'something else'}",
                hint="end that one there with `phoenix watch --uninstall`, or give one of both "
                "stacks another name with `hypervisor.stack`",
            )
        for path in _of(self.folder, self.environ, root=self.root):
            if path != self.path:
                _take_away(path, root=self.root)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(self.unit(), encoding="utf-8")
        except OSError as error:
            raise PhoenixError(f"{self.path} can't be written: {error.strerror}") from error
        _systemctl("daemon-reload", root=self.root)
        _systemctl("enable", "--quiet", self.name, root=self.root)
        _systemctl("restart", "--no-block", self.name, root=self.root)


def uninstall(folder: Path, environ: Mapping[str, str], *, root: bool = ROOT) -> list[str]:
    """Ends the folder's service and takes its unit away, whatever its files say now; its name.

    Raises `NotFound` where there is none.
    """
    found = _of(folder, environ, root=root) if _runs() else []
    if not found:
        raise NotFound(f"no service watches {folder}", hint="`phoenix watch --install` makes one")
    for path in found:
        _take_away(path, root=root)
    return [path.name for path in found]


def _units(environ: Mapping[str, str], root: bool) -> Path:
    if root:
        return Path("/etc/systemd/system")
    home = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "systemd" / "user"


def _of(folder: Path, environ: Mapping[str, str], *, root: bool) -> list[Path]:
    """The units of a folder: one, but where its stack was renamed."""
    found = sorted(_units(environ, root).glob(_NAMES))
    return [path for path in found if _folder(path) == str(folder)]


def _folder(unit: Path) -> str | None:
    """The folder that a unit is for; empty for one of somebody else, None where it is not there."""
    try:
        first = unit.read_text(encoding="utf-8").partition("\n")[0]
    except FileNotFoundError:
        return None
    return first.removeprefix(_MADE_BY) if first.startswith(_MADE_BY) else ""


def _take_away(unit: Path, *, root: bool) -> None:
    _systemctl("disable", "--quiet", "--now", unit.name, root=root)
    unit.unlink()
    _systemctl("daemon-reload", root=root)


def _runs() -> bool:
    """Whether systemd runs this machine, as sd_booted(3) tells it."""
    return Path("/run/systemd/system").is_dir() and shutil.which("systemctl") is not None


def _systemctl(*words: str, root: bool) -> None:
    scope = () if root else ("--user",)
    try:
        done = subprocess.run(
            ["systemctl", *scope, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PhoenixError(f"systemctl {words[0]} took longer than {_LIMIT_S:.0f} s") from error
    if done.returncode:
        raise PhoenixError(f"systemctl {' '.join(words)} failed", detail=done.stderr.strip())


def _plain(text: str) -> str:
    """A value that is not split into words."""
    return text.replace("%", "%%")


def _quoted(word: str, *, command: bool = False) -> str:
    """One word of a line of words; in a command line `$` begins a variable."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text.replace("$", "$$") if command else text}"'
