"""The host's own DNS server for real: planned, applied, used, and mended after a change by hand."""

import json

import pytest
from tests.support import dns
from tests.support.host_machine import HostMachine

pytestmark = pytest.mark.incus

UNIT = "phoenix-dns.service"


@pytest.fixture
def named(node: HostMachine) -> HostMachine:
    """A host with a DNS server and one guest in the files, on whose bridge the host has its own
    address: here that of the container which plays it.
    """
    node.words = {
        "domain_name": "home.test",
        "dns_server": {
            "enabled": True,
            "authoritative_zones": [
                {
                    "zone_name": "lab.test",
                    "records": [{"hostname": "nas", "ip_internal": "10.1.1.9"}],
                }
            ],
        },
    }
    own = node.bench.ip(node.name)
    network = {"name": "eth0", "bridge": "vmbr0", "gw": own}
    guest = {
        "name": "app",
        "template": "debian-13-standard",
        "memory_mb": 256,
        "storage_pool": "pool",
        "network_config": network | {"ip": f"{own.rpartition('.')[0]}.201/24"},
    }
    node.folder.mkdir(exist_ok=True)
    (node.folder / "phoenix_lxc_configs.json").write_text(
        json.dumps({"lxc_configs": {"201": guest}})
    )
    return node


def test_guests_ask_the_host_by_its_address_on_their_bridge(named: HostMachine) -> None:
    own = named.bench.ip(named.name)
    assert set(named.pending()) == {"dnsmasq"}
    named.apply()
    assert dns.ask(own, "app.home.test") == (0, [f"{own.rpartition('.')[0]}.201"])
    assert dns.ask(own, "nas.lab.test") == (0, ["10.1.1.9"])
    assert dns.ask(own, "other.lab.test") == (3, [])
    listening = named.sh("ss -Hlntu 'sport = :53' | awk '{print $5}'").split()
    assert set(listening) == {f"{own}:53", "127.0.0.1:53"}
    before = named.sh("cat /etc/resolv.conf")
    named.sh(f"echo > /etc/phoenix/dns/hosts; systemctl stop {UNIT}")
    found = named.pending()["dnsmasq"]
    assert "file /etc/phoenix/dns/hosts" in found
    named.apply()
    assert dns.ask(own, "app.home.test")[0] == 0
    assert named.sh("cat /etc/resolv.conf") == before
    named.words = {"domain_name": "home.test"}
    (change,) = named.plan()["changes"]
    assert (change["address"], change["action"]) == ("host/dnsmasq", "stop")
    named.apply()
    assert named.sh("ss -Hlntu 'sport = :53'") == ""
    assert named.sh(f"systemctl cat {UNIT} 2>&1 || true").startswith("No files found")
