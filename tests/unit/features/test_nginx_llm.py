"""Endpoints for language models: who answers, what is refused, and the words for Nginx."""

import json
import re
from typing import Any

import pytest
from tests.unit.features.guests import desired, guest

from phoenix_hypervisor import features
from phoenix_hypervisor.features._nginx_conf import Server, render
from phoenix_hypervisor.features._nginx_guard import Rate
from phoenix_hypervisor.features._nginx_inputs import reached
from phoenix_hypervisor.features._nginx_routes import Proxied, proxied
from phoenix_hypervisor.features.nginx import Nginx, NginxOptions
from phoenix_hypervisor.model import address
from phoenix_hypervisor.model.desired import Desired, FeatureUse, Guest, Route, RouteAuth
from phoenix_hypervisor.model.errors import ConfigError
from phoenix_hypervisor.model.feature import Feature, FeatureOptions
from phoenix_hypervisor.model.route import RateLimit
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.model.serving import Engine, LlmRoute, ServedModel


class Runner(Feature[FeatureOptions]):
    """A feature that runs a model server."""

    name = "runner"
    options = FeatureOptions

    def engines(self, options: FeatureOptions, guest: Guest, desired: Desired) -> list[Engine]:
        return [Engine("runner", 8081, (ServedModel(f"model of {guest.name}"),))]


NGINX = Nginx()
WEB = guest(3, "web")
KEY = Secret(name="ENGINE_KEY")


def server(number: int, *models: str, path: str = "/v1", **fields: Any) -> Guest:
    """A guest with a model server that no feature runs."""
    engine = Engine("", 8000, tuple(ServedModel(one) for one in models), fields.pop("key", None))
    engine = Engine("", 8000, engine.models, engine.api_key, path)
    route = Route(f"m{number}.test", "/v1", 8000, llm=LlmRoute((), engine))
    return guest(number, f"m{number}", routes=(route,), **fields)


def endpoint(*guests: int, **fields: Any) -> Route:
    """A route at /v1 of every host that leads to these guests."""
    return Route(None, "/v1", None, llm=LlmRoute(tuple(map(address.lxc, guests))), **fields)


def read(*guests: Guest, web: Guest = WEB) -> list[dict[str, Any]]:
    return list(NGINX.inputs(NginxOptions(), web, desired(*guests, web))["routes"])


def files(*guests: Guest, **given: Any) -> dict[str, str]:
    return render(Server(), (), proxied(read(*guests)), given.pop("tokens", {}), **given)


class TestInputs:
    def test_an_endpoint_collects_the_servers_of_all_its_guests(self) -> None:
        chat, embed = server(1, "chat", key=KEY), server(2, "embed", "rank", path="/openai")
        found = read(chat, embed, guest(4, "door", routes=(endpoint(1, 2),)))[-1]
        assert found["upstream"] is None
        assert found["llm"]["engines"] == [
            {
                "upstream": "10.0.0.1:8000",
                "path": "/v1",
                "models": ["chat"],
                "owner": "m1",
                "secret": KEY,
            },
            {
                "upstream": "10.0.0.2:8000",
                "path": "/openai",
                "models": ["embed", "rank"],
                "owner": "m2",
                "secret": None,
            },
        ]

    def test_a_server_with_two_routes_is_one(self) -> None:
        chat = server(1, "chat")
        twice = guest(1, "m1", routes=(*chat.routes, endpoint(1)))
        assert [len(one["llm"]["engines"]) for one in read(twice)] == [1, 1]

    def test_a_server_beside_the_proxy_is_asked_on_loopback(self) -> None:
        web = guest(3, "web", routes=server(3, "chat").routes)
        assert read(web=web)[0]["llm"]["engines"][0]["upstream"] == "127.0.0.1:8000"

    def test_servers_that_features_run_are_asked_for(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(features, "available", lambda: {"runner": Runner()})
        runner = FeatureUse("runner", FeatureOptions())
        asleep = guest(2, "asleep", features=(runner,), snapshot_name="done")
        awake = guest(1, "awake", features=(runner,), routes=(endpoint(1, 2),))
        (found,) = read(awake, asleep)
        assert [(one["upstream"], one["owner"]) for one in found["llm"]["engines"]] == [
            ("10.0.0.1:8081", "runner")
        ]

    def test_the_proxy_reaches_all_that_answers(self) -> None:
        others = (guest(5, "api", routes=(Route(None, "/", 80),)), server(1, "a"), server(2, "b"))
        wanted = desired(*others, guest(4, "door", routes=(endpoint(1, 2),)), WEB)
        assert set(reached(None, WEB, wanted)) == {
            (address.lxc(5), 80),
            (address.lxc(1), 8000),
            (address.lxc(2), 8000),
        }
        assert set(NGINX.reaches(NginxOptions(proxy=False), WEB, wanted)) == set()

    @pytest.mark.parametrize(
        ("guests", "why"),
        [
            ((guest(1, "m1", routes=(endpoint(1),)),), "no model server runs in m1"),
            (
                (server(1, "a"), server(2, "a"), guest(4, "d", routes=(endpoint(1, 2),))),
                "two model servers for 'a': m1 port 8000 and m2 port 8000",
            ),
            ((server(1, "a", ip="dhcp"),), "no static address"),
        ],
    )
    def test_what_can_not_be_is_a_flaw_of_its_route(
        self, guests: tuple[Guest, ...], why: str
    ) -> None:
        owner = guests[-1]
        (flaw,) = NGINX.flaws(NginxOptions(), WEB, desired(*guests, WEB))
        assert (flaw.guest, flaw.at) == (owner.address, ("routes", 0))
        assert why in flaw.message

    def test_guests_without_servers_are_told_by_who_reads_the_files(self) -> None:
        wanted = desired(guest(1, "m1"), guest(4, "d", routes=(endpoint(1),)), WEB)
        assert NGINX.flaws(NginxOptions(), WEB, wanted) == []
        with pytest.raises(ConfigError, match="d publishes /v1, but no model server runs in m1"):
            NGINX.inputs(NginxOptions(), WEB, wanted)


class TestText:
    def test_streams_are_never_held_back(self) -> None:
        made = files(server(1, "chat"))
        assert "proxy_buffering off;" in made["llm.inc"]
        assert "proxy_ignore_headers X-Accel-Buffering" in made["llm.inc"]
        assert "add_header X-Accel-Buffering no always;" in made["50-servers.conf"]

    def test_without_endpoints_nothing_of_njs_is_asked_for(self) -> None:
        made = files(guest(1, "api", routes=(Route(None, "/", 80),)))
        assert "js_" not in "".join(made.values())
        assert set(made) == {"00-http.conf", "common.inc", "proxy.inc", "50-servers.conf"}

    def test_the_table_names_models_as_they_are_written(self) -> None:
        odd = 'a"b\\c\u2028</script>é'
        text = files(server(1, odd))["llm.js"]
        table = json.loads(text[len("const ENDPOINTS = ") : text.index(";\n\nfunction")])
        assert [one["models"][0]["name"] for one in table.values()] == [odd]
        assert text.isascii()

    def test_a_servers_own_path_and_key_are_put_in(self) -> None:
        made = files(
            server(1, "chat", path="/api/openai"),
            engine_keys={proxied(read(server(1, "chat")))[0].key: {0: "sk-12345678"}},
        )
        text = made["50-servers.conf"]
        assert 'rewrite "^/v1(/.*)?$" "/api/openai$1" break;' in text
        assert 'proxy_set_header Authorization "Bearer sk-12345678";' in text

    def test_clients_keys_never_reach_a_server(self) -> None:
        assert 'proxy_set_header Authorization "";' in files(server(1, "a"))["50-servers.conf"]

    def test_a_servers_key_that_nginx_can_not_hold_is_refused(self) -> None:
        keys = {proxied(read(server(1, "a")))[0].key: {0: 'a"b;c d$e'}}
        with pytest.raises(ConfigError, match="api_key of a model server"):
            files(server(1, "a"), engine_keys=keys)


class TestKeys:
    ROUTE = Proxied("k.test", "/", "10.0.0.9:1", "keys", "route-1")

    def test_each_key_has_its_name(self) -> None:
        tokens = {"route-1": {"ada": "sk.ada+1234", "bob": "sk-bob-1234"}}
        made = render(Server(), (), (self.ROUTE,), tokens)
        assert '"~^(?i:Bearer) +sk\\.ada\\+1234\\z" "ada";' in made["00-http.conf"]
        assert '"~^(?i:Bearer) +sk-bob-1234\\z" "bob";' in made["00-http.conf"]
        assert 'if ($phoenix_route_1 = "") { return 401; }' in made["50-servers.conf"]

    def test_two_names_for_one_key_are_refused(self) -> None:
        tokens = {"route-1": {"ada": "sk-12345678", "bob": "sk-12345678"}}
        with pytest.raises(ConfigError, match="ada, bob of a route have the same value"):
            render(Server(), (), (self.ROUTE,), tokens)

    def test_inputs_hold_them_as_secrets(self) -> None:
        auth = RouteAuth("keys", None, None, (("ada", Secret(name="ADA")),))
        (route,) = read(guest(1, "api", routes=(Route(None, "/", 80, auth),)))
        assert route["auth"]["keys"] == {"ada": Secret(name="ADA")}


class TestRates:
    @pytest.mark.parametrize(
        ("rate", "zone", "limit", "wait"),
        [
            (Rate(60, "minute", 60, "address"), "$binary_remote_addr", "burst=59 nodelay", "1"),
            (Rate(2, "minute", 1, "key"), "$phoenix_route_1", "", "30"),
            (Rate(7, "minute", 7, "key"), "$phoenix_route_1", "burst=6 nodelay", "9"),
            (Rate(5, "second", 20, "key"), "$phoenix_route_1", "burst=19 nodelay", "1"),
        ],
    )
    def test_a_route_is_counted(self, rate: Rate, zone: str, limit: str, wait: str) -> None:
        # Its name must change with the variable: a running Nginx refuses another one.
        name = f"route-1-{rate.by}"
        route = Proxied("k.test", "/", "10.0.0.9:1", "keys", "route-1", rate)
        made = render(Server(), (), (route,), {"route-1": {"ada": "sk-12345678"}})
        pace = f"{rate.requests}r/{rate.per[0]}"
        assert f"limit_req_zone {zone} zone={name}:10m rate={pace};" in made["00-http.conf"]
        (found,) = re.findall(rf"limit_req zone={name} ?(.*);", made["50-servers.conf"])
        assert found == limit
        assert f"add_header Retry-After {wait} always;" in made["50-servers.conf"]

    def test_it_comes_from_the_route(self) -> None:
        wanted = RateLimit(3, "second", 9, "address")
        (route,) = read(guest(1, "a", routes=(Route(None, "/", 80, rate_limit=wanted),)))
        assert proxied([route])[0].rate == Rate(3, "second", 9, "address")
