"""dnsmasq: guests find each other by name, and nobody loses his DNS by a mistake."""

from dataclasses import replace

import pytest
from tests.support import dns
from tests.support.featurebench import Bench

pytestmark = pytest.mark.incus

RECORDS = {"records": {"*.apps.phoenix.test": "10.9.9.9", "printer.phoenix.test": "10.9.9.8"}}
PID = "systemctl show -p MainPID --value phoenix-dns"


@pytest.fixture
def server(names_bench: Bench) -> str:
    """A DNS server in `spare`, as its options were first, and its address."""
    names_bench.deploy("spare", "dnsmasq", RECORDS)
    return names_bench.ip("spare")


def test_guests_are_found_by_name(names_bench: Bench, server: str) -> None:
    web = names_bench.ip("web")
    assert dns.ask(server, "web.phoenix.test") == (0, [web])
    assert dns.ask(server, "web") == (0, [web])
    assert dns.ask(server, "WEB.Phoenix.Test") == (0, [web])
    back = ".".join(reversed(web.split("."))) + ".in-addr.arpa"
    assert dns.ask(server, back, dns.PTR) == (0, ["web.phoenix.test"])
    assert dns.ask(server, "printer.phoenix.test") == (0, ["10.9.9.8"])
    assert dns.ask(server, "any.apps.phoenix.test") == (0, ["10.9.9.9"])
    assert dns.ask(server, "nobody.phoenix.test") == (3, [])


def test_a_second_deploy_changes_nothing(names_bench: Bench, server: str) -> None:
    assert names_bench.deploy("spare", "dnsmasq", RECORDS).changed == 0
    assert not names_bench.examine("spare", "dnsmasq", RECORDS).drifted


def test_it_listens_where_it_should_and_nowhere_else(names_bench: Bench, server: str) -> None:
    lines = names_bench.sh("spare", "ss -Hlntu 'sport = :53' | awk '{print $5}'").split()
    assert set(lines) == {f"{server}:53", "127.0.0.1:53"}


def test_another_guests_address_is_answered_without_a_restart(
    names_bench: Bench, server: str
) -> None:
    before, pid = names_bench.guests["web"], names_bench.sh("spare", PID)
    moved = server.rpartition(".")[0] + ".77"
    nic = replace(before.nics[0], address=f"{moved}/24")
    names_bench.change("web", nics=(nic,))
    try:
        assert names_bench.examine("spare", "dnsmasq", RECORDS).drifted
        names_bench.deploy("spare", "dnsmasq", RECORDS)
        assert dns.ask(server, "web.phoenix.test") == (0, [moved])
        assert names_bench.sh("spare", PID) == pid
    finally:
        names_bench.change("web", nics=before.nics)


def test_the_rest_is_asked_upstream_but_for_own_zones(names_bench: Bench, server: str) -> None:
    far = {"records": {"far.example.org": "10.8.8.8", "x.lab.test": "10.8.8.7"}}
    names_bench.deploy("client", "dnsmasq", far)
    asked = {"upstream": [{"address_of": "client"}], "zones": ["lab.test"]}
    assert dns.ask(server, "far.example.org")[0] == 5
    names_bench.deploy("spare", "dnsmasq", asked)
    # RFC 1918 answers from outside are kept: they are what a server of one's own says.
    assert dns.ask(server, "far.example.org") == (0, ["10.8.8.8"])
    assert dns.ask(server, "x.lab.test") == (3, [])


def test_a_bad_configuration_keeps_the_old_one(names_bench: Bench, server: str) -> None:
    said = names_bench.refused("spare", "dnsmasq", {**RECORDS, "extra": "no-such-word=1"})
    assert "no-such-word" in said or "bad option" in said
    assert dns.ask(server, "printer.phoenix.test") == (0, ["10.9.9.8"])
    names_bench.sh("spare", "systemctl restart phoenix-dns")
    assert dns.ask(server, "printer.phoenix.test") == (0, ["10.9.9.8"])


def test_who_holds_the_port_is_told_and_left_alone(names_bench: Bench, server: str) -> None:
    names_bench.sh(
        "spare",
        "apt-get install -y -q --no-install-recommends systemd-resolved >/dev/null 2>&1\n"
        "mkdir -p /etc/systemd/resolved.conf.d; systemctl stop phoenix-dns\n"
        f"printf '[Resolve]\\nDNSStubListenerExtra={server}\\n'"
        " > /etc/systemd/resolved.conf.d/x.conf\nsystemctl restart systemd-resolved",
    )
    try:
        said = names_bench.refused("spare", "dnsmasq", {**RECORDS, "zones": ["new.test"]})
        assert f"Port 53 of {server} is taken already" in said
        assert "systemd-resolve" in said
        assert "DNSStubListener=no" in said
    finally:
        names_bench.sh(
            "spare",
            "rm /etc/systemd/resolved.conf.d/x.conf; systemctl restart systemd-resolved",
        )
    # Its usual stub, at 127.0.0.53, is in nobody's way.
    names_bench.deploy("spare", "dnsmasq", RECORDS)
    assert dns.ask(server, "printer.phoenix.test") == (0, ["10.9.9.8"])
    assert "127.0.0.53%lo:53" in names_bench.sh("spare", "ss -Hlnu 'sport = :53'")


def test_what_is_changed_by_hand_is_seen_and_mended(names_bench: Bench, server: str) -> None:
    names_bench.sh(
        "spare",
        "echo '10.6.6.6 web.phoenix.test' > /etc/phoenix/dns/hosts; systemctl stop phoenix-dns",
    )
    drift = names_bench.examine("spare", "dnsmasq", RECORDS)
    assert drift.drifted
    assert any("/etc/phoenix/dns/hosts" in one.what for one in drift.differences)
    names_bench.deploy("spare", "dnsmasq", RECORDS)
    assert dns.ask(server, "web.phoenix.test") == (0, [names_bench.ip("web")])
