"""What Prometheus is told to look at, made of the guests of the files."""

import re
from typing import Any

import pytest
import yaml
from tests.unit.features.guests import desired, guest

from phoenix_hypervisor.features import _monitoring_conf as conf
from phoenix_hypervisor.features import _monitoring_grafana as grafana
from phoenix_hypervisor.features import _monitoring_rules as rules
from phoenix_hypervisor.features import available
from phoenix_hypervisor.features._llamacpp_options import LlamacppOptions
from phoenix_hypervisor.features._monitoring_options import MonitoringOptions
from phoenix_hypervisor.features._monitoring_targets import inputs
from phoenix_hypervisor.features.exporters import ExportersOptions, defaults, exporters, status_text
from phoenix_hypervisor.features.monitoring import UNITS, accept_script, turn_script
from phoenix_hypervisor.model import address
from phoenix_hypervisor.model.availability import Replica
from phoenix_hypervisor.model.desired import Desired, FeatureUse, Guest, Route, RouteAuth
from phoenix_hypervisor.model.errors import ConfigError
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.watch.slo import BURN_RULES

MONITORING = available()["monitoring"]
WORDS: dict[str, Any] = {
    "phoenix": [{"address": "10.0.0.254", "port": 9470, "token": {"secret": "TOKEN"}}],
    "alerts": {"webhook": {"secret": "HOOK"}},
}
GGUF = {"model": {"file": "small.gguf"}}


def use(name: str, options: dict[str, Any]) -> FeatureUse:
    return FeatureUse(name, available()[name].options.model_validate(options))


def stack(*more: Guest) -> Desired:
    web = guest(
        1,
        "web",
        features=(use("nginx", {}), use("exporters", {})),
        routes=(
            Route("shop.example.com", "/", 8000),
            Route(None, "/api", 8000, RouteAuth("bearer", None, Secret(name="B"))),
            Route("*.example.org", "/", 8000),
        ),
    )
    llm = guest(2, "llm", features=(use("llamacpp", {**GGUF, "api_key": {"secret": "KEY"}}),))
    return desired(guest(9, "watch", features=(use("exporters", {"port": 9200}),)), web, llm, *more)


def told(options: MonitoringOptions, wanted: Desired) -> dict[str, Any]:
    return inputs(options, next(iter(wanted.guests.values())), wanted)


def of(words: dict[str, Any]) -> MonitoringOptions:
    return MonitoringOptions.model_validate(words)


def jobs(options: MonitoringOptions, found: dict[str, Any]) -> dict[str, Any]:
    document = yaml.safe_load(conf.document(conf.prometheus(options, found)))
    return {job["job_name"]: job for job in document["scrape_configs"]}


def test_everything_of_the_files_is_looked_at() -> None:
    options = of(WORDS)
    found = jobs(options, told(options, stack()))
    assert list(found) == [
        "prometheus",
        "alertmanager",
        "phoenix-10.0.0.254-9470",
        "node",
        "nginx",
        "llamacpp-lxc-2-8080",
        "routes",
    ]
    phoenix = found["phoenix-10.0.0.254-9470"]
    assert phoenix["static_configs"] == [
        {"targets": ["10.0.0.254:9470"], "labels": {"job": "phoenix"}}
    ]
    assert phoenix["authorization"] == {
        "credentials_file": "/etc/prometheus/phoenix-keys/phoenix-10.0.0.254-9470"
    }
    assert [each["targets"] for each in found["node"]["static_configs"]] == [
        ["127.0.0.1:9200"],
        ["10.0.0.1:9100"],
    ]
    [engine] = found["llamacpp-lxc-2-8080"]["static_configs"]
    assert engine == {
        "targets": ["10.0.0.2:8080"],
        "labels": {"guest": "lxc/2", "name": "llm", "job": "llamacpp"},
    }
    shop, api = found["routes"]["static_configs"]
    assert shop["targets"] == ["http://10.0.0.1:80/"]
    assert shop["labels"] == {
        "guest": "lxc/1",
        "name": "web",
        "proxy": "lxc/1",
        "route": "shop.example.com/",
        "__param_module": "answers_shop.example.com",
    }
    assert api["labels"]["__param_module"] == "guarded_any"
    replaced = found["routes"]["relabel_configs"][-1]
    assert replaced == {"target_label": "__address__", "replacement": "127.0.0.1:9115"}


def test_keys_stay_with_their_server_whatever_stands_before_it() -> None:
    options = of({**WORDS, "phoenix": []})
    other = use("llamacpp", {**GGUF, "api_key": {"secret": "OTHER"}})
    before = conf.key_files(options, told(options, stack()))
    wanted = stack()
    first = guest(3, "first", features=(other,))
    after = conf.key_files(options, told(options, desired(first, *wanted.guests.values())))
    folder = "/etc/prometheus/phoenix-keys"
    assert before == {f"{folder}/llamacpp-lxc-2-8080": Secret(name="KEY")}
    assert after == {**before, f"{folder}/llamacpp-lxc-3-8080": Secret(name="OTHER")}


def test_a_route_of_replicas_is_of_none_of_them() -> None:
    shops = [
        guest(
            number,
            f"shop-{number - 19}",
            routes=(Route("s.example.com", "/", 80),),
            replica=Replica(address.lxc(20), "shop", number - 19),
        )
        for number in (20, 21)
    ]
    options = of(WORDS)
    found = told(options, stack(*shops))
    [shop] = [one for one in found["probes"] if one["host"] == "s.example.com"]
    labels = {"name": "shop", "proxy": "lxc/1", "route": "s.example.com/"}
    assert shop["labels"] == labels
    assert found["replicas"] == {"shop": ["lxc/20", "lxc/21"]}


def test_a_route_is_asked_by_its_name_and_a_guarded_one_may_refuse() -> None:
    options = of(WORDS)
    modules = conf.blackbox(told(options, stack()))["modules"]
    shop, guarded = modules["answers_shop.example.com"]["http"], modules["guarded_any"]["http"]
    assert shop["headers"] == {"Host": "shop.example.com"}
    assert 404 in shop["valid_status_codes"]
    assert not {500, 502, 503, 504} & {*shop["valid_status_codes"]}
    assert 401 in guarded["valid_status_codes"]
    assert "headers" not in guarded
    assert not conf.blackbox(told(of({**WORDS, "probe_routes": False}), stack()))[
        "modules"
    ].keys() - {"tcp_connect"}


def test_servers_that_tell_nothing_or_are_closed_are_left_out() -> None:
    silent = guest(3, "quiet", features=(use("llamacpp", {**GGUF, "metrics": False}),))
    closed = guest(4, "closed", features=(use("llamacpp", {**GGUF, "host": "127.0.0.1"}),))
    found = told(of(WORDS), stack(silent, closed))
    assert [one["labels"]["name"] for one in found["engines"]] == ["llm"]
    assert isinstance(silent.features[0].options, LlamacppOptions)


def test_own_targets_and_exporters_of_the_host() -> None:
    options = of(
        {
            **WORDS,
            "scrape": [{"name": "app", "targets": ["10.0.0.7:9000"], "path": "/m"}],
            "nvidia": ["10.0.0.254:9400"],
            "pve": {"exporter": "10.0.0.254:9221", "nodes": ["10.0.0.254"]},
        }
    )
    wanted = stack()
    found = jobs(options, told(options, wanted))
    assert found["own-app"]["metrics_path"] == "/m"
    assert found["nvidia"]["static_configs"] == [{"targets": ["10.0.0.254:9400"]}]
    assert found["pve"]["metrics_path"] == "/pve"
    assert found["pve"]["relabel_configs"][-1]["replacement"] == "10.0.0.254:9221"
    names = [group["name"] for group in rules.groups(options, told(options, wanted))["groups"]]
    assert names == [
        "phoenix-scraping",
        "phoenix-phoenix",
        "phoenix-servers",
        "phoenix-nodes",
        "phoenix-routes",
        "phoenix-cards",
    ]


def test_rules_of_what_is_not_there_are_not_there() -> None:
    options = of({})
    found = rules.groups(options, told(options, desired(guest(9, "watch"))))
    assert [group["name"] for group in found["groups"]] == ["phoenix-scraping"]


def test_burn_rates_are_those_that_phoenix_tells_itself() -> None:
    def seconds(window: str) -> float:
        return int(window[:-1]) * {"m": 60, "h": 3600, "d": 86400}[window[-1]]

    ours = [(one, seconds(a), seconds(b), rate) for one, a, b, rate in rules.BURNING]
    assert ours == [(one.severity, one.long_s, one.short_s, one.rate) for one in BURN_RULES]


def test_rules_name_only_metrics_that_phoenix_tells() -> None:
    from tests.unit.app.test_metrics import every_name

    options = of(WORDS)
    used = set()
    for group in rules.groups(options, told(options, stack()))["groups"]:
        for rule in group["rules"]:
            used |= set(re.findall(r"phoenix_\w+", rule["expr"]))
    for board in grafana.boards().values():
        for panel in board["panels"]:
            for target in panel["targets"]:
                used |= set(re.findall(r"phoenix_\w+", target["expr"]))
    assert used
    assert used <= every_name()


def test_alertmanager_gets_both_ways_and_keeps_values_whole() -> None:
    words = {
        "webhook": "http://10.0.0.5/hook",
        "mail": {
            "to": "ops@example.com",
            "from": "phoenix@example.com",
            "server": "mail.example.com:587",
            "username": "u",
            "password": {"secret": "MAIL"},
        },
    }
    options = of({**WORDS, "alerts": words})
    odd = "http://h/x?a='\"\n{{ .x }}: #"
    text = conf.document(conf.alertmanager(options, odd, "p: 'w\"\n- x"))
    [receiver] = yaml.safe_load(text)["receivers"]
    assert receiver["webhook_configs"][0]["url"] == odd
    assert receiver["email_configs"][0]["auth_password"] == "p: 'w\"\n- x"
    assert "HOOK" not in text


def test_flaws_and_firewalls() -> None:
    lost = guest(5, "lost", ip="dhcp", features=(use("exporters", {}),))
    me = guest(9, "watch")
    options = of(WORDS)
    assert not MONITORING.flaws(options, me, stack())
    assert [one.severity for one in MONITORING.flaws(of({}), me, stack())] == ["warning"] * 2
    half = of(
        {
            **WORDS,
            "alerts": {"mail": {"to": "a@b.c", "from": "a@b.c", "server": "m:25", "username": "u"}},
        }
    )
    assert [one.at for one in MONITORING.flaws(half, me, stack())] == [("alerts", "mail")]
    assert set(MONITORING.reaches(options, me, stack())) == {
        ("lxc/1", 9100),
        ("lxc/1", 9113),
        ("lxc/2", 8080),
        ("lxc/1", 80),
    }
    assert ("lxc/5", 9100) in MONITORING.reaches(options, me, stack(lost))


def test_every_mistake_at_its_place() -> None:
    lost = [
        guest(number, f"lost{number}", ip="dhcp", features=(use("exporters", {}),))
        for number in (5, 6)
    ]
    app = {"name": "app", "targets": ["10.0.0.7:9000"]}
    words = {
        **WORDS,
        "phoenix": [{"address": {"address_of": "nobody"}}, *WORDS["phoenix"], *WORDS["phoenix"]],
        "scrape": [app, {**app, "name": "more"}, app],
    }
    me, wanted = guest(9, "watch"), stack(*lost)
    assert [(one.guest, one.at) for one in MONITORING.flaws(of(words), me, wanted)] == [
        (None, ("phoenix", 0, "address")),
        ("lxc/5", ("network_config", "ip")),
        ("lxc/6", ("network_config", "ip")),
        (None, ("scrape", 2, "name")),
        (None, ("phoenix", 2)),
    ]
    with pytest.raises(ConfigError, match="there is no guest 'nobody'"):
        MONITORING.inputs(of(words), me, wanted)


@pytest.mark.parametrize(
    ("words", "routes", "expected"),
    [
        ({}, (), ("127.0.0.1", "127.0.0.1")),
        ({}, (Route("p.example.com", "/", 9090),), (None, "127.0.0.1")),
        ({"open": True}, (), (None, None)),
        ({"open": False}, (Route("p.example.com", "/", 9090),), ("127.0.0.1", "127.0.0.1")),
    ],
)
def test_without_a_route_only_the_guest_itself_reaches_them(
    words: dict[str, Any], routes: tuple[Route, ...], expected: tuple[str | None, str | None]
) -> None:
    me = guest(9, "watch", routes=routes)
    options = of({**WORDS, **words})
    prometheus, alertmanager, *_ = MONITORING.listens(options, me, desired(me))
    assert (prometheus.address, alertmanager.address) == expected
    assert prometheus.users_only == (bool(routes) and expected[0] is None)
    assert not alertmanager.users_only
    text = conf.arguments(options, inputs(options, me, desired(me)))["/etc/default/prometheus"]
    where = f"{expected[0] or ''}:9090"
    assert f"--web.listen-address={where} " in text


@pytest.mark.parametrize(
    "words",
    [
        {"phoenix": [{"address": "a b", "port": 1}]},
        {"scrape": [{"name": "x", "targets": ["no-port"]}]},
        {"scrape": [{"name": "x", "targets": ['h:1"\n- evil']}]},
        {"external_url": 'http://x" --web.enable-admin-api'},
        {"external_url": "http://x --web.enable-admin-api"},
        {"alerts": {"mail": {"to": "a@b, c@d", "from": "a@b", "server": "m:25"}}},
        {"rules": ["../secrets.yml"]},
        {"retention_days": 0},
    ],
)
def test_what_could_become_syntax_is_refused(words: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        of(words)


def test_only_what_has_new_arguments_is_restarted() -> None:
    turned = (
        "systemctl restart prometheus\n"
        "systemctl reload-or-restart prometheus-alertmanager prometheus-blackbox-exporter"
    )
    assert turn_script(["prometheus"]) == turned
    assert f"\n{turned}\n" in accept_script(of(WORDS), ["prometheus"])
    assert turn_script(UNITS) == f"systemctl restart {' '.join(UNITS)}"


def test_dashboards_have_what_grafana_needs() -> None:
    words = {"key_file": "grafana.asc", "password": {"secret": "G"}}
    options = of({**WORDS, "grafana": words})
    texts = grafana.provisioning(options)
    source = yaml.safe_load(texts["/etc/grafana/provisioning/datasources/phoenix.yaml"])
    uid = source["datasources"][0]["uid"]
    seen = set()
    for name, board in grafana.boards().items():
        assert name == f"{board['uid']}.json"
        places = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            assert at["x"] + at["w"] <= 24
            places.add((at["x"], at["y"]))
            assert panel["targets"]
            assert all(target["datasource"]["uid"] == uid for target in panel["targets"])
        assert (
            len(places) == len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        )
        seen.add(board["title"])
    assert len(seen) == len(grafana.boards())
    assert options.grafana is not None
    assert "http_addr = 127.0.0.1" in grafana.settings(options.grafana, opened=False)
    assert "Signed-By: /etc/apt/keyrings/phoenix-grafana.asc" in grafana.source(options.grafana)


def test_a_guest_has_exporters_of_its_servers() -> None:
    options = ExportersOptions(port=9101)
    uses = (use("nginx", {}), use("postgresql", {}), use("exporters", {}))
    full, bare = guest(1, "full", features=uses), guest(2, "bare", features=uses[2:])
    assert [one.of for one in exporters(options, bare)] == [""]
    node, nginx, postgresql = exporters(options, full)
    assert '"--web.listen-address=:9101 ' in defaults(options, node)
    assert "http://127.0.0.1:8091/status" in defaults(options, nginx)
    assert "user=prometheus host=/run/postgresql" in defaults(options, postgresql)
    assert "listen 127.0.0.1:8091;" in status_text(8091)
    feature = available()["exporters"]
    assert feature.inputs(options, full, desired(full)) == {"of": ["", "nginx", "postgresql"]}
    ports = [(one.port, one.address) for one in feature.listens(options, full, desired(full))]
    assert ports == [(9101, None), (9113, None), (9187, None), (8091, "127.0.0.1")]
    assert not feature.flaws(options, full, desired(full))
    wrong = guest(3, "wrong", features=(uses[2], uses[1]))
    [flaw] = feature.flaws(options, wrong, desired(wrong))
    assert "stands before postgresql" in flaw.message
