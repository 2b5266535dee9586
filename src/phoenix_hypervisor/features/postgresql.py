"""PostgreSQL: roles, databases and extensions, open to those who depend on it, dumped daily."""

import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from phoenix_hypervisor.features import _postgresql_sql as sql
from phoenix_hypervisor.features._guests import dependents, refuse, unknown_dependents
from phoenix_hypervisor.features._postgresql_conf import (
    DUMP_SCRIPT,
    Allowed,
    Setting,
    dump_script,
    dump_service,
    dump_timer,
    hba_text,
    settings_text,
)
from phoenix_hypervisor.features._release import own
from phoenix_hypervisor.features._restarting import lasting_service
from phoenix_hypervisor.features._take import NewFile, take
from phoenix_hypervisor.features._words import AbsolutePath, Network, PackageName, RelativePath
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.errors import ConfigError, ConfigureFailed
from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Flaw, InFolder, Inside
from phoenix_hypervisor.model.listen import Listen
from phoenix_hypervisor.model.secret import Secret

DEFAULT_VERSIONS = {
    ("debian", "12"): 15,
    ("debian", "13"): 17,
    ("ubuntu", "22.04"): 14,
    ("ubuntu", "24.04"): 16,
}
PACKAGES = {
    "vector": "postgresql-{}-pgvector",
    "postgis": "postgresql-{}-postgis-3",
    "pg_cron": "postgresql-{}-cron",
    "pg_partman": "postgresql-{}-partman",
    "pgaudit": "postgresql-{}-pgaudit",
}
"""Extensions that have a Debian package of their own; all others come with the server."""

WAITING = "select count(*) from pg_settings where pending_restart"

SqlName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,62}$")]
SettingName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$")]


class Role(FeatureOptions):
    """One role. What is left out of the list later stays in the database."""

    name: SqlName = Field(description="Its name.")
    password: Secret | None = Field(
        None, description="Without it the role keeps the one that it has."
    )
    login: bool = Field(True, description="May log in.")
    createdb: bool = Field(False, description="May make databases.")
    superuser: bool = Field(False, description="May do everything.")


class Database(FeatureOptions):
    """One database."""

    name: SqlName = Field(description="Its name.")
    owner: SqlName | None = Field(None, description="A role. Default: postgres, or as it is.")
    extensions: tuple[SqlName, ...] = Field((), description="Such as `vector` or `pg_trgm`.")
    locale: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.@-]+$")] = Field(
        "C.UTF-8", description="Sorting and letter case, only when it is made."
    )
    init_sql: Annotated[tuple[RelativePath, ...], InFolder("", "file")] = Field(
        (), description="Files of the folder, each run once, as postgres, in one transaction."
    )


class Allow(FeatureOptions):
    """A subnet that may connect beside the dependents."""

    network: Network = Field(description="The subnet, as `10.0.0.0/24`.")
    databases: tuple[SqlName, ...] = Field((), description="Only these databases.")
    roles: tuple[SqlName, ...] = Field((), description="Only as these roles.")


def _allow(value: object) -> object:
    return {"network": value} if isinstance(value, str) else value


class Dumps(FeatureOptions):
    """Daily dumps of all databases."""

    enabled: bool = Field(True, description="Whether there are dumps.")
    directory: AbsolutePath | None = Field(
        None,
        description="Default: the guest's volume named backup or backups, else "
        "/var/backups/postgresql.",
    )
    at: Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = Field(
        "03:15", description="The time of day, in the guest's time zone."
    )
    keep_days: int = Field(14, ge=1, le=3650, description="How many days they are kept.")


class PostgresqlOptions(FeatureOptions):
    """Options of `postgresql`."""

    version: int | None = Field(
        None,
        ge=13,
        le=30,
        description="Major version. Default: the distribution's, which is 17 on Debian 13, 16 on "
        "Ubuntu 24.04, 15 on Debian 12.",
    )
    repository: str = Field(
        "distribution",
        pattern="^(distribution|pgdg)$",
        description="`pgdg`: PostgreSQL's own packages, for versions that the distribution lacks.",
    )
    roles: tuple[Role, ...] = Field((), description="Who may log in to the server.")
    databases: tuple[Database, ...] = Field((), description="Databases, with their extensions.")
    allow: tuple[Annotated[Allow, BeforeValidator(_allow)], ...] = Field(
        (), description="Subnets (CIDR) that may connect, beside the guests that depend on it."
    )
    settings: dict[SettingName, Setting] = Field({}, description="Any of PostgreSQL's settings.")
    data_directory: AbsolutePath | None = Field(
        None, description="Where the data goes (a volume), decided when it is first installed."
    )
    packages: tuple[PackageName, ...] = Field(
        (),
        description="For extensions that need more; the packages of pgvector, PostGIS, pg_cron, "
        "pg_partman and pgAudit are known.",
    )
    dumps: Dumps = Dumps()


class Postgresql(Feature[PostgresqlOptions]):
    """PostgreSQL from the distribution (or PGDG), reached only by those who need it."""

    name = "postgresql"
    keeps = "its databases"
    options = PostgresqlOptions
    units = ("phoenix-postgresql-dump.*", "postgresql.service", "postgresql@*.service")
    sets = ("roles/*/password",)

    def flaws(self, options: PostgresqlOptions, guest: Guest, desired: Desired) -> Sequence[Flaw]:
        """Dependents without an address, unknown owners, and settings that no file can hold."""
        return [*unknown_dependents(guest, desired), *_flaws(options)]

    def listens(
        self, options: PostgresqlOptions, guest: Guest, desired: Desired
    ) -> Sequence[Listen]:
        """Its port, counted as one of all addresses: some are its own in any case."""
        port = str(options.settings.get("port", 5432))
        return (Listen(int(port), ("settings", "port")),) if port.isdecimal() else ()

    def inputs(
        self, options: PostgresqlOptions, guest: Guest, desired: Desired
    ) -> Mapping[str, Any]:
        """Addresses of the guests that depend on this one. Raises `ConfigError` for flaws."""
        refuse(_flaws(options))
        return {"dependents": dependents(guest, desired)}

    def files(self, options: PostgresqlOptions, guest: Guest, folder: Path) -> Sequence[Path]:
        """SQL files that are run once."""
        return [
            own(folder / path, folder)
            for database in options.databases
            for path in database.init_sql
        ]

    def checks(self, options: PostgresqlOptions, guest: Guest) -> Sequence[Mapping[str, Any]]:
        """Each database answers inside."""
        names = [database.name for database in options.databases] or ["postgres"]
        return [{"sql": {"database": n, "query": "select 1", "expect": "1"}} for n in names]

    def deploy(self, options: PostgresqlOptions, inside: Inside) -> None:
        """Installs it, then configuration, roles, databases and dumps, each only if it differs."""
        version = _install(options)
        _configure(options, version, inside.inputs["dependents"])
        passwords = {r.name: inside.reveal(r.password) for r in options.roles if r.password}
        for name, password in passwords.items():
            if not password or "\0" in password:
                raise ConfigureFailed(f"the password of the PostgreSQL role {name} is empty")
        _tell(
            "postgres",
            "Make or change roles",
            sql.role_statements(
                options.roles, json.loads(_query("postgres", sql.SEEN_ROLES)), passwords
            ),
        )
        _tell(
            "postgres",
            "Make or change databases",
            sql.database_statements(
                options.databases, json.loads(_query("postgres", sql.SEEN_DATABASES))
            ),
        )
        for database in options.databases:
            seen = json.loads(_query(database.name, sql.SEEN_EXTENSIONS))
            _tell(
                database.name,
                f"Add extensions to {database.name}",
                sql.extension_statements(database.extensions, seen),
            )
            _init(database, inside.folder)
        _dumps(options.dumps, inside.guest)


def _flaws(options: PostgresqlOptions) -> Iterator[Flaw]:
    known = {role.name for role in options.roles} | {"postgres"}
    for index, database in enumerate(options.databases):
        if database.owner and database.owner not in known:
            message = (
                f"postgresql: {database.name} is owned by {database.owner!r}, "
                "which is not among postgresql.roles"
            )
            yield Flaw(message, ("databases", index, "owner"))
    for name, value in options.settings.items():
        try:
            settings_text({name: value}, listens=False)
        except ConfigError as error:
            yield Flaw(error.message, ("settings", name))


def _install(options: PostgresqlOptions) -> int:
    from phoenix_hypervisor.features import _system

    release = _system.os_release()
    version = options.version or DEFAULT_VERSIONS.get(release)
    if version is None:
        raise ConfigureFailed(
            f"no default PostgreSQL version is known for {' '.join(release)}",
            hint='set postgresql.version, and "repository": "pgdg" where the distribution lacks it',
        )
    _refuse_other_clusters(options, version)
    if options.repository == "pgdg":
        _system.install("postgresql-common", "ca-certificates")
        if not _system.ask("ls /etc/apt/sources.list.d/pgdg.* 2>/dev/null || true"):
            _system.run(
                "Add PostgreSQL's own package repository",
                "/usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y",
            )
    if options.data_directory:
        _system.install("postgresql-common")
        _system.text_file(
            "/etc/postgresql-common/createcluster.d/phoenix.conf",
            f"data_directory = '{options.data_directory}/%v/%c'\n",
        )
    extra = {
        PACKAGES[extension].format(version)
        for database in options.databases
        for extension in database.extensions
        if extension in PACKAGES
    }
    _system.install(f"postgresql-{version}", *sorted(extra), *options.packages)
    return version


def _refuse_other_clusters(options: PostgresqlOptions, version: int) -> None:
    """Data that lies elsewhere or in another version is never moved, and never hidden by new."""
    from phoenix_hypervisor.features import _system

    said = _system.ask("command -v pg_lsclusters >/dev/null && pg_lsclusters -h || true")
    for line in said.splitlines():
        there, name, _port, _state, _owner, data, *_ = line.split()
        if name != "main":
            continue
        if there != str(version):
            raise ConfigureFailed(
                f"PostgreSQL {there} has data here, but {version} is wanted",
                hint=f"run `pg_upgradecluster {there} main` and `pg_dropcluster {there} main` in "
                f"the guest, or set postgresql.version to {there}: Phoenix never moves a database",
            )
        if options.data_directory and data != f"{options.data_directory}/{version}/main":
            raise ConfigureFailed(
                f"PostgreSQL {version} already keeps its data in {data}",
                hint="move it there by hand, or set postgresql.data_directory back: "
                "Phoenix never moves a database",
            )


def _configure(options: PostgresqlOptions, version: int, addresses: Sequence[str]) -> None:
    allowed = [
        *(Allowed(str(ip_network(address))) for address in addresses),
        *(Allowed(str(a.network), a.databases, a.roles) for a in options.allow),
    ]
    etc = f"/etc/postgresql/{version}/main"
    service = f"postgresql@{version}-main"
    lasting_service(service, of="postgresql@", when="on-failure")
    files = [
        NewFile(f"{etc}/{name}", text, mode="640", user="postgres", group="postgres")
        for name, text in (
            ("conf.d/phoenix.conf", settings_text(options.settings, listens=bool(allowed))),
            ("pg_hba.conf", hba_text(allowed)),
        )
    ]
    take(
        "PostgreSQL configuration",
        files,
        accept=accept_script(service, f"/var/log/postgresql/postgresql-{version}-main.log"),
        undo=f"systemctl reload-or-restart {service}",
        # A setting that a person changed by hand may wait for a restart as well.
        force=_query("postgres", WAITING) != "0",
    )


def accept_script(service: str, log: str) -> str:
    """Shell words that fail where PostgreSQL refuses its files; else it reloads them.

    It restarts only where a changed setting can't be had otherwise.
    """
    ask = "runuser -u postgres -- psql -XAtq -d postgres -c"
    return f"""
bad=$({ask} {shlex.quote(sql.BAD_FILES)})
if [ -n "$bad" ]; then echo "$bad"; exit 1; fi
before=$({ask} 'select pg_conf_load_time()')
systemctl reload {service}
for _ in $(seq 50); do
    [ "$({ask} 'select pg_conf_load_time()')" = "$before" ] || break
    sleep 0.1
done
if [ "$({ask} {shlex.quote(WAITING)})" != 0 ]; then
    systemctl restart {service} || {{ tail -n 20 {log}; exit 1; }}
fi
"""


def _query(database: str, query: str) -> str:
    from phoenix_hypervisor.features import _system

    return _system.ask(
        f"cd / && PGDATABASE={shlex.quote(database)} runuser -u postgres -- "
        f"psql -XAtq -v ON_ERROR_STOP=1 -c {shlex.quote(query)}"
    )


def _tell(database: str, name: str, statements: Sequence[str], *, at_once: bool = False) -> None:
    """Runs statements, which travel by standard input since some hold a password's verifier."""
    from phoenix_hypervisor.features import _system

    if statements:
        _system.run(
            name,
            f"cd / && PGDATABASE={shlex.quote(database)} runuser -u postgres -- "
            f"psql -Xq -v ON_ERROR_STOP=1{' --single-transaction' if at_once else ''}",
            stdin="\n".join(statements) + "\n",
        )


def _init(database: Database, folder: Path) -> None:
    if not database.init_sql:
        return
    if _query(database.name, "select to_regclass('phoenix.init_sql') is null") == "t":
        _tell(
            database.name, f"Remember what {database.name} was filled with", [sql.INIT_TABLE + ";"]
        )
    seen = json.loads(_query(database.name, sql.SEEN_INIT))
    for path in database.init_sql:
        text = own(folder / path, folder).read_text()
        digest = hashlib.sha256(text.encode()).hexdigest()
        if path not in seen:
            record = sql.record_init(path, digest)
            _tell(database.name, f"Run {path} in {database.name}", [text, record], at_once=True)
        elif seen[path] != digest:
            raise ConfigureFailed(
                f"{path} was run in {database.name} before, with other content",
                hint="init_sql is run once: put the change in a file of its own",
            )


def _dumps(dumps: Dumps, guest: Guest) -> None:
    from phoenix_hypervisor.features import _system

    timer, unit = "phoenix-postgresql-dump.timer", "phoenix-postgresql-dump.service"
    if not dumps.enabled:
        if _system.no_file(f"/etc/systemd/system/{timer}"):
            _system.run("Stop the daily dump", f"systemctl daemon-reload; systemctl stop {timer}")
        return
    backup = (v.target for v in guest.volumes if v.name in ("backup", "backups"))
    folder = dumps.directory or next(backup, "/var/backups/postgresql")
    _system.folder(folder, mode="700", user="postgres", group="postgres")
    _system.text_file(DUMP_SCRIPT, dump_script(folder, dumps.keep_days), mode="755")
    one = _system.text_file(f"/etc/systemd/system/{unit}", dump_service(folder))
    two = _system.text_file(f"/etc/systemd/system/{timer}", dump_timer(dumps.at))
    _system.service(timer, restart=two, units=one or two)
