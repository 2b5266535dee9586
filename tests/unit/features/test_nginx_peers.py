"""Replicas behind Nginx: which upstreams there are, and how one is taken out."""

from dataclasses import replace
from typing import Any

from tests.unit.features.guests import desired, guest

from phoenix_hypervisor.features._nginx_conf import Server, render
from phoenix_hypervisor.features._nginx_peers import (
    files,
    forwarding,
    groups,
)
from phoenix_hypervisor.features._nginx_replicas import Way, ways
from phoenix_hypervisor.features._nginx_routes import proxied
from phoenix_hypervisor.features.nginx import Nginx, NginxOptions, leading_to
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.availability import Replica
from phoenix_hypervisor.model.desired import FeatureUse, Guest, Route
from phoenix_hypervisor.model.serving import Engine, LlmRoute, ServedModel

NGINX = Nginx()
PROXY = guest(3, "proxy", features=(FeatureUse("nginx", NginxOptions()),))
ENGINE = Engine("", 8080, (ServedModel("small"),))


def replica(number: int, **words: Any) -> Guest:
    """`web-1` at 10.0.0.51, `web-2` at 10.0.0.52, …"""
    given: dict[str, Any] = {
        "routes": (Route(None, "/", 8000), Route("b.test", "/", 8000, timeout_s=5)),
        "replica": Replica(lxc(51), "web", number),
    }
    return guest(50 + number, f"web-{number}", **(given | words))


WEB = tuple(replica(number) for number in (1, 2, 3))
FOLDER = desired(*WEB, PROXY)
SERVERS = ["10.0.0.51:8000", "10.0.0.52:8000", "10.0.0.53:8000"]


def routes(*guests: Guest) -> list[dict[str, Any]]:
    return list(NGINX.inputs(NginxOptions(), PROXY, desired(*guests, PROXY))["routes"])


def test_a_route_of_replicas_is_one_with_all_of_them_behind() -> None:
    found = routes(*WEB)
    assert [(one["host"], one["upstream"], one["peers"]) for one in found] == [
        (None, "phoenix-web-8000", SERVERS),
        ("b.test", "phoenix-web-8000", SERVERS),
    ]
    assert routes(WEB[0])[0]["upstream"] == SERVERS[0]
    assert "peers" not in routes(WEB[0])[0]


def test_a_proxy_reaches_all_of_them() -> None:
    assert set(NGINX.reaches(NginxOptions(), PROXY, FOLDER)) == {(one.address, 8000) for one in WEB}


def test_the_slowest_route_says_how_long_a_drain_waits() -> None:
    assert ways(FOLDER) == {one.address: [Way(PROXY, 60)] for one in WEB}
    quick = tuple(
        replica(number, routes=(Route(None, "/", 8000, timeout_s=5),)) for number in (1, 2)
    )
    door = guest(9, "door", features=(FeatureUse("nginx", NginxOptions()),))
    assert ways(desired(*quick, PROXY, door))[lxc(52)] == [Way(PROXY, 5), Way(door, 5)]
    slow = LlmRoute((), ENGINE, timeout_s=900)
    model = tuple(
        replica(number, routes=(Route(None, "/v1", 8080, llm=slow),)) for number in (1, 2)
    )
    assert ways(desired(*model, PROXY))[lxc(51)] == [Way(PROXY, 900)]
    usual = replace(slow, timeout_s=None)
    model = tuple(
        replica(number, routes=(Route(None, "/v1", 8080, llm=usual),)) for number in (1, 2)
    )
    assert ways(desired(*model, PROXY))[lxc(51)] == [Way(PROXY, 3600)]


def test_the_texts() -> None:
    found = render(Server(), (), proxied(routes(*WEB)), {})
    upstreams = found["40-upstreams.conf"]
    assert upstreams.count("upstream ") == 1
    for at in (51, 52, 53):
        assert f"include /etc/nginx/phoenix-peers/10.0.0.{at}-8000.conf;" in upstreams
    assert found["10.0.0.51-8000.up"] == (
        "server 10.0.0.51:8000 max_fails=1 fail_timeout=5s;\n"
        "server 10.0.0.51:8000 backup max_fails=0;\n"
    )
    assert found["10.0.0.51-8000.down"].count(" down;") == 2
    text = found["50-servers.conf"]
    assert text.count("proxy_pass http://phoenix-web-8000;") == 2
    assert text.count("proxy_read_timeout 60s;") == 1
    assert text.count("proxy_read_timeout 5s;") == 1
    assert "proxy.inc" not in text
    assert "timeout" not in found["forward.inc"]


def test_who_waits_how_long() -> None:
    assert forwarding((), 7) == [
        "proxy_connect_timeout 10s;",
        "proxy_read_timeout 7s;",
        "proxy_send_timeout 7s;",
    ]
    assert "proxy_next_upstream_tries 3;" in forwarding(SERVERS * 2, 7)
    assert "proxy_next_upstream_timeout 14s;" in forwarding(SERVERS[:2], 7)


def test_only_what_is_idempotent_is_asked_twice() -> None:
    (line,) = [one for one in forwarding(SERVERS, 7) if one.startswith("proxy_next_upstream ")]
    assert line == "proxy_next_upstream error timeout invalid_header http_502 http_503;"


def test_without_replicas_nothing_is_new() -> None:
    api = guest(2, "api", routes=(Route(None, "/", 80),))
    found = render(Server(), (), proxied(routes(api)), {})
    assert files(groups(proxied(routes(api)))) == {}
    assert set(found) == {"00-http.conf", "common.inc", "proxy.inc", "50-servers.conf"}


def test_model_servers_of_replicas_share_the_work() -> None:
    told = Route(None, "/v1", 8080, llm=LlmRoute((), ENGINE))
    named = Route("b.test", "/v1", None, llm=LlmRoute((lxc(51),)))
    llm = tuple(replica(number, routes=(told,)) for number in (1, 2))
    door = guest(9, "door", routes=(named,))
    own, other = routes(*llm, door)
    for route in (own, other):
        (engine,) = route["llm"]["engines"]
        assert (engine["upstream"], engine["peers"]) == (
            "phoenix-web-8080",
            ["10.0.0.51:8080", "10.0.0.52:8080"],
        )
    text = render(Server(), (), proxied([own, other]), {})["50-servers.conf"]
    assert text.count("proxy_pass http://phoenix-web-8080;") == 2
    assert text.count("proxy_connect_timeout 1s;") == 2
    wanted = desired(*llm, door, PROXY)
    assert [len(list(leading_to(one, ENGINE, wanted))) for one in llm] == [2, 2]
