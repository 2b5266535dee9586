"""A secret that is changed while Phoenix watches is the one that checks ask with from then on."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.e2e.stack import HYPERVISOR, LXC, PHOENIX
from tests.support.watching import Watching

from phoenix_hypervisor.config.secrets import Secrets


class Guarded:
    """A page that is shown to those who know the password; to others it says a Latin-1 word."""

    password = "old"
    port = 0


@contextmanager
def guarded() -> Iterator[Guarded]:
    page = Guarded()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers["X-Password"] == page.password:
                self.send_response(200)
            else:
                self.send_response(503)
                self.send_header("Location", "/caf\xe9")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    page.port = server.server_port
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield page
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


def write(folder: Path, port: int) -> None:
    http = {"address": "127.0.0.1", "port": port, "headers": {"X-Password": {"secret": "PAGE"}}}
    guest = {
        "name": "web",
        "cores": 1,
        "memory_mb": 64,
        "storage_pool": "local",
        "storage_size_gb": 1,
        "template": "debian-13-standard",
        "network_config": {"name": "eth0", "bridge": "b", "ip": "10.7.0.2/24", "gw": "10.7.0.1"},
        "heal": False,
        "checks": [{"http": {**http, "every_s": 1}}],
    }
    (folder / LXC).write_text(json.dumps({"lxc_configs": {"101": guest}}))
    (folder / HYPERVISOR).write_text('{"hypervisor": {"stack": "home"}}')


def test_a_changed_password_is_asked_with_and_a_strange_answer_stops_nothing(
    tmp_path: Path,
) -> None:
    environ = {"PHOENIX_SIM_STATE": str(tmp_path / "node.json")}
    argv = [str(PHOENIX), "--dir", str(tmp_path), "--on", "sim", "--json"]
    Secrets(tmp_path, {}).add("PAGE", "old")
    with guarded() as page:
        write(tmp_path, page.port)
        done = subprocess.run(
            [*argv, "apply", "--yes"],
            env={**os.environ, **environ},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        with Watching([*argv, "watch"], tmp_path, environ) as it:
            it.wait("watching")
            page.password = "new"
            down = it.wait("down", "lxc/101")
            assert "503" in down["message"]
            assert "/caf?" in down["message"]
            Secrets(tmp_path, {}).add("PAGE", "new")
            it.wait("watching", text="read again")
            it.wait("up", "lxc/101", after=it.lines.index(down))
            assert it.end() == (0, "")
            assert not [line for line in it.lines if line["event"] == "trouble"]
