"""The base's options, inputs and texts."""

import ssl
from typing import Any

import pytest
from pydantic import ValidationError
from tests.unit.features.guests import desired, guest

from phoenix_hypervisor.features._accounts import Account, sudo_rule
from phoenix_hypervisor.features.base_setup import (
    BaseSetup,
    BaseSetupOptions,
    certificates,
    host_lines,
    host_name,
)
from phoenix_hypervisor.model.desired import Host, HostUser
from phoenix_hypervisor.model.errors import ConfigError, ConfigureFailed
from phoenix_hypervisor.model.secret import Secret

BASE = BaseSetup()


@pytest.mark.parametrize(
    "options",
    [
        {"hostname": "a b"},
        {"hosts": {"a\nb": "10.0.0.1"}},
        {"hosts": {"a": "not an address"}},
        {"timezone": "../../etc/passwd"},
        {"timezone": "Europe/Berlin; id"},
        {"locale": "en_US.UTF-8/' -e"},
        {"packages": ["curl && id"]},
        {"packages": ["-y"]},
        {"ca_certificates": ["/etc/ssl/ca.pem"]},
        {"ca_certificates": ["../ca.pem"]},
        {"ca_certificates": [".phoenix-secrets.env"]},
        {"users": [{"name": "root:x"}]},
        {"users": [{"name": "a", "ssh_keys": ["ssh-rsa A\nssh-rsa B"]}]},
        {"users": [{"name": "a", "shell": "/bin/sh -c"}]},
        {"users": [{"name": "a", "sudoo": True}]},
    ],
)
def test_hostile_options_are_refused(options: Any) -> None:
    with pytest.raises(ValidationError):
        BaseSetupOptions.model_validate(options)


def test_a_name_for_a_guest_that_is_not_there_is_told() -> None:
    options = BaseSetupOptions.model_validate(
        {"hosts": {"a": {"address_of": 9}, "b": {"address_of": "web"}, "c": "10.0.0.1"}}
    )
    found = BASE.flaws(options, guest(1, "a"), desired(guest(2, "web", ip="dhcp")))
    assert [flaw.at for flaw in found] == [("hosts", "a"), ("hosts", "b")]
    assert "no static address" in found[1].message


def test_inputs_are_what_the_host_says() -> None:
    ada = HostUser("ada", sudo=True, password_hash=Secret(name="H"), ssh_keys=("k",))
    bob = HostUser("bob")
    host = Host(domain="x.test", timezone="Etc/UTC", users=(ada, bob))
    options = BaseSetupOptions.model_validate(
        {"users": [{"name": "bob"}], "hosts": {"db": {"address_of": 2}, "x": "10.9.9.9"}}
    )
    got = BASE.inputs(options, guest(1, "a"), desired(guest(2, "db"), host=host))
    assert got["timezone"] == "Etc/UTC"
    assert got["hosts"] == {"db": "10.0.0.2", "x": "10.9.9.9"}
    assert [user["name"] for user in got["users"]] == ["ada"]
    assert Account.model_validate(got["users"][0]).sudo
    none = BaseSetupOptions(hypervisor_users=False)
    assert BASE.inputs(none, guest(1, "a"), desired(host=host))["users"] == []


def test_a_host_user_that_can_not_be_made_is_told() -> None:
    host = Host(users=(HostUser("Ada Lovelace"),))
    with pytest.raises(ConfigError, match="'Ada Lovelace' can't be made in a"):
        BASE.inputs(BaseSetupOptions(), guest(1, "a"), desired(host=host))


def test_names() -> None:
    assert host_name("My_Guest.1") == "My-Guest.1"
    assert host_name("__") == "guest"
    assert host_lines("a", "x.test", {"db": "10.0.0.2"}) == ["127.0.1.1 a.x.test a", "10.0.0.2 db"]
    assert host_lines("a.b", "x.test", {}) == ["127.0.1.1 a.b"]


def test_who_has_no_password_is_not_asked_for_it() -> None:
    assert sudo_rule(Account(name="a", sudo=True)) == "a ALL=(ALL:ALL) NOPASSWD: ALL\n"
    known = Account(name="a", sudo=True, password_hash=Secret(name="H"))
    assert sudo_rule(known) == "a ALL=(ALL:ALL) ALL\n"


def test_certificates_are_taken_apart_and_named_by_content() -> None:
    der = b"\x30\x03\x02\x01\x05"
    pem = ssl.DER_cert_to_PEM_cert(der)
    more = ssl.DER_cert_to_PEM_cert(der + b"\x00")
    found = certificates(f"a comment\n{pem}\n{more}{pem}", "x")
    assert len(found) == 2
    for name, text in found.items():
        assert name.startswith("phoenix-ca-")
        assert name.endswith(".crt")
        assert ssl.PEM_cert_to_DER_cert(text).startswith(der)


@pytest.mark.parametrize(
    "text", ["", "hello", "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----"]
)
def test_what_is_no_certificate_is_told(text: str) -> None:
    with pytest.raises(ConfigureFailed):
        certificates(text, "x")
