"""Options and routes become the configuration that is expected, or are refused with a reason."""

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.unit.features.guests import desired, guest

from phoenix_hypervisor.features._nginx_conf import Server, render
from phoenix_hypervisor.features._nginx_deploy import password_line
from phoenix_hypervisor.features._nginx_guard import revealed
from phoenix_hypervisor.features._nginx_reload import ACCEPT
from phoenix_hypervisor.features._nginx_routes import Proxied, proxied, quote
from phoenix_hypervisor.features.nginx import Nginx, NginxOptions, Revealed, _render
from phoenix_hypervisor.model.desired import FeatureUse, Route, RouteAuth
from phoenix_hypervisor.model.errors import ConfigError, ConfigureFailed
from phoenix_hypervisor.model.feature import Inside
from phoenix_hypervisor.model.secret import Secret

NGINX = Nginx()


def servers(options: dict[str, Any], *routes: dict[str, Any]) -> str:
    """The server blocks for options and for routes as the inputs give them."""
    wanted = NginxOptions.model_validate(options)
    read = proxied([{"host": None, "auth": None, **route} for route in routes])
    revealed = Revealed({r.key: {"ann": "a-good-token"} for r in read if r.by_token}, {})
    return _render(wanted, read, revealed)["50-servers.conf"]


def block(text: str, name: str) -> str:
    """The server block of that server_name."""
    found = [each for each in text.split("server {") if f"server_name {name};" in each]
    assert len(found) == 1, text
    return found[0]


UP = "10.0.0.9:8000"


def test_a_route_covers_its_path_and_what_is_below_it_only() -> None:
    text = block(servers({}, {"path": "/api", "upstream": UP}), "_")
    assert "location = /api {" in text
    assert "location ^~ /api/ {" in text
    assert text.count(f"proxy_pass http://{UP};") == 2
    assert "return 404;" in text


def test_a_paths_escapes_are_resolved_as_nginx_compares_it() -> None:
    text = servers({}, {"path": "/a%20b%3b%7Bc/", "upstream": "10.0.0.9:1"})
    assert 'location = "/a b;{c" {' in text
    assert 'location ^~ "/a b;{c/" {' in text


def test_a_route_of_every_host_stands_in_every_block() -> None:
    text = servers(
        {"sites": [{"name": "a", "host": "a.test"}, {"name": "b", "host": ["b.test", "c.test"]}]},
        {"path": "/api", "upstream": UP},
        {"path": "/api", "host": "b.test", "upstream": "10.0.0.8:1"},
    )
    assert f"http://{UP}" in block(text, "a.test")
    assert f"http://{UP}" in block(text, "c.test")
    assert f"http://{UP}" in block(text, "_")
    assert f"http://{UP}" not in block(text, "b.test")
    assert "http://10.0.0.8:1" in block(text, "b.test")


def test_a_sites_own_root_wins_over_a_shared_route_at_the_root() -> None:
    text = servers({"sites": [{"name": "a", "host": "a.test"}]}, {"path": "/", "upstream": UP})
    assert "proxy_pass" not in block(text, "a.test")
    assert "location ^~ / {" in block(text, "_")


def test_listens_on_both_families_and_once_as_default() -> None:
    text = servers({"port": 8080}, {"path": "/", "host": "x.test", "upstream": UP})
    assert text.count("listen [::]:8080 default_server;") == 1
    assert text.count("listen 8080;") == 1


def test_options_reach_the_texts() -> None:
    server = Server(body_mb=7, timeout_s=99, trusted=("10.0.0.0/8",), extra="limit_conn_zone x;")
    files = render(server, (), (), {})
    assert "client_max_body_size 7m;" in files["common.inc"]
    assert "proxy_read_timeout 99s;" in files["proxy.inc"]
    assert "proxy_buffering off;" in files["proxy.inc"]
    assert "set_real_ip_from 10.0.0.0/8;" in files["00-http.conf"]
    assert files["60-extra.conf"] == "limit_conn_zone x;\n"


@pytest.mark.parametrize(
    ("options", "routes", "why"),
    [
        ({"sites": ["a", "b"]}, [], "both answer every host name"),
        ({"sites": ["a"]}, [{"path": "/", "upstream": UP}], "both publish every host/"),
        (
            {"sites": [{"name": "a", "host": "x.test"}, {"name": "b", "host": "x.test"}]},
            [],
            "two sites answer the host x.test",
        ),
        (
            {"sites": [{"name": "a", "host": "X.test"}]},
            [{"path": "/", "host": "x.TEST", "upstream": UP}],
            "both publish x.test/",
        ),
        ({}, [{"path": "/a", "upstream": UP}, {"path": "/a/", "upstream": UP}], "two routes"),
        ({}, [{"path": "/a;b", "upstream": UP}], "starts with /"),
        ({}, [{"path": "/a\nb", "upstream": UP}], "starts with /"),
        ({}, [{"path": "/$uri", "upstream": UP}], "starts with /"),
        ({}, [{"path": "/.phoenix/health", "upstream": UP}], "Phoenix's own"),
        ({}, [{"path": "/", "host": "a;b", "upstream": UP}], "is no host name"),
    ],
)
def test_contradictions_are_told(options: Any, routes: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(why)):
        servers(options, *routes)


@pytest.mark.parametrize(
    "options",
    [
        {"sites": ["../etc"]},
        {"sites": ["a/b"]},
        {"sites": [{"name": "a", "root": "../../etc"}]},
        {"sites": [{"name": "a", "host": "a.test; return 200"}]},
        {"sites": [{"name": "a", "headers": {"X: y": "z"}}]},
        {"sites": [{"name": "a", "headers": {"X": "a\nb"}}]},
        {"port": 0},
        {"trusted_proxies": ["everything"]},
        {"site": []},
    ],
)
def test_hostile_options_are_refused(options: Any) -> None:
    with pytest.raises(ValidationError):
        NginxOptions.model_validate(options)


def test_quotes_are_kept_literally_and_dollars_refused() -> None:
    assert quote('a "b" \\ c; {}') == '"a \\"b\\" \\\\ c; {}"'
    for bad in ("$host", "a\nb", "a\0"):
        with pytest.raises(ConfigError):
            quote(bad)


@pytest.mark.parametrize("token", ["short", 'has"quote123', "has space 123", "new\nline1234", "$a"])
def test_tokens_that_a_map_could_not_hold_are_refused(token: str) -> None:
    route = Proxied(None, "/", UP, "bearer", "route-1")
    with pytest.raises(ConfigError, match="bearer token"):
        render(Server(), (), (route,), {"route-1": {"ann": token}})


def test_a_key_that_can_not_be_is_named() -> None:
    inside = Inside(guest(3, "web"), Path(), secrets={"ADAS_KEY": "abc"})
    with pytest.raises(
        ConfigError, match=r"the key of ada of the route /v1 \(the secret ADAS_KEY\)"
    ):
        revealed(Secret(name="ADAS_KEY"), "the key of ada", "/v1", inside)


class TestInputs:
    def test_names_each_guests_address_and_the_own_one_as_loopback(self) -> None:
        api = guest(2, "api", routes=(Route(None, "/api", 8000),))
        web = guest(3, "web", routes=(Route(None, "/status", 9000),))
        routes = NGINX.inputs(NginxOptions(), web, desired(api, web))["routes"]
        assert [r["upstream"] for r in routes] == ["10.0.0.2:8000", "127.0.0.1:9000"]

    def test_ipv6_is_written_in_brackets(self) -> None:
        api = guest(2, "api", ip="fd00::2/64", routes=(Route(None, "/", 80),))
        web = guest(3, "web")
        routes = NGINX.inputs(NginxOptions(), web, desired(api, web))["routes"]
        assert routes[0]["upstream"] == "[fd00::2]:80"

    def test_only_the_proxy_publishes(self) -> None:
        api = guest(2, "api", routes=(Route(None, "/", 80),))
        web = guest(3, "web")
        chosen = FeatureUse("nginx", NginxOptions(proxy=True))
        other = guest(4, "edge", features=(chosen,))
        assert NGINX.inputs(NginxOptions(), web, desired(api, web, other))["routes"] == []
        assert NGINX.inputs(NginxOptions(proxy=True), other, desired(api, web, other))["routes"]
        assert NGINX.inputs(NginxOptions(proxy=False), web, desired(api, web))["routes"] == []

    def test_templates_publish_nothing(self) -> None:
        base = guest(2, "base", routes=(Route(None, "/", 80),), snapshot_name="done")
        web = guest(3, "web")
        assert NGINX.inputs(NginxOptions(), web, desired(base, web))["routes"] == []

    @pytest.mark.parametrize(
        ("fields", "why"),
        [
            ({"ip": "dhcp", "routes": (Route(None, "/", 80),)}, "no static address"),
            (
                {"routes": (Route(None, "/", 80, RouteAuth("basic", None, Secret(name="X"))),)},
                "names no user",
            ),
        ],
    )
    def test_routes_that_can_not_be_served_are_told(self, fields: Any, why: str) -> None:
        web = guest(3, "web")
        with pytest.raises(ConfigError, match=why):
            NGINX.inputs(NginxOptions(), web, desired(guest(2, "api", **fields), web))

    def test_a_route_to_the_proxy_itself_is_told(self) -> None:
        web = guest(3, "web", routes=(Route(None, "/x", 80),))
        with pytest.raises(ConfigError, match="the proxy's own"):
            NGINX.inputs(NginxOptions(), web, desired(web))


class TestFlaws:
    def test_all_are_told_with_their_places(self) -> None:
        options = NginxOptions.model_validate(
            {
                "sites": [
                    {"name": "a", "headers": {"X-A": "$a"}},
                    {"name": "a", "host": "x.test"},
                    {"name": "b", "host": "X.test"},
                ],
                "default_site": "c",
            }
        )
        api = guest(2, "api", ip="dhcp", routes=(Route("y.test", "/", 80),))
        web = guest(3, "web", routes=(Route("z.test", "/a", 1), Route("x.test", "/x", 80)))
        found = NGINX.flaws(options, web, desired(api, web))
        assert [(flaw.guest, flaw.at) for flaw in found] == [
            (api.address, ("routes", 0)),
            (web.address, ("routes", 1)),
            (None, ("sites", 1)),
            (None, ("default_site",)),
            (None, ("sites", 0, "headers", "X-A")),
            (None, ("sites", 2, "host")),
        ]
        assert not NGINX.flaws(NginxOptions(proxy=False), web, desired(api, web))


class TestPasswords:
    def test_a_hash_is_kept_while_it_fits(self) -> None:
        first = password_line("ann", "pa55", "")
        assert first.startswith("ann:$2b$")
        assert password_line("ann", "pa55", first) == first
        assert password_line("ann", "other", first) != first
        assert password_line("bob", "pa55", first).startswith("bob:")

    @pytest.mark.parametrize(
        ("name", "password"), [("a:b", "x"), ("a\nb", "x"), ("a", ""), ("a", "x" * 73)]
    )
    def test_what_the_file_can_not_hold_is_refused(self, name: str, password: str) -> None:
        with pytest.raises(ConfigureFailed):
            password_line(name, password, "")


def test_files_are_those_of_the_sites(tmp_path: Path) -> None:
    for name in ("sites/a/index.html", "sites/a/.git/x", "sites/b/index.html", "sites/own.conf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = NGINX.files(NginxOptions.model_validate({"sites": ["a"]}), guest(1, "w"), tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "sites/a/index.html",
        "sites/own.conf",
    ]


def test_checks_ask_the_default_site() -> None:
    none = NGINX.checks(NginxOptions(), guest(1, "w"))
    assert [check["http"]["path"] for check in none] == ["/.phoenix/health"]
    some = NGINX.checks(NginxOptions.model_validate({"sites": ["a"]}), guest(1, "w"))
    assert [check["http"]["path"] for check in some] == ["/.phoenix/health", "/"]


@pytest.mark.parametrize(
    ("reload", "status"),
    [
        (":", 1),
        ("kill $worker", 0),
        ("touch $folder/go; until grep -q shutting /proc/$worker/cmdline; do :; done", 0),
    ],
    ids=["the worker goes on", "is gone", "shuts down"],
)
def test_a_reload_that_the_running_nginx_refuses_is_seen(
    tmp_path: Path, reload: str, status: int
) -> None:
    # In a file: its arguments are what is looked at.
    (tmp_path / "worker").write_text(
        "until [ -e ${0%/*}/go ]; do sleep 0.02; done\n"
        "exec -a 'nginx: worker process is shutting down' sleep 60\n"
    )
    (tmp_path / "error.log").write_text("[emerg] the old one\n[emerg] uses another key\n")
    script = (
        "nginx() { :; }; sleep() { :; }; systemctl() { [ $1 = is-active ] || eval $RELOAD; }\n"
        + ACCEPT.replace("/run/nginx.pid", "$folder/pid").replace("/var/log/nginx", "$folder")
    )
    with subprocess.Popen(
        ["bash", "-c", "bash $0/worker & echo $!; wait; true", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as main:
        try:
            assert main.stdout is not None
            known = {"folder": str(tmp_path), "worker": main.stdout.readline().strip()}
            (tmp_path / "pid").write_text(str(main.pid))
            done = subprocess.run(
                ["sh", "-e"],
                input=script,
                env=os.environ | known | {"RELOAD": reload},
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
        finally:
            os.killpg(main.pid, signal.SIGKILL)
    assert done.returncode == status, done.stderr
    assert ("keeps its old configuration" in done.stderr) == bool(status)
    assert done.stderr.endswith("\n[emerg] uses another key\n" if status else "")
