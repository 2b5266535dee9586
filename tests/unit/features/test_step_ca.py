"""step-ca: exactly what is installed, asked and configured; it could not be run."""

import json
import shlex
from typing import Any

import pytest
from tests.unit.features.guests import guest
from tests.unit.features.test_acme_ca import of, using

from phoenix_hypervisor.features.step_ca import (
    StepCa,
    StepCaOptions,
    answers,
    make,
    settings,
    sources,
    unit,
)
from phoenix_hypervisor.model.desired import Desired, Host
from phoenix_hypervisor.model.errors import ConfigError
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.names import AuthorityNames, Names

TOLD: dict[str, Any] = {
    "title": "Halcyon CA",
    "provisioner": "admin@halcyon.example",
    "names": ["10.0.0.1", "ca.internal.halcyon.example", "ca"],
    "hosts": {},
}
# As `step ca init --acme` writes it: smallstep.com/docs/step-ca/configuration.
MADE = {
    "root": "/etc/step-ca/certs/root_ca.crt",
    "address": ":9000",
    "dnsNames": ["localhost"],
    "db": {"type": "badgerv2", "dataSource": "/etc/step-ca/db"},
    "authority": {
        "provisioners": [
            {"type": "JWK", "name": "admin", "key": {"kty": "EC"}},
            {"type": "ACME", "name": "acme", "claims": {"allowRenewalAfterExpiry": True}},
        ]
    },
}


def test_what_it_is_called() -> None:
    authority = using(1, "ca", "step_ca")
    plain = StepCa().inputs(StepCaOptions(), authority, of(authority))
    assert plain["title"] == "Phoenix"
    assert plain["provisioner"] == "admin"
    assert plain["names"] == ["10.0.0.1", "ca", "ca.home.test"]
    names = AuthorityNames("Halcyon CA", "ca.internal.halcyon.example", "admin@halcyon.example")
    host = Host(domain="home.test", setup=HostSetup(names=Names(authority=names)))
    site = {"sites": [{"name": "a", "host": "www.home.test"}], "tls": {"acme": {"from": "ca"}}}
    web = using(2, "web", "nginx", site)
    old = of(authority, web)
    wanted = Desired(old.folder, old.stack, host=host, guests=old.guests)
    found = StepCa().inputs(StepCaOptions(), authority, wanted)
    assert found["title"] == "Halcyon CA"
    assert found["names"][:2] == ["10.0.0.1", "ca.internal.halcyon.example"]
    assert found["hosts"] == {"www.home.test": "10.0.0.2", "web.home.test": "10.0.0.2"}
    assert StepCa().inputs(StepCaOptions(title="Mine"), authority, wanted)["title"] == "Mine"
    lost = guest(1, "ca", ip="dhcp")
    [flaw] = StepCa().flaws(StepCaOptions(), lost, of(lost))
    assert "no static address" in flaw.message


def test_its_packages() -> None:
    assert sources("https://mirror.test/debian").splitlines()[1:] == [
        "Types: deb",
        "URIs: https://mirror.test/debian",
        "Suites: debs",
        "Components: main",
        "Signed-By: /etc/apt/keyrings/smallstep.asc",
    ]


def test_it_is_made_once_and_whole() -> None:
    text = make(StepCaOptions(port=8443), TOLD)
    [line] = [one for one in text.replace("\\\n", " ").splitlines() if "ca init" in one]
    words = shlex.split(line)
    assert words[words.index("--name") + 1] == "Halcyon CA"
    assert words[words.index("--address") + 1] == ":8443"
    assert [words[at + 1] for at, word in enumerate(words) if word == "--dns"] == TOLD["names"]
    assert "--acme" in words
    assert "--deployment-type" in words
    assert words[words.index("--password-file") + 1] == "/etc/step-ca/password.txt"
    # What was made by half goes: the next run begins anew.
    assert text.index("trap 'half' EXIT") < text.index("ca init") < text.index("trap - EXIT")


def test_its_configuration_keeps_what_is_not_ours() -> None:
    found = json.loads(settings(json.dumps(MADE), StepCaOptions(lifetime_days=3), TOLD))
    assert found["address"] == ":443"
    assert found["dnsNames"] == TOLD["names"]
    assert found["db"] == MADE["db"]
    jwk, acme = found["authority"]["provisioners"]
    assert jwk == {"type": "JWK", "name": "admin", "key": {"kty": "EC"}}
    assert acme["claims"] == {
        "allowRenewalAfterExpiry": True,
        "maxTLSCertDuration": "72h",
        "defaultTLSCertDuration": "72h",
    }
    again = json.dumps(found)
    assert json.loads(settings(again, StepCaOptions(lifetime_days=3), TOLD)) == found


def test_one_without_acme_gets_it() -> None:
    bare: dict[str, Any] = {"authority": {"provisioners": []}}
    found = json.loads(settings(json.dumps(bare), StepCaOptions(), TOLD))
    [acme] = found["authority"]["provisioners"]
    assert (acme["type"], acme["name"]) == ("ACME", "acme")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"authority": 1}', "{}"])
def test_what_is_no_configuration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not a configuration of step-ca"):
        settings(text, StepCaOptions(), TOLD)


def test_its_unit_and_its_health() -> None:
    text = unit()
    assert (
        "ExecStart=/usr/bin/step-ca /etc/step-ca/config/ca.json "
        "--password-file /etc/step-ca/password.txt\n"
    ) in text
    assert "Environment=STEPPATH=/etc/step-ca\n" in text
    assert "Restart=always\n" in text
    assert "https://127.0.0.1:8443/health" in answers(StepCaOptions(port=8443))
    paths = [check["http"]["path"] for check in StepCa().checks(StepCaOptions(), guest(1, "ca"))]
    assert paths == ["/health", "/acme/acme/directory"]
