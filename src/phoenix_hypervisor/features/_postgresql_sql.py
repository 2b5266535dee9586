"""What to tell a running PostgreSQL so that its roles and databases are as wanted. Pure.

Each function compares what is wanted with what was seen, and returns the statements for the
difference: none, where nothing differs.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from phoenix_hypervisor.features import _scram

SEEN_ROLES = (
    "select coalesce(json_object_agg(rolname, json_build_object("
    "'login', rolcanlogin, 'createdb', rolcreatedb, 'superuser', rolsuper,"
    "'password', rolpassword)), '{}') from pg_authid where rolname !~ '^pg_'"
)
SEEN_DATABASES = (
    "select coalesce(json_object_agg(datname, pg_get_userbyid(datdba)), '{}') from pg_database"
)
SEEN_EXTENSIONS = "select coalesce(json_agg(extname), '[]') from pg_extension"
BAD_FILES = (
    "select format('%s line %s: %s %s', sourcefile, sourceline, name, error)"
    " from pg_file_settings f where error is not null and not exists (select from pg_settings s"
    " where s.name = f.name and s.context = 'postmaster')"
    " union all select format('pg_hba.conf line %s: %s', line_number, error)"
    " from pg_hba_file_rules where error is not null"
)
INIT_TABLE = (
    "create schema if not exists phoenix; "
    "create table if not exists phoenix.init_sql"
    " (file text primary key, sha256 text not null, run_at timestamptz not null default now())"
)
SEEN_INIT = "select coalesce(json_object_agg(file, sha256), '{}') from phoenix.init_sql"


class Role(Protocol):
    """What `role_statements` reads of a role."""

    @property
    def name(self) -> str: ...
    @property
    def login(self) -> bool: ...
    @property
    def createdb(self) -> bool: ...
    @property
    def superuser(self) -> bool: ...


class Database(Protocol):
    """What `database_statements` reads of a database."""

    @property
    def name(self) -> str: ...
    @property
    def owner(self) -> str | None: ...
    @property
    def locale(self) -> str: ...


def ident(name: str) -> str:
    """A quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A quoted string; `standard_conforming_strings` is on since PostgreSQL 9.1."""
    return "'" + text.replace("'", "''") + "'"


def role_statements(
    roles: Sequence[Role], seen: Mapping[str, Mapping[str, Any]], passwords: Mapping[str, str]
) -> list[str]:
    """Roles to make or change. `passwords` maps roles' names to plain passwords."""
    statements = []
    for role in roles:
        known = seen.get(role.name)
        words = [
            word if getattr(role, key) else f"NO{word}"
            for key, word in (
                ("login", "LOGIN"),
                ("createdb", "CREATEDB"),
                ("superuser", "SUPERUSER"),
            )
            if known is None or known[key] != getattr(role, key)
        ]
        password = passwords.get(role.name)
        if password is not None and not _scram.matches(password, (known or {}).get("password")):
            words.append(f"PASSWORD {literal(_scram.verifier(password))}")
        if known is None:
            statements.append(f"CREATE ROLE {ident(role.name)} {' '.join(words)};")
        elif words:
            statements.append(f"ALTER ROLE {ident(role.name)} {' '.join(words)};")
    return statements


def database_statements(databases: Sequence[Database], seen: Mapping[str, str]) -> list[str]:
    """Databases to make, or to give to another owner. Each statement needs to run on its own."""
    statements = []
    for database in databases:
        name, owner = ident(database.name), database.owner
        if database.name not in seen:
            locale = literal(database.locale)
            statements.append(
                f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"
                f" LC_COLLATE {locale} LC_CTYPE {locale}"
                + (f" OWNER {ident(owner)}" if owner else "")
                + ";"
            )
        elif owner and seen[database.name] != owner:
            statements.append(f"ALTER DATABASE {name} OWNER TO {ident(owner)};")
    return statements


def extension_statements(extensions: Sequence[str], seen: Sequence[str]) -> list[str]:
    """Extensions to add to one database, with those that they need."""
    return [f"CREATE EXTENSION {ident(e)} CASCADE;" for e in extensions if e not in seen]


def record_init(file: str, digest: str) -> str:
    """The statement that remembers that a file was run."""
    values = f"({literal(file)}, {literal(digest)})"
    return f"insert into phoenix.init_sql (file, sha256) values {values};"  # noqa: S608 - quoted
