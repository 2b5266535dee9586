"""PostgreSQL: who gets in, what restarts, and whether dumps can be restored."""

import asyncio

import asyncpg
import pytest
from tests.support.featurebench import DATABASE, Bench

pytestmark = pytest.mark.incus


class TestPostgresql:
    def _login(self, bench: Bench, password: str) -> bool:
        bench.sh(
            "api",
            "command -v psql >/dev/null || { apt-get update -qq &&"
            " apt-get install -qy --no-install-recommends postgresql-client >/dev/null; }",
        )
        return "yes" in bench.sh(
            "api",
            'IFS= read -r PGPASSWORD; export PGPASSWORD; psql -XAtq -U app -d app -c "select '
            f"'yes'\" -h {bench.ip('db')} 2>&1 || true",
            stdin=password + "\n",
        )

    def test_only_dependents_get_in(self, bench: Bench, db: str) -> None:
        assert self._login(bench, bench.secrets["APP"])
        assert not self._login(bench, "wrong")
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="pg_hba"):
            asyncio.run(asyncpg.connect(host=db, user="app", password=bench.secrets["APP"]))

    def test_a_second_deploy_changes_nothing(self, bench: Bench, db: str) -> None:
        bench.deploy("db", "postgresql", DATABASE)
        assert bench.deploy("db", "postgresql", DATABASE).changed == 0

    def test_a_new_password_is_set_and_told_nobody(self, bench: Bench, db: str) -> None:
        old, bench.secrets["APP"] = bench.secrets["APP"], "pässwörd №2"
        assert bench.deploy("db", "postgresql", DATABASE).changed == 1
        assert self._login(bench, "pässwörd №2")
        assert not self._login(bench, old)
        assert not any("№2" in line for line in bench.told)
        assert bench.sh("db", "! grep -rl 'wörd' /var/log/postgresql /etc/postgresql") == ""

    def test_settings_restart_only_where_needed(self, bench: Bench, db: str) -> None:
        since = "psql -XAtqc 'select pg_postmaster_start_time()'"
        ask = f"cd / && runuser -u postgres -- {since}"
        before = bench.sh("db", ask)
        bench.deploy("db", "postgresql", DATABASE | {"settings": {"work_mem": "7MB"}})
        assert bench.sh("db", ask) == before
        more = {"settings": {"work_mem": "7MB", "max_connections": 55}}
        bench.deploy("db", "postgresql", DATABASE | more)
        assert bench.sh("db", ask) != before
        show = "cd / && runuser -u postgres -- psql -XAtqc 'show max_connections'"
        assert bench.sh("db", show) == "55"

    @pytest.mark.parametrize(
        "settings", [{"work_mem": "many"}, {"no_such": 1}, {"shared_buffers": "900TB"}]
    )
    def test_bad_settings_keep_the_old_ones(
        self, bench: Bench, db: str, settings: dict[str, object]
    ) -> None:
        said = bench.refused("db", "postgresql", DATABASE | {"settings": settings})
        assert next(iter(settings)) in said
        assert self._login(bench, bench.secrets["APP"])
        bench.sh("db", "systemctl restart postgresql@17-main")
        assert self._login(bench, bench.secrets["APP"])

    def test_a_dump_can_be_restored(self, bench: Bench, db: str) -> None:
        bench.sh(
            "db",
            "cd /; psql='runuser -u postgres -- psql -XAtq'\n"
            "$psql app -c \"create table kept as select '[1,2]'::vector(2) as v\"\n"
            "systemctl start phoenix-postgresql-dump.service\n"
            "$psql -c 'create database again'\n"
            "cat /var/backups/postgresql/app-*.dump | runuser -u postgres -- pg_restore -d again\n"
            'test "$($psql again -c "select v from kept")" = "[1,2]"\n'
            "systemctl is-active phoenix-postgresql-dump.timer\n"
            "! ls /var/backups/postgresql | grep part",
        )

    def test_init_sql_runs_once(self, bench: Bench, db: str) -> None:
        file = bench.folder / "fill.sql"
        file.write_text("create table filled (n int); insert into filled values (1);")
        options = {
            "databases": [{"name": "other", "init_sql": ["fill.sql"]}],
        }
        bench.deploy("db", "postgresql", options)
        assert bench.deploy("db", "postgresql", options).changed == 0
        file.write_text("insert into filled values (2);")
        assert "run in other before" in bench.refused("db", "postgresql", options)
        count = "cd / && runuser -u postgres -- psql -XAtqc 'select count(*) from filled' other"
        assert bench.sh("db", count) == "1"
