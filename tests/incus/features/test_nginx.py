"""Nginx: sites, the proxy and its guards, streams, and configurations that it must refuse."""

import base64
import http.client
import shutil
import socket
import time
import urllib.request
from itertools import pairwise

import pytest
from tests.support.featurebench import OWN_FOLDER, SITE, Bench, basic, get

from phoenix_hypervisor.features._nginx_conf import Server, Static, render
from phoenix_hypervisor.features._nginx_routes import Proxied
from phoenix_hypervisor.model.desired import Route, RouteAuth
from phoenix_hypervisor.model.secret import Secret

pytestmark = pytest.mark.incus


class TestNginx:
    def test_nginx_takes_every_text_literally(self, bench: Bench, web: str) -> None:
        printable = "".join(map(chr, range(32, 127))).replace("$", "")
        texts = [
            printable,
            *(char * 2 for char in printable),
            "; return 500;",
            '"',
            "\\",
            "é 漢 🙂",
        ]
        hosts = [f"h{number}.test" for number in range(len(texts))]
        statics = [
            Static("demo", (host,), headers=(("X-Text", text),))
            for host, text in zip(hosts, texts, strict=True)
        ]
        tokens = {"route-1": {"ann": "Az09-._~+/=" * 9}}
        routes = [Proxied(None, "/x", "10.0.0.9:1", "bearer", "route-1")]
        files = render(
            Server(port=8080, trusted=("10.0.0.0/8", "fd00::/8")), statics, routes, tokens
        )
        bench.sh("web", "rm -rf /tmp/all && mkdir /tmp/all")
        for name, text in files.items():
            moved = text.replace("/etc/nginx/phoenix/current", "/tmp/all")
            bench.sh("web", f"cat > /tmp/all/{name}", stdin=moved)
        main = "events {}\npid /tmp/all/pid;\nhttp { include /tmp/all/*.conf; }\n"
        bench.sh("web", "cat > /tmp/all/main; nginx -c /tmp/all/main", stdin=main)
        try:
            for host, text in zip(hosts, texts, strict=True):
                request = urllib.request.Request(f"http://{web}:8080/", headers={"Host": host})
                with urllib.request.urlopen(request, timeout=5) as reply:
                    got = reply.headers["X-Text"]
                assert got.encode("latin-1").decode() == text.strip()
        finally:
            bench.sh("web", "kill $(cat /tmp/all/pid)")

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
        bench.deploy("web", "nginx", SITE)
        assert bench.deploy("web", "nginx", SITE).changed == 0

    def test_a_changed_page_changes_just_that(self, bench: Bench, web: str) -> None:
        page = bench.folder / "sites/demo/index.html"
        page.write_text("<!doctype html><title>Demo</title><p>served by Apple</p>\n")
        before = bench.sh("web", "readlink /etc/nginx/phoenix/current")
        bench.deploy("web", "nginx", SITE)
        assert "served by Apple" in get(web, "/")[1]
        assert bench.sh("web", "readlink /etc/nginx/phoenix/current") == before
        shutil.copy(OWN_FOLDER / "sites/demo/index.html", page)
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
        gaps = [after - before for before, after in pairwise(times)]
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
