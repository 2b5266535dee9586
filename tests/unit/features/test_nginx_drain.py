"""The shell that takes a replica out of Nginx, with an Nginx that only says yes or no."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from phoenix_hypervisor.features import _nginx_peers as peers
from phoenix_hypervisor.features._nginx_peers import (
    drain_script,
    leads,
    standing_script,
    undrain_script,
)

NGINX = """\
#!/bin/sh
echo "$@" >> {log}
if [ -e {refuses} ]; then echo "[emerg] it is not liked" >&2; exit 1; fi
"""


class Proxy:
    """A folder that stands for a guest with Nginx."""

    def __init__(self, folder: Path, shell: str) -> None:
        self.folder, self.shell = folder, shell
        self.peers, self.current = folder / "peers", folder / "current"
        self.refuses, self.log = folder / "refuses", folder / "log"
        for one in (self.peers, self.current, folder / "bin"):
            one.mkdir()
        self.tool("nginx", NGINX.format(log=self.log, refuses=self.refuses))
        self.tool("systemctl", "#!/bin/sh\nexit 3\n")  # it is not active: nothing is reloaded

    def tool(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def server(self, stem: str) -> None:
        for state in ("up", "down"):
            (self.current / f"{stem}.{state}").touch()
        (self.peers / f"{stem}.conf").symlink_to(self.current / f"{stem}.up")

    def run(self, script: str) -> "subprocess.CompletedProcess[str]":
        for path, mine in (
            (peers.PEERS, self.peers),
            ("/etc/nginx/phoenix/current", self.current),
            ("/run/nginx.pid", self.folder / "pid"),
        ):
            script = script.replace(path, str(mine))
        path = f"{self.folder}/bin:/usr/bin:/bin"
        asked = [self.shell, "-c", script]
        return subprocess.run(
            asked, env={"PATH": path}, capture_output=True, text=True, check=False, timeout=30
        )

    @property
    def up(self) -> set[str]:
        return set(self.run(standing_script()).stdout.split())

    @property
    def tests(self) -> int:
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0


@pytest.fixture(params=["sh", "bash"])
def proxy(tmp_path: Path, request: pytest.FixtureRequest) -> Proxy:
    made = Proxy(tmp_path, request.param)
    for stem in ("10.0.0.5-8000", "10.0.0.5-9000", "10.0.0.51-8000", "fd00--5-80", "fd00--5-1-80"):
        made.server(stem)
    return made


def test_all_ports_of_an_address_go_out_and_come_back(proxy: Proxy) -> None:
    everything = proxy.up
    assert len(everything) == 5
    assert proxy.run(drain_script("10.0.0.5", 0)).returncode == 0
    assert proxy.up == everything - {"10.0.0.5-8000", "10.0.0.5-9000"}
    assert not leads("\n".join(proxy.up), "10.0.0.5")
    assert leads("\n".join(proxy.up), "10.0.0.51")
    assert proxy.tests == 1
    assert proxy.run(drain_script("10.0.0.5", 0)).returncode == 0
    assert proxy.tests == 1  # nothing was turned, so nothing is to be taken
    assert proxy.run(undrain_script("10.0.0.5")).returncode == 0
    assert proxy.up == everything


def test_an_address_is_no_other_one_s_beginning(proxy: Proxy) -> None:
    proxy.run(drain_script("fd00::5", 0))
    assert not leads("\n".join(proxy.up), "fd00::5")
    assert leads("\n".join(proxy.up), "fd00::5:1")


def test_what_nginx_refuses_is_turned_back(proxy: Proxy) -> None:
    everything = proxy.up
    proxy.refuses.touch()
    done = proxy.run(drain_script("10.0.0.5", 0))
    assert (done.returncode, done.stderr) == (1, "[emerg] it is not liked\n")
    assert proxy.up == everything


@pytest.mark.parametrize(
    "script", [drain_script("10.0.0.5", 9), undrain_script("10.0.0.5"), standing_script()]
)
def test_where_nginx_leads_to_nobody_nothing_is_done(script: str) -> None:
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@contextmanager
def asked(family: socket.AddressFamily, host: str) -> Iterator[int]:
    """A port of this machine with one open connection to it."""
    with (
        socket.create_server((host, 0), family=family) as server,
        socket.create_connection(server.getsockname()[:2]),
    ):
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("family", "host", "stem"),
    [(socket.AF_INET, "127.0.0.1", "127.0.0.1"), (socket.AF_INET6, "::1", "--1")],
)
def test_it_waits_for_open_connections_and_counts_what_is_left(
    proxy: Proxy, family: socket.AddressFamily, host: str, stem: str
) -> None:
    with asked(family, host) as port:
        proxy.server(f"{stem}-{port}")
        assert proxy.run(drain_script(host, 1)).stdout == "1\n"
    assert proxy.run(drain_script(host, 60)).stdout == ""


def test_a_moment_is_given_to_workers_that_may_still_read(proxy: Proxy) -> None:
    """A body that was being uploaded is put to the replica by a worker of before."""
    name = "nginx: worker process is shutting down"
    text = f"(exec -a '{name}' /bin/sleep 60) & echo $$ > {proxy.folder}/pid; wait"
    with subprocess.Popen(["bash", "-c", text], start_new_session=True) as main:
        try:
            while not (proxy.folder / "pid").exists() or not workers(main.pid):
                pass
            began = time.monotonic()
            assert proxy.run(drain_script("10.0.0.5", 60)).stdout == ""
            assert 3.9 < time.monotonic() - began < 30
        finally:
            for pid in [*workers(main.pid), main.pid]:
                subprocess.run(["kill", str(pid)], check=False)


def workers(main: int) -> list[int]:
    there = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    texts = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in there}
    return [pid for pid, text in texts.items() if b"shutting" in text]
