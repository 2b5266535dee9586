"""The text of the units and of the environment file that serve an ASGI application. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from phoenix_hypervisor.model.errors import ConfigureFailed

LAUNCHER = "/usr/local/lib/phoenix/serve_asgi.py"
NOTE = "# Made by Phoenix; changes made by hand are overwritten.\n"


@dataclass(frozen=True, slots=True)
class Service:
    """One application. `listen` is what ListenStream= takes (systemd.socket(5))."""

    name: str
    user: str
    app: str
    listen: str
    root: str
    workers: int = 1
    graceful_s: int = 30
    start_s: int = 90
    factory: bool = False
    devices: bool = False
    proxies: Sequence[str] = ()

    @property
    def environment_path(self) -> str:
        """The file with its environment, for root alone; systemd reads it before it drops root."""
        return f"/etc/phoenix/{self.name}/environment"


def socket_unit(service: Service) -> str:
    """The socket that stays open while the service restarts, so that connections wait in it."""
    return f"""\
{NOTE}[Unit]
Description={service.name}: the socket

[Socket]
ListenStream={service.listen}
Backlog=4096
NoDelay=yes
ReusePort=no

[Install]
WantedBy=sockets.target
"""


def service_unit(service: Service) -> str:
    """The service, closed in as far as a Python program bears it (systemd.exec(5))."""
    arguments = [
        service.app,
        f"--workers={service.workers}",
        f"--graceful={service.graceful_s}",
        f"--proxies={','.join(('127.0.0.1', *service.proxies))}",
        *(["--factory"] if service.factory else []),
    ]
    return f"""\
{NOTE}[Unit]
Description={service.name} (ASGI application)
Requires={service.name}.socket
After=network-online.target {service.name}.socket
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=all
User={service.user}
Group={service.user}
WorkingDirectory={service.root}/current
EnvironmentFile={service.environment_path}
Environment=PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
ExecStart={service.root}/current/.venv/bin/python {LAUNCHER} {" ".join(arguments)}
TimeoutStartSec={service.start_s}
TimeoutStopSec={service.graceful_s + 15}
Restart=on-failure
RestartSec=200ms
RestartSteps=8
RestartMaxDelaySec=30s
StateDirectory={service.name}
CapabilityBoundingSet=
LockPersonality=yes
NoNewPrivileges=yes
PrivateDevices={"no" if service.devices else "yes"}
PrivateTmp=yes
ProtectClock={"no" if service.devices else "yes"}
ProtectControlGroups=yes
ProtectHome=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
UMask=0077

[Install]
WantedBy=multi-user.target
"""


def environment_text(values: Mapping[str, str]) -> str:
    """An EnvironmentFile (systemd.exec(5)): every value literally, quotes and newlines included.

    Raises `ConfigureFailed` for what no environment can hold.
    """
    lines = []
    for name, value in sorted(values.items()):
        if "\0" in value:
            raise ConfigureFailed(f"the environment variable {name} holds a NUL character")
        escaped = value
        for char in ("\\", '"', "`", "$"):
            escaped = escaped.replace(char, "\\" + char)
        lines.append(f'{name}="{escaped}"\n')
    return NOTE + "".join(lines)
