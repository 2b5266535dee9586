"""Features asked on real containers: no noise when all is well, and each change by hand is told."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.support.featurebench import API, DATABASE, SITE, Bench

from phoenix_hypervisor.model.drift import Difference, FeatureDrift

pytestmark = pytest.mark.incus
Told = set[tuple[str, str]]


def told(found: FeatureDrift) -> Told:
    return {(one.kind, one.what) for one in found.differences if not one.follows}


def difference(found: FeatureDrift, what: str, kind: str = "file") -> Difference:
    (one,) = (one for one in found.differences if one.what == what and one.kind == kind)
    return one


def check(
    bench: Bench,
    name: str,
    feature: str,
    options: Mapping[str, Any],
    break_it: str,
) -> FeatureDrift:
    """Configures, sees no drift, breaks by hand, asks, configures again, sees no drift."""
    bench.deploy(name, feature, options)
    clean = bench.examine(name, feature, options)
    assert (clean.differences, clean.unknown, clean.current) == ((), "", True)
    bench.sh(name, break_it)
    found = bench.examine(name, feature, options)
    bench.deploy(name, feature, options)
    mended = bench.examine(name, feature, options)
    assert (mended.differences, mended.unknown) == ((), "")
    return found


def test_base_setup(bench: Bench) -> None:
    options = {
        "users": [
            {"name": "ann", "sudo": True, "ssh_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1 ann"]},
            {"name": "bob"},
        ],
        "hosts": {"db.test": {"address_of": "db"}},
        "packages": ["tree"],
    }
    found = check(
        bench,
        "web",
        "base_setup",
        options,
        "echo other >/etc/hostname; chmod 666 /etc/hostname; rm /etc/sudoers.d/phoenix-ann;"
        " userdel bob; usermod -s /bin/sh ann; sed -i s/db.test/db.toast/ /etc/hosts;"
        " ln -sf /usr/share/zoneinfo/UTC /etc/localtime; rm -r /home/ann/.ssh;"
        " apt-get remove -y tree >/dev/null",
    )
    assert told(found) == {
        ("package", "tree"),
        ("file", "/etc/hostname"),
        ("mode", "/etc/hostname"),
        ("file", "/etc/hosts"),
        ("link", "/etc/localtime"),
        ("user", "ann"),
        ("user", "bob"),
        ("file", "/etc/sudoers.d/phoenix-ann"),
        ("file", "/home/ann/.ssh/authorized_keys"),
    }
    assert difference(found, "/etc/hostname").diff.splitlines()[1:] == ["-other", "+web"]
    hosts = difference(found, "/etc/hosts").diff.splitlines()
    assert f"-{bench.ip('db')} db.toast" in hosts
    assert f"+{bench.ip('db')} db.test" in hosts
    link = difference(found, "/etc/localtime", "link")
    assert link.before == "/usr/share/zoneinfo/UTC"
    assert link.after == "/usr/share/zoneinfo/Europe/Berlin"
    assert difference(found, "bob", "user").before == "missing"
    keys = difference(found, "/home/ann/.ssh/authorized_keys").diff.splitlines()
    assert keys[-1] == "+ssh-ed25519 AAAAC3NzaC1lZDI1 ann"


def test_redis(bench: Bench) -> None:
    bench.secrets["REDIS"] = "a pass of now"
    options = {"password": {"secret": "REDIS"}, "memory_mb": 64}
    found = check(
        bench,
        "web",
        "redis",
        options,
        "sed -i 's/64mb/99mb/; s/requirepass.*/requirepass \"forgotten\"/' /etc/redis/phoenix.conf;"
        " sed -i /phoenix.conf/d /etc/redis/redis.conf; systemctl disable --now redis-server 2>&1",
    )
    assert told(found) == {
        ("file", "/etc/redis/phoenix.conf"),
        ("file", "/etc/redis/redis.conf"),
        ("service", "redis-server.service"),
    }
    lines = difference(found, "/etc/redis/phoenix.conf").diff.splitlines()
    assert [line for line in lines if line[0] in "+-"] == [
        "-maxmemory 99mb",
        "+maxmemory 64mb",
        '-requirepass "[hidden]"',
        '+requirepass "[secret]"',
    ]
    assert "+include /etc/redis/phoenix.conf" in difference(found, "/etc/redis/redis.conf").diff


def test_redis_that_is_gone(bench: Bench) -> None:
    found = check(bench, "web", "redis", {}, "apt-get purge -y redis-server redis-tools >/dev/null")
    assert {("package", "redis-server"), ("package", "redis-tools")} <= told(found)
    assert difference(found, "/etc/redis/phoenix.conf").before == "missing"


def test_postgresql(bench: Bench, db: str) -> None:
    etc = "/etc/postgresql/17/main"
    psql = "cd / && runuser -u postgres -- psql -q"
    found = check(
        bench,
        "db",
        "postgresql",
        DATABASE,
        f"{psql} -c 'alter database app owner to postgres'; {psql} app -c 'drop owned by app';"
        f" {psql} -c 'drop role app'; {psql} app -c 'drop extension vector cascade';"
        f" echo 'host all all 0.0.0.0/0 trust' >>{etc}/pg_hba.conf;"
        f" chmod 666 {etc}/conf.d/phoenix.conf;"
        " systemctl disable --now phoenix-postgresql-dump.timer 2>&1",
    )
    assert told(found) == {
        ("file", f"{etc}/pg_hba.conf"),
        ("mode", f"{etc}/conf.d/phoenix.conf"),
        ("database", "Make or change roles"),
        ("database", "Make or change databases"),
        ("database", "Add extensions to app"),
        ("service", "phoenix-postgresql-dump.timer"),
    }
    assert "-host all all 0.0.0.0/0 [hidden]" in difference(found, f"{etc}/pg_hba.conf").diff
    roles = difference(found, "Make or change roles", "database").diff
    assert roles == "+ CREATE ROLE \"app\" LOGIN NOCREATEDB NOSUPERUSER PASSWORD '[hidden]';"
    assert bench.secrets["APP"] not in repr(found)


def test_postgresql_that_does_not_run(bench: Bench, db: str) -> None:
    found = check(bench, "db", "postgresql", DATABASE, "systemctl stop postgresql@17-main")
    assert told(found) == {("service", "postgresql@17-main.service")}
    assert "can't be known before that is mended" in found.unknown
    assert not found.failed


def test_nginx(bench: Bench, web: str) -> None:
    found = check(
        bench,
        "web",
        "nginx",
        SITE,
        "echo '<p>by hand' >>/srv/www/demo/current/index.html;"
        " sed -i 's/server_tokens off/server_tokens on/' /etc/nginx/phoenix/current/common.inc;"
        " chmod 777 /etc/nginx/conf.d/phoenix.conf; systemctl disable --now nginx 2>&1",
    )
    assert told(found) == {
        ("file", "/srv/www/demo/current/index.html"),
        ("file", "/etc/nginx/phoenix/current/common.inc"),
        ("mode", "/etc/nginx/conf.d/phoenix.conf"),
        ("service", "nginx.service"),
    }
    assert "-<p>by hand" in difference(found, "/srv/www/demo/current/index.html").diff.splitlines()
    lines = difference(found, "/etc/nginx/phoenix/current/common.inc").diff.splitlines()
    assert ("-server_tokens on;" in lines, "+server_tokens off;" in lines) == (True, True)


def test_python_api_service(bench: Bench, api: str) -> None:
    units = "/etc/systemd/system"
    service = str(API.get("name", "api"))
    found = check(
        bench,
        "api",
        "python_api_service",
        API,
        f"echo '# by hand' >>/opt/{service}/current/main.py;"
        f" sed -i s/on-failure/no/ {units}/{service}.service; systemctl daemon-reload;"
        f" echo 'LEFT=\"an old token\"' >>/etc/phoenix/{service}/environment;"
        f" chmod 644 /etc/phoenix/{service}/environment;"
        f" systemctl stop {service}.service 2>&1",
    )
    assert {
        ("file", f"/opt/{service}/current/main.py"),
        ("file", f"{units}/{service}.service"),
        ("file", f"/etc/phoenix/{service}/environment"),
        ("mode", f"/etc/phoenix/{service}/environment"),
        ("service", f"{service}.service"),
    } == told(found)
    assert "-# by hand" in difference(found, f"/opt/{service}/current/main.py").diff.splitlines()
    mode = difference(found, f"/etc/phoenix/{service}/environment", "mode")
    assert (mode.before, mode.after) == ("644", "600")
