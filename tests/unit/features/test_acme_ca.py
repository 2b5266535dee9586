"""Authorities among the guests: who is one, whom they know, what is trusted, Caddy's text."""

from typing import Any

import pytest
from tests.unit.features.guests import desired, guest

from phoenix_hypervisor import features
from phoenix_hypervisor.features import _acme
from phoenix_hypervisor.features.acme_ca import AcmeCa, AcmeCaOptions, caddyfile, unit
from phoenix_hypervisor.model.desired import Desired, FeatureUse, Guest, Host, Route
from phoenix_hypervisor.model.errors import ConfigError, ConfigureFailed

HOST = Host(domain="home.test")
PEM = """-----BEGIN CERTIFICATE-----
aGVsbG8=
-----END CERTIFICATE-----
"""
HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def using(number: int, name: str, feature: str, options: Any = None, **fields: Any) -> Guest:
    """A guest with one feature."""
    model = features.available()[feature].options
    use = FeatureUse(feature, model.model_validate(options or {}))
    return guest(number, name, features=(use,), **fields)


def of(*guests: Guest) -> Desired:
    return desired(*guests, host=HOST)


def test_an_authority_is_asked_by_address() -> None:
    caddy = of(using(1, "ca", "acme_ca"), guest(2, "web"))
    found = _acme.authority("ca", caddy, "x")
    assert found == _acme.authority(None, caddy, "x")
    assert found.directory == "https://10.0.0.1/acme/local/directory"
    assert found.root == "http://10.0.0.1/root.pem"
    step = of(using(1, "ca", "step_ca", {"port": 8443}, ip="fd00::1/64"))
    found = _acme.authority(1, step, "x")
    assert found.directory == "https://[fd00::1]:8443/acme/acme/directory"
    assert found.root == "https://[fd00::1]:8443/roots.pem"


@pytest.mark.parametrize(
    ("guests", "wanted", "said"),
    [
        ([guest(1, "web")], None, "no guest is a certificate authority"),
        ([guest(1, "web")], "web", "web is no certificate authority"),
        ([guest(1, "web")], "ca", "there is no guest 'ca'"),
        ([using(1, "a", "acme_ca"), using(2, "b", "step_ca")], None, r"several guests .*\(a, b\)"),
        ([using(1, "a", "acme_ca", ip="dhcp")], "a", "no static address"),
    ],
)
def test_what_is_no_authority_is_told(guests: list[Guest], wanted: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        _acme.authority(wanted, of(*guests), "somebody asks it")


def test_who_names_an_authority_depends_on_it() -> None:
    authority = using(1, "ca", "acme_ca")
    alone, later = guest(2, "a"), guest(3, "b", dependencies=(authority.address,))
    wanted = of(authority, alone, later)
    [flaw] = _acme.flaws(("from",), "ca", alone, wanted)
    assert "does not depend on it" in flaw.message
    assert flaw.hint == 'add "1" to `dependencies`'
    assert not list(_acme.flaws(("from",), "ca", later, wanted))
    assert not list(_acme.flaws(("from",), None, alone, wanted))


def test_a_root_is_told_by_its_fingerprint() -> None:
    assert _acme.fingerprint(PEM) == HELLO
    colons = ":".join(HELLO[i : i + 2] for i in range(0, 64, 2)).upper()
    assert _acme.pin(colons) == HELLO
    _acme.refuse_root("ca", HELLO, None, None)
    _acme.refuse_root("ca", HELLO, None, HELLO)
    _acme.refuse_root("ca", HELLO, colons, "00" * 32)
    with pytest.raises(ConfigureFailed, match="another root") as caught:
        _acme.refuse_root("ca", HELLO, None, "00" * 32)
    assert f'"fingerprint": "{HELLO}"' in caught.value.hint
    with pytest.raises(ConfigureFailed, match=f"has the fingerprint {HELLO}"):
        _acme.refuse_root("ca", HELLO, "11" * 32, HELLO)


def test_it_knows_those_who_ask_it_and_nobody_else() -> None:
    authority = using(1, "ca", "acme_ca", {"allow": ["*.Lab.test"]})
    site = {"sites": [{"name": "a", "host": "www.home.test"}], "tls": {"acme": {"from": "ca"}}}
    web = using(2, "web", "nginx", site)
    app = guest(3, "app", routes=(Route("Chat.example.org", "/", 80),))
    public = {**site, "tls": {"acme": {}}, "proxy": False}
    elsewhere = using(4, "front", "nginx", public)
    wanted = of(authority, web, app, elsewhere)
    found = AcmeCa().inputs(AcmeCaOptions(allow=("*.Lab.test",)), authority, wanted)
    names = ["chat.example.org", "web.home.test", "www.home.test"]
    assert found["hosts"] == dict.fromkeys(names, "10.0.0.2")
    assert found["allow"] == sorted(["home.test", "*.home.test", "*.lab.test", *names])
    assert found["names"] == ["ca", "ca.home.test"]
    moved = of(authority, using(2, "web", "nginx", site, ip="10.0.0.9/24"), app)
    assert (
        AcmeCa().inputs(AcmeCaOptions(), authority, moved)["hosts"]["web.home.test"] == "10.0.0.9"
    )


def test_what_can_not_be() -> None:
    lost = guest(1, "ca", ip="dhcp")
    (found,) = AcmeCa().flaws(AcmeCaOptions(), lost, of(lost))
    assert "no static address" in found.message


def test_the_text_for_caddy() -> None:
    told = {"address": "fd00::1", "names": ["ca"], "allow": ["*.home.test", "a.b"]}
    text = caddyfile(AcmeCaOptions(title="My Lab", lifetime_days=9, port=8443), told)
    assert "skip_install_trust\n" in text
    assert "https://[fd00::1]:8443, https://ca:8443 {" in text
    assert "domains *.home.test a.b\n" in text
    assert "lifetime 9d\n" in text
    assert 'root_cn "My Lab Root"' in text
    assert "ProtectSystem=strict" in unit("/opt/caddy")
