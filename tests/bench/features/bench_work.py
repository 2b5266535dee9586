"""25 operations as they are usual in a guest, each also a task of `ansible/playbook.yml`.

Only for measuring: `tests/bench/phoenix.py` puts this folder beside Phoenix's own features.
"""

import io
from typing import Any

from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Inside

PACKAGES = ["ca-certificates", "procps", "tzdata"]
TEMPLATE = "# written for {{ role }}\n[{{ role }}]\nport = {{ number }}\nworkers = 4\n"
UNIT = "[Service]\nExecStart=/bin/sleep inf\n[Install]\nWantedBy=multi-user.target\n"
PARTS = ("web", "jobs", "mail")


class WorkOptions(FeatureOptions):
    """Nothing to choose."""


class Work(Feature[WorkOptions]):
    """Packages that are there already, groups, users, folders, files, links, lines, a service."""

    name = "bench_work"
    options = WorkOptions

    def deploy(self, options: WorkOptions, inside: Inside) -> None:
        """The operations, in the playbook's order."""
        _accounts()
        _files()
        _system()


def _accounts() -> None:
    from pyinfra.operations import apt, server

    apt.packages(name="Packages", packages=PACKAGES)
    apt.packages(name="No telnet", packages=["telnet"], present=False)
    server.group(name="Group app", group="app")
    app: dict[str, Any] = {"group": "app", "home": "/srv/app", "shell": "/usr/sbin/nologin"}
    server.user(name="User app", user="app", create_home=False, **app)
    bash: dict[str, Any] = {"shell": "/bin/bash"}
    server.user(name="User deploy", user="deploy", create_home=True, **bash)


def _files() -> None:
    from pyinfra.operations import files

    owner: dict[str, Any] = {"user": "app", "group": "app"}
    for name in ("", "/data", "/conf"):
        files.directory(name=f"Folder app{name}", path=f"/srv/app{name}", mode="750", **owner)
    for part in PARTS:
        files.put(
            name=f"File {part}",
            src=io.StringIO(f"what {part} needs\n" * 40),
            dest=f"/srv/app/data/{part}.txt",
            mode="640",
            **owner,
        )
    for number, part in enumerate(PARTS, start=8000):
        files.template(
            name=f"Template {part}",
            src=io.StringIO(TEMPLATE),
            dest=f"/srv/app/conf/{part}.ini",
            mode="640",
            role=part,
            number=number,
            **owner,
        )
    for part in PARTS[:2]:
        files.link(
            name=f"Link {part}",
            path=f"/srv/app/{part}.ini",
            target=f"/srv/app/conf/{part}.ini",
        )
    files.file(name="No motd", path="/etc/motd", present=False)


def _system() -> None:
    from pyinfra.operations import files, server, systemd

    files.line(name="Line of hosts", path="/etc/hosts", line="192.0.2.7 upstream.example")
    files.line(
        name="Line of login.defs",
        path="/etc/login.defs",
        line=r"^UMASK\s.*",
        replace="UMASK 027",
    )
    server.sysctl(
        name="Kernel parameter",
        key="net.ipv4.ip_default_ttl",
        value=63,
        persist=True,
        persist_file="/etc/sysctl.d/60-work.conf",
    )
    files.put(
        name="Temporary files",
        src=io.StringIO("d /run/work 0755 app app\n"),
        dest="/etc/tmpfiles.d/work.conf",
        mode="644",
    )
    files.put(
        name="Profile",
        src=io.StringIO("export WORK=/srv/app\n"),
        dest="/etc/profile.d/work.sh",
        mode="644",
    )
    unit = files.put(
        name="Unit", src=io.StringIO(UNIT), dest="/etc/systemd/system/work.service", mode="644"
    )
    systemd.service(
        name="Service", service="work", running=True, enabled=True, daemon_reload=unit.did_change()
    )
    systemd.service(name="No timer", service="apt-daily.timer", running=False, enabled=False)
