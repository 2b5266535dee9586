"""The text of PostgreSQL's configuration files, pg_hba.conf and the daily dump. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from phoenix_hypervisor.model.errors import ConfigError

DUMP_SCRIPT = "/usr/local/sbin/phoenix-postgresql-dump"
_DATABASES = "select datname from pg_database where datallowconn and not datistemplate order by 1"
Setting = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Allowed:
    """Who may connect over the network: from a subnet, to some databases, as some roles."""

    network: str
    databases: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


def settings_text(settings: Mapping[str, Setting], *, listens: bool) -> str:
    """A file for conf.d. Raises `ConfigError` for a value with a line break."""
    merged: dict[str, Setting] = {
        "listen_addresses": "*" if listens else "localhost",
        "password_encryption": "scram-sha-256",
        **settings,
    }
    lines = [f"{name} = {_value(name, value)}" for name, value in sorted(merged.items())]
    return "\n".join(["# Made by Phoenix; changes made by hand are overwritten.", *lines, ""])


def _value(name: str, value: Setting) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (int, float)):
        return str(value)
    if not value.isprintable():
        raise ConfigError(f"postgresql.settings.{name} holds a line break or control character")
    # guc-file.l: a backslash escapes, a quote is doubled.
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def hba_text(allowed: Sequence[Allowed]) -> str:
    """The whole of pg_hba.conf: sockets by their user's identity, networks by password."""
    lines = [
        "# Made by Phoenix; changes made by hand are overwritten.",
        "local all all peer",
        "host all all 127.0.0.1/32 scram-sha-256",
        "host all all ::1/128 scram-sha-256",
    ]
    for entry in allowed:
        databases, roles = _names(entry.databases), _names(entry.roles)
        lines.append(f"host {databases} {roles} {entry.network} scram-sha-256")
    return "\n".join([*lines, ""])


def _names(names: Sequence[str]) -> str:
    # Quoted, so that a database called `all` or `replication` is only a name.
    return ",".join(f'"{name}"' for name in names) if names else "all"


def dump_script(folder: str, keep_days: int) -> str:
    """Dumps every database to a file of its own, checks it, and only then forgets old ones.

    A dump appears under its name when it is complete and `pg_restore` has read it.
    """
    return f"""\
#!/bin/sh
# Made by Phoenix; changes made by hand are overwritten.
set -eu
umask 077
cd '{folder}'
stamp=$(date -u +%Y%m%dT%H%M%SZ)
trap 'rm -f ./*.part' EXIT
# Names of databases go through the environment: as an argument, some are read as options.
psql -XAtq -d postgres -c \\
    '{_DATABASES}' \\
    > databases.part
while IFS= read -r name; do
    file=$(printf '%s' "$name" | tr -c 'A-Za-z0-9_.-' _)-$stamp.dump
    PGDATABASE="$name" pg_dump --format=custom --file="$file.part"
    test -s "$file.part"
    pg_restore --list "$file.part" | grep -q 'Dumped from database version'
    sync "$file.part"
    mv "$file.part" "$file"
done < databases.part
pg_dumpall --globals-only > "roles-$stamp.sql.part"
grep -q 'CREATE ROLE' "roles-$stamp.sql.part"
mv "roles-$stamp.sql.part" "roles-$stamp.sql"
find . -maxdepth 1 -type f \\( -name '*.dump' -o -name 'roles-*.sql' \\) -mtime +{keep_days} -delete
"""


def dump_service(folder: str) -> str:
    """The unit that runs one dump."""
    return f"""\
# Made by Phoenix; changes made by hand are overwritten.
[Unit]
Description=Dump all PostgreSQL databases to {folder}
After=postgresql.service
Requires=postgresql.service

[Service]
Type=oneshot
User=postgres
ExecStart={DUMP_SCRIPT}
Nice=10
IOSchedulingClass=idle
NoNewPrivileges=yes
ProtectHome=yes
ProtectSystem=strict
ReadWritePaths={folder}
PrivateTmp=yes
"""


def dump_timer(at: str) -> str:
    """The timer; a day that the guest slept through is made up for."""
    return f"""\
# Made by Phoenix; changes made by hand are overwritten.
[Unit]
Description=Daily dump of all PostgreSQL databases

[Timer]
OnCalendar=*-*-* {at}:00
Persistent=yes
RandomizedDelaySec=10m

[Install]
WantedBy=timers.target
"""
