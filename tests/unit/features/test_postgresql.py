"""PostgreSQL's files and statements as data, and its options' refusals."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.unit.features.guests import desired, guest

from phoenix_hypervisor.features import _postgresql_sql as sql
from phoenix_hypervisor.features import _scram
from phoenix_hypervisor.features._postgresql_conf import (
    Allowed,
    dump_script,
    dump_service,
    hba_text,
    settings_text,
)
from phoenix_hypervisor.features.postgresql import Database, Postgresql, PostgresqlOptions, Role
from phoenix_hypervisor.model.errors import ConfigError

POSTGRESQL = Postgresql()


def test_settings_are_quoted_and_listen_only_if_asked() -> None:
    text = settings_text(
        {"work_mem": "4MB", "fsync": True, "n": 3, "x.y": "it's \\"}, listens=False
    )
    assert text.splitlines()[1:] == [
        "fsync = on",
        "listen_addresses = 'localhost'",
        "n = 3",
        "password_encryption = 'scram-sha-256'",
        "work_mem = '4MB'",
        "x.y = 'it''s \\\\'",
    ]
    assert "listen_addresses = '*'" in settings_text({}, listens=True)
    with pytest.raises(ConfigError):
        settings_text({"a": "b\narchive_command = 'rm'"}, listens=False)


def test_hba_lets_in_by_address_and_password_only() -> None:
    lines = hba_text(
        [Allowed("10.0.0.2/32"), Allowed("10.1.0.0/16", ("all", "shop"), ("app",))]
    ).splitlines()
    assert lines[-2:] == [
        "host all all 10.0.0.2/32 scram-sha-256",
        'host "all","shop" "app" 10.1.0.0/16 scram-sha-256',
    ]
    assert not any("trust" in line for line in lines)


@pytest.mark.parametrize(
    "options",
    [
        {"roles": [{"name": 'a"b'}]},
        {"roles": [{"name": "A; drop"}]},
        {"databases": [{"name": "a b"}]},
        {"databases": [{"name": "a", "init_sql": ["../x.sql"]}]},
        {"databases": [{"name": "a", "locale": "C' OWNER x"}]},
        {"settings": {"bad name": 1}},
        {"settings": {"a\nb": 1}},
        {"allow": ["everyone"]},
        {"dumps": {"at": "25:00"}},
        {"dumps": {"directory": "/var/$(id)"}},
        {"data_directory": "relative"},
        {"packages": ["x; rm -rf /"]},
        {"repository": "http://x"},
        {"roles": [{"name": "a", "pasword": "x"}]},
    ],
)
def test_hostile_options_are_refused(options: Any) -> None:
    with pytest.raises(ValidationError):
        PostgresqlOptions.model_validate(options)


class TestInputs:
    def test_dependents_by_address(self) -> None:
        db = guest(1, "db")
        api = guest(2, "api", dependencies=(db.address,))
        web = guest(3, "web", dependencies=(api.address,))
        got = POSTGRESQL.inputs(PostgresqlOptions(), db, desired(db, api, web))
        assert got == {"dependents": ["10.0.0.2"]}

    def test_a_dependent_without_an_address_is_told(self) -> None:
        db = guest(1, "db")
        api = guest(2, "api", ip="dhcp", dependencies=(db.address,))
        with pytest.raises(ConfigError, match=r"lxc/2 \(api\) has no static address"):
            POSTGRESQL.inputs(PostgresqlOptions(), db, desired(db, api))

    def test_an_unknown_owner_is_told(self) -> None:
        options = PostgresqlOptions.model_validate({"databases": [{"name": "a", "owner": "b"}]})
        with pytest.raises(ConfigError, match="owned by 'b'"):
            POSTGRESQL.inputs(options, guest(1, "db"), desired())

    def test_all_flaws_are_told_with_their_places(self) -> None:
        options = PostgresqlOptions.model_validate(
            {"databases": [{"name": "a"}, {"name": "b", "owner": "c"}], "settings": {"x": "a\nb"}}
        )
        db = guest(1, "db")
        api = guest(2, "api", ip="dhcp", dependencies=(db.address,))
        found = POSTGRESQL.flaws(options, db, desired(db, api))
        assert [(flaw.guest, flaw.at) for flaw in found] == [
            (api.address, ("network_config", "ip")),
            (None, ("databases", 1, "owner")),
            (None, ("settings", "x")),
        ]


class TestStatements:
    def test_a_new_role_gets_a_verifier_and_never_its_password(self) -> None:
        [made] = sql.role_statements([Role(name="app")], {}, {"app": "it's"})
        assert made.startswith('CREATE ROLE "app" LOGIN NOCREATEDB NOSUPERUSER PASSWORD ')
        verifier = re.search(r"'(SCRAM[^']+)'", made)
        assert verifier
        assert _scram.matches("it's", verifier[1])
        assert "it's" not in made

    def test_what_is_so_already_needs_nothing(self) -> None:
        seen = {
            "app": {
                "login": True,
                "createdb": False,
                "superuser": False,
                "password": _scram.verifier("x"),
            }
        }
        role = Role(name="app")
        assert sql.role_statements([role], seen, {"app": "x"}) == []
        assert sql.role_statements([role], seen, {}) == []
        [changed] = sql.role_statements([role], seen, {"app": "y"})
        assert changed.startswith('ALTER ROLE "app" PASSWORD ')
        more = Role(name="app", createdb=True)
        assert sql.role_statements([more], seen, {"app": "x"}) == ['ALTER ROLE "app" CREATEDB;']

    def test_databases(self) -> None:
        shop = Database(name="shop", owner="app")
        [made] = sql.database_statements([shop], {})
        assert made == (
            "CREATE DATABASE \"shop\" TEMPLATE template0 ENCODING 'UTF8'"
            " LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8' OWNER \"app\";"
        )
        assert sql.database_statements([shop], {"shop": "app"}) == []
        assert sql.database_statements([shop], {"shop": "postgres"}) == [
            'ALTER DATABASE "shop" OWNER TO "app";'
        ]
        assert sql.extension_statements(["vector", "pg_trgm"], ["vector"]) == [
            'CREATE EXTENSION "pg_trgm" CASCADE;'
        ]

    def test_quoting(self) -> None:
        assert sql.ident('a"b') == '"a""b"'
        assert sql.literal("a'b") == "'a''b'"


def test_the_dump_script_is_a_shell_script_and_its_unit_may_write_there(tmp_path: Path) -> None:
    script = tmp_path / "dump"
    script.write_text(dump_script("/srv/backup", 3))
    subprocess.run(["sh", "-n", script], check=True)
    assert "-mtime +3 -delete" in script.read_text()
    assert "ReadWritePaths=/srv/backup\n" in dump_service("/srv/backup")
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", script], check=True)


def test_checks_ask_every_database() -> None:
    options = PostgresqlOptions.model_validate({"databases": [{"name": "a"}, {"name": "b"}]})
    asked = [check["sql"]["database"] for check in POSTGRESQL.checks(options, guest(1, "db"))]
    assert asked == ["a", "b"]
