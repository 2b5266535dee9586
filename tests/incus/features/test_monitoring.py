"""Prometheus in a real guest, with real exporters in another one.

That an alert goes all the way from a check of `phoenix watch` is in tests/e2e/test_monitoring.py.
"""

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from tests.incus.features import monitoring_rules
from tests.support import lab
from tests.support.featurebench import Bench
from tests.support.inbox import PATIENCE_S, Inbox, listening

from phoenix_hypervisor.app.metrics import Metrics
from phoenix_hypervisor.features import _monitoring_conf as conf
from phoenix_hypervisor.model.desired import Route

pytestmark = [pytest.mark.incus, pytest.mark.long]

TOKEN = "of.phoenix+12345"


@pytest.fixture(scope="module")
def bench(incus_daemon: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    corner = lab.Lab("z")
    made = Bench.of(corner, tmp_path_factory.mktemp("watched"), "watch", "web")
    made.secrets = {"TOKEN": TOKEN, "MAIL": "p: 'w\"#"}
    try:
        made.make()
        yield made
    finally:
        lab.clear(corner.name)


def ask(bench: Bench, query: str) -> list[dict[str, Any]]:
    """What Prometheus in the guest answers."""
    asked = f"promtool query instant -o json http://127.0.0.1:9090 '{query}'"
    return list(json.loads(bench.sh("watch", asked)))


def until(bench: Bench, query: str) -> list[dict[str, Any]]:
    """The answer, once there is one."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if found := ask(bench, query):
            return found
        time.sleep(0.5)
    raise AssertionError(f"{query} has no answer; up: {ask(bench, 'up')}")


def test_tokens_exporters_routes_and_a_bad_rule(bench: Bench) -> None:
    gateway, inbox = f"{bench.corner.subnet()}.1", Inbox()
    metrics = Metrics(bench.folder)

    def guarded(request: BaseHTTPRequestHandler) -> None:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            request.send_error(401)
            return
        told = metrics.exposition(bench.desired, request.headers.get("Accept", ""))
        request.send_response(200)
        request.send_header("Content-Type", told.content_type)
        request.end_headers()
        request.wfile.write(told.body)

    routes = (Route("metrics.example.com", "/", 9100), Route("gone.example.com", "/", 9))
    bench.change("web", routes=routes)
    bench.deploy("web", "exporters", after=("nginx", "postgresql"))
    assert bench.deploy("web", "exporters", after=("nginx", "postgresql")).changed == 0
    with listening(gateway, guarded) as port, listening(gateway, inbox.take) as hook:
        bench.secrets["HOOK"] = f"http://{gateway}:{hook}/hook?key=s3cr3t"
        options = {
            "phoenix": [{"address": gateway, "port": port, "token": {"secret": "TOKEN"}}],
            "scrape_interval_s": 1,
            "limits": {"down_s": 1, "scrape_s": 3},
            "nvidia": [f"{gateway}:9400"],  # nobody is there: its job and rules are taken
            "pve": {"exporter": f"{gateway}:9221", "nodes": ["pve1"]},
            "alerts": {
                "webhook": {"secret": "HOOK"},
                "mail": {
                    "to": "ops@example.com",
                    "from": "phoenix@example.com",
                    "server": f"{gateway}:2525",
                    "username": "ada",
                    "password": {"secret": "MAIL"},
                },
                "group_wait_s": 0,
                "group_interval_s": 1,
                "resend_s": 1,
            },
        }
        bench.deploy("watch", "monitoring", options)
        assert bench.deploy("watch", "monitoring", options).changed == 0
        for job in ("phoenix", "node", "nginx", "postgresql", "prometheus", "alertmanager"):
            until(bench, f'up{{job="{job}"}} == 1')
        until(bench, "nginx_up == 1")
        until(bench, "pg_up == 1")
        until(bench, 'probe_success{route="metrics.example.com/"} == 1')
        inbox.wait("RouteFails", "firing", route="gone.example.com/")
        bench.sh("web", "systemctl stop prometheus-node-exporter")
        inbox.wait("ScrapeFails", "firing", job="node")
        inbox.wait("ScrapeFails", "firing", job="nvidia")
        inbox.wait("MessagesNotSent", "firing", integration="email")
        bench.sh("web", "systemctl start prometheus-node-exporter")
        inbox.wait("ScrapeFails", "resolved", job="node")

        (bench.folder / "bad.yml").write_text("groups: [{name: x, rules: [{alert: y, expr: 1 +}]}]")
        bad = {**options, "rules": ["bad.yml"], "phoenix": []}
        refused = bench.refused("watch", "monitoring", bad)
        assert "could not parse expression" in refused
        assert "the old one is back" in refused
        assert until(bench, 'up{job="phoenix"} == 1')  # its key is there still
        bad = {**options, "retention_days": 7, "alertmanager_port": conf.BLACKBOX_PORT}
        assert "address already in use" in bench.refused("watch", "monitoring", bad)
        assert "retention.time=30d" in bench.sh("watch", "ps -o args= -C prometheus")

    assert not any("s3cr3t" in line or TOKEN in line for line in bench.told)
    found = bench.sh("watch", "ps axo args; cat /etc/prometheus/prometheus.yml")
    assert TOKEN not in found
    assert "s3cr3t" not in found
    modes = bench.sh(
        "watch",
        "stat -c '%a %U:%G' /etc/prometheus/alertmanager.yml /etc/prometheus/phoenix-keys/*",
    )
    assert modes.splitlines() == ["640 root:prometheus"] * 2


def test_stories_of_metrics_and_what_is_told_of_them(bench: Bench) -> None:
    bench.deploy("watch", "monitoring")
    bench.sh("watch", "mkdir -p /root/stories")
    for name, text in (
        ("rules.yml", monitoring_rules.rules_text()),
        ("stories.yml", monitoring_rules.stories_text("rules.yml")),
    ):
        bench.sh("watch", f"cat > /root/stories/{name}", stdin=text)
    bench.sh("watch", "cd /root/stories && promtool test rules stories.yml")


def test_of_a_guest_that_is_down_nothing_else_is_told(bench: Bench) -> None:
    bench.deploy("watch", "monitoring")
    amtool = "amtool --alertmanager.url=http://127.0.0.1:9093 alert"
    for name, guest in (("GuestDown", "lxc/1"), ("RouteFails", "lxc/1"), ("RouteFails", "lxc/2")):
        bench.sh("watch", f"{amtool} add {name} guest={guest} severity=page story=yes")
    end = time.monotonic() + PATIENCE_S
    while not (told := _inhibited(bench, amtool)):
        assert time.monotonic() < end
        time.sleep(0.5)
    assert told == [("RouteFails", "lxc/1")]


def _inhibited(bench: Bench, amtool: str) -> list[tuple[str, str]]:
    query = f"{amtool} query --inhibited -o json story=yes"
    told = json.loads(bench.sh("watch", query))
    return [(one["labels"]["alertname"], one["labels"]["guest"]) for one in told]


def test_grafana_ends_where_the_options_no_longer_have_it(bench: Bench) -> None:
    """Its package can't be had: a unit of its name stands for it."""
    source = "/etc/grafana/provisioning/datasources/phoenix.yaml"
    bench.sh(
        "watch",
        f"""mkdir -p {source.rpartition("/")[0]} && echo x > {source}
cat > /etc/systemd/system/grafana-server.service <<'END'
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
END
systemctl enable --now grafana-server""",
    )
    bench.deploy("watch", "monitoring")
    state = (
        "systemctl is-enabled grafana-server || true; systemctl is-active grafana-server || true"
    )
    assert bench.sh("watch", state).split() == ["disabled", "inactive"]
    bench.sh("watch", f"test ! -e {source}")
    assert bench.deploy("watch", "monitoring").changed == 0
