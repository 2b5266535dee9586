"""exporters: how a guest does, and the servers in it, for Prometheus."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from phoenix_hypervisor.features._take import NewFile, take
from phoenix_hypervisor.features._words import Port
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Flaw, Inside
from phoenix_hypervisor.model.listen import Listen

_HEAD = "# Made by Phoenix from the files; changes made by hand are overwritten.\n"
_STATUS = "/etc/nginx/conf.d/phoenix-status.conf"
_PSQL = "cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d postgres"
_MEMBERS = """\
SELECT count(*) FROM pg_auth_members
WHERE roleid = 'pg_monitor'::regrole AND member = to_regrole('prometheus')"""
_MAKE_ROLE = """\
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'prometheus') THEN
        CREATE ROLE prometheus LOGIN;
    END IF;
END $$;
GRANT pg_monitor TO prometheus;
"""


class ExportersOptions(FeatureOptions):
    """Options of `exporters`."""

    port: Port = Field(9100, description="TCP port of the node exporter.")
    nginx_port: Port = Field(9113, description="TCP port of Nginx's, where the guest has `nginx`.")
    nginx_status_port: Port = Field(
        8091, description="TCP port at which Nginx tells its exporter alone, inside."
    )
    postgresql_port: Port = Field(
        9187, description="TCP port of PostgreSQL's, where the guest has `postgresql`."
    )


@dataclass(frozen=True, slots=True)
class Exporter:
    """One of them: `of` is the feature that it tells of, empty for the guest itself."""

    of: str
    unit: str
    port: int
    word: str


class Exporters(Feature[ExportersOptions]):
    """Prometheus's exporters of the distribution."""

    name = "exporters"
    options = ExportersOptions
    units = (
        "prometheus-node-exporter.service",
        "prometheus-nginx-exporter.service",
        "prometheus-postgres-exporter.service",
    )

    def flaws(self, options: ExportersOptions, guest: Guest, desired: Desired) -> Sequence[Flaw]:
        """Servers that come after it, so that they are not there yet when it asks for them."""
        names = [use.name for use in guest.features]
        mine = names.index(self.name) if self.name in names else len(names)
        late = [name for name in names[mine:] if name in ("nginx", "postgresql")]
        if not late:
            return ()
        hint = 'put "exporters" after it in `features`'
        return (Flaw(f"exporters stands before {late[0]}, of which it is to tell", hint=hint),)

    def inputs(
        self, options: ExportersOptions, guest: Guest, desired: Desired
    ) -> Mapping[str, Any]:
        """Which servers the guest has."""
        return {"of": [one.of for one in exporters(options, guest)]}

    def listens(
        self, options: ExportersOptions, guest: Guest, desired: Desired
    ) -> Sequence[Listen]:
        """The port of each, and that of Nginx's status."""
        found = [
            Listen(one.port, (one.word,), one.unit.removeprefix("prometheus-"))
            for one in exporters(options, guest)
        ]
        if any(one.of == "nginx" for one in exporters(options, guest)):
            at = ("nginx_status_port",)
            found.append(Listen(options.nginx_status_port, at, "nginx's status", "127.0.0.1"))
        return found

    def checks(self, options: ExportersOptions, guest: Guest) -> Sequence[Mapping[str, Any]]:
        """Each tells its metrics inside."""
        words = {"path": "/metrics", "from": "inside", "status": 200}
        return [{"http": {"port": one.port, **words}} for one in exporters(options, guest)]

    def deploy(self, options: ExportersOptions, inside: Inside) -> None:
        """Installs each, lets its server talk to it, and sets its arguments."""
        from phoenix_hypervisor.features import _system
        from phoenix_hypervisor.features._restarting import lasting_service

        for one in exporters(options, inside.guest):
            _system.install(one.unit)
            if one.of == "nginx":
                _let_nginx_tell(options)
            if one.of == "postgresql":
                _let_postgresql_tell()
            new = _system.text_file(f"/etc/default/{one.unit}", defaults(options, one))
            lasting_service(one.unit, restart=new)


def exporters(options: ExportersOptions, guest: Guest) -> Iterator[Exporter]:
    """Those that a guest has: its own, and those of its servers."""
    yield Exporter("", "prometheus-node-exporter", options.port, "port")
    names = {use.name for use in guest.features}
    if "nginx" in names:
        yield Exporter("nginx", "prometheus-nginx-exporter", options.nginx_port, "nginx_port")
    if "postgresql" in names:
        unit = "prometheus-postgres-exporter"
        yield Exporter("postgresql", unit, options.postgresql_port, "postgresql_port")


def defaults(options: ExportersOptions, one: Exporter) -> str:
    """The file of its arguments, as Debian's unit reads it."""
    if one.of == "nginx":
        status = f"http://127.0.0.1:{options.nginx_status_port}/status"
        return f'{_HEAD}ARGS="-web.listen-address=:{one.port} -nginx.scrape-uri={status}"\n'
    if one.of == "postgresql":
        source = "user=prometheus host=/run/postgresql dbname=postgres"
        return f'{_HEAD}DATA_SOURCE_NAME="{source}"\nARGS="--web.listen-address=:{one.port}"\n'
    # What a container hasn't, or what tells of the host.
    without = " ".join(f"--no-collector.{name}" for name in ("rapl", "hwmon", "mdadm", "nvme"))
    return f'{_HEAD}ARGS="--web.listen-address=:{one.port} {without}"\n'


def status_text(port: int) -> str:
    """A server of Nginx's that only the guest itself reaches (ngx_http_stub_status_module)."""
    return f"""\
{_HEAD}server {{
    listen 127.0.0.1:{port};
    access_log off;
    location = /status {{
        stub_status;
    }}
}}
"""


def _let_nginx_tell(options: ExportersOptions) -> None:
    take(
        "Nginx status",
        [NewFile(_STATUS, status_text(options.nginx_status_port))],
        accept="nginx -t\nsystemctl reload nginx",
        undo="systemctl reload nginx",
    )


def _let_postgresql_tell() -> None:
    """A role that reads statistics, for the exporter's own user alone: by its name, no password."""
    from phoenix_hypervisor.features import _system

    if _system.ask(f'{_PSQL} -c "{_MEMBERS}"') != "1":
        _system.run("Let the exporter read PostgreSQL's statistics", _PSQL, stdin=_MAKE_ROLE)
