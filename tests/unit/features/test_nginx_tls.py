"""TLS of Nginx: names, what can't be, what certbot is asked, and the server blocks."""

import shlex
from typing import Any

import pytest
from pydantic import ValidationError
from tests.unit.features.guests import desired, guest
from tests.unit.features.test_acme_ca import of, using

from phoenix_hypervisor.features import _nginx_tls
from phoenix_hypervisor.features._nginx_conf import Server, Static, render
from phoenix_hypervisor.features._nginx_tls import Tls
from phoenix_hypervisor.features.nginx import Nginx, NginxOptions, certified, leading_to
from phoenix_hypervisor.model.desired import FeatureUse, Route
from phoenix_hypervisor.model.serving import Engine, ServedModel

SITE = {"name": "a", "host": "WWW.home.test"}


def options(tls: Any, **more: Any) -> NginxOptions:
    return NginxOptions.model_validate({"sites": [SITE], "tls": tls, **more})


def flaws(tls: Any, *, ip: str | None = "auto", **more: Any) -> dict[tuple[Any, ...], str]:
    """Of a web server that depends on an authority."""
    authority = using(1, "ca", "acme_ca")
    chosen = options(tls, **more)
    use = FeatureUse("nginx", chosen)
    web = guest(2, "web", ip=ip, features=(use,), dependencies=(authority.address,))
    return {flaw.at: flaw.message for flaw in Nginx().flaws(chosen, web, of(authority, web))}


def test_it_is_certified_for_all_that_it_serves() -> None:
    app = guest(3, "app", routes=(Route("Chat.example.org", "/", 80), Route(None, "/x", 81)))
    inner = options({"acme": {"from": "ca"}, "names": ["more.home.test"]})
    web = guest(2, "web", features=(FeatureUse("nginx", inner),))
    wanted = of(using(1, "ca", "acme_ca"), web, app)
    served = ["chat.example.org", "more.home.test", "www.home.test"]
    assert certified(inner, web, wanted) == sorted([*served, "web.home.test"])
    outer = options({"acme": {"cloudflare_token": {"secret": "T"}}, "names": ["more.home.test"]})
    assert certified(outer, web, wanted) == served
    assert certified(NginxOptions(), web, wanted) == []


def test_what_can_not_be() -> None:
    inside = ("tls", "acme")
    assert flaws({"acme": {"from": "ca"}}) == {}
    assert (
        "can only be proven by DNS" in flaws({"acme": {"from": "ca"}, "names": ["*.x.y"]})[inside]
    )
    assert "can only be proven by DNS" in flaws({"acme": {}, "names": ["*.x.y"]})[inside]
    assert flaws({"acme": {"cloudflare_token": {"secret": "T"}}, "names": ["*.x.y"]}) == {}
    assert "for nothing" in flaws({"acme": {"from": "ca", "cloudflare_token": "t"}})[inside]
    assert "at port 80" in flaws({"acme": {"from": "ca"}}, port=8080)[inside]
    assert "at port 80" in flaws({"acme": {}}, port=8080)[inside]
    assert "no static address" in flaws({"acme": {"from": "ca"}}, ip="dhcp")[inside]
    assert "web is no certificate authority" in flaws({"acme": {"from": "web"}})[*inside, "from"]
    assert "nginx.port" in flaws({"acme": {"from": "ca"}, "port": 80})["tls", "port"]
    pinned = {"acme": {"fingerprint": "00" * 32}}
    assert "authority of a guest" in flaws(pinned)[*inside, "fingerprint"]
    many = [f"n{number}.home.test" for number in range(101)]
    assert "at most 100" in flaws({"acme": {"from": "ca"}, "names": many})["tls",]
    nameless = guest(2, "web")
    bare = options({"acme": {}}, sites=[])
    [flaw] = Nginx().flaws(bare, nameless, desired(nameless))
    assert "no name" in flaw.message
    for bad in ({"email": "a b"}, {"directory": "http://x"}, {"fingerprint": "12"}):
        with pytest.raises(ValidationError):
            options({"acme": bad})


def test_what_others_are_told() -> None:
    authority = using(1, "ca", "acme_ca")
    chosen = options({"acme": {"from": "ca"}})
    web = guest(
        2, "web", features=(FeatureUse("nginx", chosen),), dependencies=(authority.address,)
    )
    found = Nginx().inputs(chosen, web, of(authority, web))
    assert found["tls"]["names"] == ["web.home.test", "www.home.test"]
    assert found["tls"]["authority"]["directory"] == "https://10.0.0.1/acme/local/directory"
    assert "tls" not in Nginx().inputs(NginxOptions(), web, of(authority, web))
    checks = [check["http"] for check in Nginx().checks(chosen, web)]
    assert [check["port"] for check in checks] == [80, 443]
    assert checks[1]["scheme"] == "https"


def test_models_are_not_asked_where_http_only_leads_away() -> None:
    engine = Engine("vllm", 8000, (ServedModel("m"),))
    app = guest(3, "app", routes=(Route(None, "/v1", 8000),))
    for redirect in (True, False):
        chosen = options({"acme": {"from": "ca"}, "redirect": redirect})
        web = guest(2, "web", features=(FeatureUse("nginx", chosen),))
        found = list(leading_to(app, engine, of(web, app)))
        assert len(found) == (not redirect)


def test_what_certbot_is_asked() -> None:
    tls = Tls.model_validate({"acme": {"from": "ca"}})
    url = "https://10.0.0.1/acme/local/directory"
    words = shlex.split(_nginx_tls.order(["a.b", "c.d"], url, tls, "/root.pem"))
    assert words[words.index("--server") + 1] == url
    assert words[words.index("--webroot-path") + 1] == "/var/www/phoenix-acme"
    assert [words[at + 1] for at, word in enumerate(words) if word == "--domain"] == ["a.b", "c.d"]
    assert "--register-unsafely-without-email" in words
    assert "/etc/letsencrypt/accounts/10.0.0.1;" in words
    told = {"acme": {"email": "me@home.test", "cloudflare_token": {"secret": "T"}}}
    public = Tls.model_validate(told)
    asked = _nginx_tls.order(["*.b"], _nginx_tls.LETS_ENCRYPT, public, None)
    words = shlex.split(asked)
    assert "--dns-cloudflare" in words
    assert words[words.index("--email") + 1] == "me@home.test"
    assert "--webroot" not in words
    assert "'*.b'" in asked
    assert "accounts" not in asked


def test_server_blocks() -> None:
    site = Static("a", ("www.home.test",))
    plain = render(Server(), [site], [], {})
    assert "ssl" not in "".join(plain.values())
    assert "acme-challenge" not in plain["common.inc"]
    both = render(Server(tls_port=443), [site], [], {})
    assert both["50-servers.conf"].count("listen 80") == 2
    assert both["50-servers.conf"].count("listen 443") == 2
    assert "308" not in both["50-servers.conf"]
    led = render(Server(tls_port=8443, redirect=True), [site], [], {})
    assert led["50-servers.conf"].count("listen 80 default_server;") == 1
    assert led["50-servers.conf"].count("listen 80") == 1
    assert "return 308 https://$host:8443$request_uri;" in led["50-servers.conf"]
    assert "listen [::]:8443 default_server ssl;" in led["50-servers.conf"]
    assert "location ^~ /.well-known/acme-challenge/" in led["common.inc"]
    assert "ssl_protocols TLSv1.2 TLSv1.3;" in led["tls.inc"]
