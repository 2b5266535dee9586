"""From files to a message: `phoenix watch` sees a guest fail, Prometheus in another guest scrapes
that, and Alertmanager tells a webhook.
"""

import base64
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.stack import Stack, environ_secrets, write
from tests.support import lab
from tests.support.inbox import PATIENCE_S, Inbox, free_port, listening

pytestmark = [pytest.mark.incus, pytest.mark.long]

IMAGE = "debian-13-standard"


@dataclass
class Monitored:
    """A stack whose guest 401 watches guest 402, and the ports on the machine that it knows."""

    stack: Stack
    gateway: str
    metrics: int
    hook: int


@pytest.fixture(scope="module")
def monitored(incus_daemon: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    corner = lab.Lab("z")
    gateway, metrics, hook = f"{corner.subnet()}.1", free_port(), free_port()
    words = {
        "phoenix": [{"address": gateway, "port": metrics}],
        "scrape_interval_s": 1,
        "limits": {"down_s": 1},
        "alerts": {
            "webhook": {"secret": "HOOK"},
            "group_wait_s": 0,
            "group_interval_s": 1,
            "resend_s": 1,
        },
    }
    login = {"username": "ada", "password": {"secret": "LOGIN"}}
    route = {"host": "prometheus.example.com", "port": 9090, "auth": {"basic": login}}
    listens = {"tcp": {"port": 8000, "name": "port 8000", "every_s": 1}}
    guests = {
        "401": {
            "template": IMAGE,
            "features": ["monitoring"],
            "monitoring": words,
            "routes": [route],
        },
        "402": {
            "template": IMAGE,
            "features": ["nginx"],
            "nginx": {"port": 8000},
            "checks": [listens],
        },
    }
    folder = tmp_path_factory.mktemp("monitored") / "folder"
    stack = write(folder, corner, guests)
    environ_secrets(folder, HOOK=f"http://{gateway}:{hook}/hook?key=s3cr3t", LOGIN="of ada")
    try:
        stack.ok("apply", "--yes")
        yield Monitored(stack, gateway, metrics, hook)
    finally:
        lab.clear(corner.name)


def test_an_alert_goes_all_the_way(monitored: Monitored, tmp_path: Path) -> None:
    stack, inbox = monitored.stack, Inbox()
    at = f"{monitored.gateway}:{monitored.metrics}"
    with (
        listening(monitored.gateway, inbox.take, monitored.hook),
        (tmp_path / "watch.log").open("w") as log,
        subprocess.Popen(
            stack.argv("watch", "--observe-only", "--metrics", at), stdout=log, stderr=log
        ) as watch,
    ):
        try:
            until(stack, 'phoenix_guest_health{name="guest402",health="up"} == 1')
            stack.inside("guest402", "systemctl stop nginx")
            fired = inbox.wait("GuestDown", "firing")
            assert fired["labels"]["guest"] == "lxc/402"
            assert fired["labels"]["severity"] == "page"
            assert fired["annotations"]["summary"] == "guest402 (lxc/402) is down"
            with urllib.request.urlopen(f"http://{at}/metrics", timeout=10) as reply:
                text = reply.read().decode()
            assert 'phoenix_check_up{check="port 8000"' in text
            assert "s3cr3t" not in text
            stack.inside("guest402", "systemctl start nginx")
            inbox.wait("GuestDown", "resolved", guest="lxc/402")
        finally:
            watch.terminate()
            said = (tmp_path / "watch.log").read_text()
            assert watch.wait(timeout=30) == 0, said
    lint = ["incus", "exec", "--project", stack.project, "lxc-401", "-T", "--"]
    lint += ["promtool", "check", "metrics"]
    told = subprocess.run(lint, input=text, text=True, capture_output=True, check=False, timeout=60)
    assert (told.returncode, told.stdout + told.stderr) == (0, "")


def test_prometheus_is_there_for_its_proxy_alone(monitored: Monitored) -> None:
    """It asks for no login; the proxy does."""
    subnet = monitored.gateway.rpartition(".")[0]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((f"{subnet}.10", 9090), timeout=10)
    ask = urllib.request.Request(f"http://{subnet}.11:8000/-/ready")
    ask.add_header("Host", "prometheus.example.com")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(ask, timeout=10)
    ask.add_header("Authorization", f"Basic {base64.b64encode(b'ada:of ada').decode()}")
    with urllib.request.urlopen(ask, timeout=10) as reply:
        assert b"Ready" in reply.read()


def until(stack: Stack, query: str) -> None:
    """Waits until Prometheus has an answer."""
    ask = f"promtool query instant http://127.0.0.1:9090 '{query}'"
    end = time.monotonic() + PATIENCE_S
    while not stack.inside("guest401", ask):
        assert time.monotonic() < end, stack.inside("guest401", ask.replace(query, "up"))
