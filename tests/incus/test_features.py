"""Features do on real containers what they say: deployed, deployed again, changed, and broken."""

import base64
import http.client
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import lab
from tests.support.featurebench import Bench

from phoenix_hypervisor.model.desired import Route, RouteAuth
from phoenix_hypervisor.model.secret import Secret

pytestmark = pytest.mark.incus
FOLDER = Path(__file__).with_name("folder")
API = {
    "source": "api",
    "health_path": "/api/health",
    "environment": {"SAYS": "one", "ODD": 'a "b" $HOME `c` \\\nd'},
}
SITE = {"sites": ["demo"]}
DATABASE = {
    "roles": [{"name": "app", "password": {"secret": "APP"}}],
    "databases": [{"name": "app", "owner": "app", "extensions": ["vector"]}],
}


@pytest.fixture(scope="module")
def bench(incus_daemon: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    corner = lab.Lab("f")
    folder = tmp_path_factory.mktemp("features") / "folder"
    shutil.copytree(FOLDER, folder)
    made = Bench.of(corner, folder, "web", "api", "db")
    made.secrets = {"APP": "first $ecret'\"", "PAGE": "pa55 word", "TOKEN": "to.ken+12345"}
    try:
        made.make()
        yield made
    finally:
        lab.clear(corner.name)


@pytest.fixture(scope="module")
def api(bench: Bench) -> str:
    """A served application, and the address of its guest."""
    bench.deploy("api", "python_api_service", API)
    bench.change("api", routes=(Route(None, "/api", 8000),))
    return bench.ip("api")


@pytest.fixture(scope="module")
def web(bench: Bench, api: str) -> str:
    """The proxy before it, and its address."""
    bench.deploy("web", "nginx", SITE)
    return bench.ip("web")


@pytest.fixture(scope="module")
def db(bench: Bench) -> str:
    """A database server that `api` depends on, and its address."""
    bench.change("api", dependencies=(bench.guests["db"].address,))
    bench.deploy("db", "postgresql", DATABASE)
    return bench.ip("db")


def get(address: str, path: str, **headers: str) -> tuple[int, str]:
    """Status and body; an error status is an answer too."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"http://{address}{path}", headers=sent)
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class TestNginx:
    def test_serves_the_site_and_the_route(self, web: str) -> None:
        assert "served by Nginx" in get(web, "/")[1]
        assert get(web, "/api/health")[0] == 200
        assert get(web, "/nothing")[0] == 404
        assert get(web, "/apix")[0] == 404

    def test_the_application_learns_who_asks(self, web: str) -> None:
        own = get(web, "/api/headers", X_Forwarded_For="6.6.6.6", X_Forwarded_Proto="https")[1]
        assert '"x-forwarded-proto":"http"' in own
        assert "6.6.6.6" not in own

    def test_a_second_deploy_changes_nothing(self, bench: Bench, web: str) -> None:
        assert bench.deploy("web", "nginx", SITE).changed == 0

    def test_a_changed_page_changes_just_that(self, bench: Bench, web: str) -> None:
        page = bench.folder / "sites/demo/index.html"
        page.write_text("<!doctype html><title>Demo</title><p>served by Apple</p>\n")
        before = bench.sh("web", "readlink /etc/nginx/phoenix/current")
        bench.deploy("web", "nginx", SITE)
        assert "served by Apple" in get(web, "/")[1]
        assert bench.sh("web", "readlink /etc/nginx/phoenix/current") == before
        shutil.copy(FOLDER / "sites/demo/index.html", page)
        bench.deploy("web", "nginx", SITE)

    def test_a_page_changed_by_hand_is_mended(self, bench: Bench, web: str) -> None:
        bench.sh("web", "echo defaced > /srv/www/demo/current/index.html")
        assert bench.deploy("web", "nginx", SITE).changed > 0
        assert "served by Nginx" in get(web, "/")[1]

    def test_a_bad_configuration_keeps_the_old_one(self, bench: Bench, web: str) -> None:
        own = bench.folder / "sites/own.conf"
        own.write_text("server { listen 81; no_such_directive on; }\n")
        try:
            said = bench.refused("web", "nginx", SITE)
        finally:
            own.unlink()
        assert "no_such_directive" in said
        assert get(web, "/api/health")[0] == 200
        bench.sh("web", "nginx -t && systemctl restart nginx")
        assert get(web, "/api/health")[0] == 200

    def test_the_folders_own_blocks_stand_beside_ours(self, bench: Bench, web: str) -> None:
        own = bench.folder / "sites/own.conf"
        own.write_text("server { listen 80; server_name own.test; return 200 'mine'; }\n")
        bench.deploy("web", "nginx", SITE)
        assert get(web, "/", Host="own.test") == (200, "mine")
        own.unlink()
        bench.deploy("web", "nginx", SITE)
        assert "mine" not in get(web, "/", Host="own.test")[1]

    def test_a_stream_streams(self, web: str) -> None:
        connection = http.client.HTTPConnection(web, timeout=10)
        connection.request("GET", "/api/stream")
        reply = connection.getresponse()
        times = []
        while line := reply.readline():
            if line.startswith(b"data:"):
                times.append(time.monotonic())
        gaps = [after - before for before, after in zip(times, times[1:], strict=False)]
        assert len(times) == 4
        assert min(gaps) > 0.2

    def test_a_websocket_passes(self, web: str) -> None:
        with socket.create_connection((web, 80), timeout=10) as raw:
            key = base64.b64encode(b"0123456789abcdef").decode()
            raw.sendall(
                f"GET /api/echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket"
                f"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
            )
            stream = raw.makefile("rb")
            assert b"101" in stream.readline()
            while stream.readline().strip():
                pass
            mask = b"\1\2\3\4"
            text = bytes(byte ^ mask[i % 4] for i, byte in enumerate(b"hello"))
            raw.sendall(bytes([0x81, 0x80 | 5]) + mask + text)
            assert stream.read(7) == bytes([0x81, 5]) + b"HELLO"

    def test_guards_let_in_only_those_who_may(self, bench: Bench, web: str) -> None:
        bench.change(
            "api",
            routes=(
                Route(None, "/api", 8000),
                Route("basic.test", "/api", 8000, RouteAuth("basic", "ann", Secret(name="PAGE"))),
                Route("bearer.test", "/api", 8000, RouteAuth("bearer", None, Secret(name="TOKEN"))),
            ),
        )
        bench.deploy("web", "nginx", SITE)

        def status(host: str, **headers: str) -> int:
            return get(web, "/api/health", Host=host, **headers)[0]

        assert status("basic.test") == 401
        assert status("basic.test", Authorization=basic("ann", "wrong")) == 401
        assert status("basic.test", Authorization=basic("ann", "pa55 word")) == 200
        assert status("bearer.test") == 401
        assert status("bearer.test", Authorization="Bearer TO.KEN+12345") == 401
        assert status("bearer.test", Authorization="Bearer toxken+12345") == 401
        assert status("bearer.test", Authorization="Bearer to.ken+12345") == 200
        assert status("other.test") == 200
        passed = get(web, "/api/headers", Host="bearer.test", Authorization="Bearer to.ken+12345")[
            1
        ]
        assert "to.ken" not in passed
        assert bench.deploy("web", "nginx", SITE).changed == 0
        for secret in ("pa55 word", "to.ken+12345"):
            assert not any(secret in line for line in bench.told)
        assert "pa55" not in bench.sh("web", "cat /etc/nginx/phoenix-auth/*")
        bench.change("api", routes=(Route(None, "/api", 8000),))
        bench.deploy("web", "nginx", SITE)
        assert bench.sh("web", "ls /etc/nginx/phoenix-auth") == ""


class TestPythonApiService:
    def test_a_second_deploy_changes_nothing(self, bench: Bench, api: str) -> None:
        assert bench.deploy("api", "python_api_service", API).changed == 0

    def test_odd_values_arrive_literally(self, bench: Bench, api: str) -> None:
        odd = bench.sh(
            "api",
            "tr '\\0' '\\1' < /proc/$(systemctl show -p MainPID --value api)/environ"
            " | tr '\\n\\1' '|\\n' | sed -n s/^ODD=//p",
        )
        assert odd == 'a "b" $HOME `c` \\|d'
        assert bench.sh("api", "stat -c %a%U /etc/phoenix/api/environment") == "600root"

    def test_the_service_is_closed_in(self, bench: Bench, api: str) -> None:
        pid = bench.sh("api", "systemctl show -p MainPID --value api")
        assert bench.sh("api", f"ps -o user= -p {pid}") == "api"
        assert bench.sh("api", f"grep NoNewPrivs /proc/{pid}/status").endswith("1")
        bench.sh("api", f"! nsenter -t {pid} -m setpriv --reuid=api touch /opt/api/x 2>/dev/null")

    def test_a_restart_under_load_loses_no_request(self, bench: Bench, api: str) -> None:
        statuses: list[object] = []
        over = threading.Event()

        def load() -> None:
            while not over.is_set():
                try:
                    statuses.append(get(f"{api}:8000", "/health")[0])
                except OSError as error:
                    statuses.append(error)

        workers = [threading.Thread(target=load) for _ in range(4)]
        slow: list[object] = []
        workers.append(
            threading.Thread(target=lambda: slow.append(get(f"{api}:8000", "/api/slow")[0]))
        )
        for worker in workers:
            worker.start()
        try:
            for says in ("two", "three", "one"):
                changed = API | {"environment": {**API["environment"], "SAYS": says}}  # type: ignore[dict-item]  # the literal's type is wider
                bench.deploy("api", "python_api_service", changed)
                assert f'"says":"{says}"' in get(f"{api}:8000", "/health")[1]
        finally:
            over.set()
            for worker in workers:
                worker.join()
        assert slow == [200]
        assert len(statuses) > 100
        assert set(statuses) == {200}

    def test_a_release_that_does_not_come_up_is_taken_back(self, bench: Bench, api: str) -> None:
        source = bench.folder / "api/main.py"
        source.write_text("raise RuntimeError('broken on purpose')\n")
        try:
            said = bench.refused("api", "python_api_service", API)
        finally:
            shutil.copy(FOLDER / "api/main.py", source)
        assert "broken on purpose" in said
        assert get(f"{api}:8000", "/health")[0] == 200
        bench.deploy("api", "python_api_service", API)

    def test_several_workers(self, bench: Bench, api: str) -> None:
        bench.deploy("api", "python_api_service", API | {"workers": 2})
        pids = {get(f"{api}:8000", "/health")[1] for _ in range(60)}
        assert len(pids) == 2
        bench.deploy("api", "python_api_service", API)

    def test_from_git(self, bench: Bench, api: str) -> None:
        bench.sh("api", "apt-get install -qy --no-install-recommends git >/dev/null")
        source = (FOLDER / "api/main.py").read_text()
        bench.sh(
            "api",
            "rm -rf /srv/r && mkdir /srv/r && cd /srv/r && git init -q -b main && cat > main.py"
            " && cp /opt/api/current/requirements.txt . && git add ."
            " && git -c user.name=t -c user.email=t@t commit -qm one && git tag -am v1 v1",
            stdin=source,
        )
        options = {key: value for key, value in API.items() if key != "source"}
        git = options | {"git": {"url": "file:///srv/r", "ref": "v1"}}
        bench.deploy("api", "python_api_service", git)
        assert get(f"{api}:8000", "/health")[0] == 200
        assert bench.deploy("api", "python_api_service", git).changed == 0
        missing = options | {"git": {"url": "file:///srv/r", "ref": "nowhere"}}
        assert "has no nowhere" in bench.refused("api", "python_api_service", missing)
        bench.deploy("api", "python_api_service", API)


class TestPostgresql:
    def _login(self, bench: Bench, guest: str, password: str) -> bool:
        bench.sh(guest, "command -v psql >/dev/null || apt-get install -qy postgresql-client")
        return "yes" in bench.sh(
            guest,
            'IFS= read -r PGPASSWORD; export PGPASSWORD; psql -XAtq -U app -d app -c "select '
            f"'yes'\" -h {bench.ip('db')} 2>&1 || true",
            stdin=password + "\n",
        )

    def test_only_dependents_get_in(self, bench: Bench, db: str) -> None:
        assert self._login(bench, "api", bench.secrets["APP"])
        assert not self._login(bench, "api", "wrong")
        assert not self._login(bench, "web", bench.secrets["APP"])

    def test_a_second_deploy_changes_nothing(self, bench: Bench, db: str) -> None:
        assert bench.deploy("db", "postgresql", DATABASE).changed == 0

    def test_a_new_password_is_set_and_told_nobody(self, bench: Bench, db: str) -> None:
        old, bench.secrets["APP"] = bench.secrets["APP"], "pässwörd №2"
        assert bench.deploy("db", "postgresql", DATABASE).changed == 1
        assert self._login(bench, "api", "pässwörd №2")
        assert not self._login(bench, "api", old)
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
        assert self._login(bench, "api", bench.secrets["APP"])
        bench.sh("db", "systemctl restart postgresql@17-main")
        assert self._login(bench, "api", bench.secrets["APP"])

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


class TestBaseSetup:
    def test_people_names_time_and_trust(self, bench: Bench, tmp_path: Path) -> None:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9"]
            + ["-subj", "/CN=Phoenix Test CA", "-keyout", tmp_path / "key.pem"]
            + ["-out", bench.folder / "ca.pem"],
            check=True,
            capture_output=True,
        )
        bench.secrets["HASH"] = "$6$salt$" + "x" * 86
        key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGs ada's; $(touch /pwned)"
        options = {
            "ca_certificates": ["ca.pem"],
            "users": [
                {"name": "ada", "sudo": True, "ssh_keys": [key]},
                {"name": "bob", "password_hash": {"secret": "HASH"}},
            ],
            "hosts": {"db.phoenix.test": {"address_of": "db"}},
            "security_updates": False,
        }
        bench.deploy("db", "base_setup", options)
        assert bench.deploy("db", "base_setup", options).changed == 0
        assert bench.sh("db", "uname -n; readlink /etc/localtime") == (
            "db\n/usr/share/zoneinfo/Europe/Berlin"
        )
        assert bench.sh("db", "getent hosts db.phoenix.test").split()[0] == bench.ip("db")
        assert bench.sh("db", "runuser -u ada -- sudo -n id -u") == "0"
        assert bench.sh("db", "tail -n 1 /home/ada/.ssh/authorized_keys") == key
        assert bench.sh("db", "getent shadow bob | cut -d: -f2") == bench.secrets["HASH"]
        bench.sh("db", "! test -e /pwned; visudo -c")
        bundle = "/etc/ssl/certs/ca-certificates.crt"
        bench.sh(
            "db", f"openssl verify -CAfile {bundle} /usr/local/share/ca-certificates/phoenix-*"
        )
        bench.deploy("db", "base_setup", options | {"users": [], "ca_certificates": []})
        bench.sh("db", "! ls /etc/sudoers.d/phoenix-* /usr/local/share/ca-certificates/phoenix-*")


class TestRedis:
    def test_comes_up_shared_with_a_password(self, bench: Bench) -> None:
        bench.change("web", dependencies=(bench.guests["db"].address,))
        bench.secrets["REDIS"] = 'p"a\\ss'
        options = {"password": {"secret": "REDIS"}}
        bench.deploy("db", "redis", options)
        assert bench.deploy("db", "redis", options).changed == 0
        ask = "IFS= read -r REDISCLI_AUTH; export REDISCLI_AUTH; redis-cli ping"
        assert bench.sh("db", ask, stdin='p"a\\ss\n') == "PONG"
        with socket.create_connection((bench.ip("db"), 6379), timeout=5) as raw:
            raw.sendall(b"PING\r\n")
            assert raw.recv(64).startswith(b"-NOAUTH")
