"""dnsmasq: the names that it answers, its configuration, and what can't be."""

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from tests.unit.features.guests import desired, guest

from phoenix_hypervisor.features._dnsmasq_conf import Served, accept, conf, hosts
from phoenix_hypervisor.features.dnsmasq import Dnsmasq, DnsmasqOptions
from phoenix_hypervisor.features.nginx import NginxOptions
from phoenix_hypervisor.model import address
from phoenix_hypervisor.model.desired import Bridge, Desired, FeatureUse, Host, Nic, Route
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.names import DnsServer, Names, Record

NAMES = Names(records=(Record("old.lab.test", "10.0.0.99"),), zones=("lab.test",))
HOST = Host(domain="home.test", setup=HostSetup(names=NAMES))


def told(wanted: Desired, number: int = 1, **options: Any) -> dict[str, Any]:
    """What the guest with that number would answer."""
    chosen = DnsmasqOptions.model_validate(options)
    return dict(Dnsmasq().inputs(chosen, wanted.guests[address.lxc(number)], wanted))


def test_guests_and_the_files_own_records() -> None:
    wanted = desired(
        guest(1, "Dns"),
        guest(2, "db.lab.test"),
        guest(3, "drifter", ip="dhcp"),
        guest(4, "template", is_template=True),
        host=HOST,
    )
    found = told(wanted, records={"NAS.home.test": {"address_of": "Dns"}, "*.x.test": "10.0.0.7"})
    assert found["records"] == {
        "dns.home.test": ["10.0.0.1"],
        "dns": ["10.0.0.1"],
        "db.lab.test": ["10.0.0.2"],
        "old.lab.test": ["10.0.0.99"],
        "nas.home.test": ["10.0.0.1"],
        "*.x.test": ["10.0.0.7"],
    }
    assert found["domain"] == "home.test"
    assert found["zones"] == ["lab.test"]
    assert found["listen"] == ["127.0.0.1", "10.0.0.1"]


def test_names_that_a_proxy_serves_lead_to_it() -> None:
    site = {"sites": [{"name": "a", "host": ["WWW.home.test", "*.pages.test"]}]}
    proxy = guest(2, "web", features=(FeatureUse("nginx", NginxOptions.model_validate(site)),))
    app = guest(3, "app", routes=(Route("chat.home.test", "/", 80), Route("dns", "/", 80)))
    wanted = desired(guest(1, "dns"), proxy, app, host=HOST)
    found = told(wanted)["records"]
    assert found["www.home.test"] == found["*.pages.test"] == ["10.0.0.2"]
    assert found["chat.home.test"] == ["10.0.0.2"]
    assert found["dns"] == ["10.0.0.1"]  # a guest's own name is its own
    assert "chat.home.test" not in told(wanted, routes=False)["records"]


def test_another_guests_address_changes_what_is_answered() -> None:
    before = told(desired(guest(1, "dns"), guest(2, "web")))
    after = told(desired(guest(1, "dns"), guest(2, "web", ip="10.0.0.77/24")))
    assert before != after


def test_whom_it_asks() -> None:
    nics = (Nic("eth0", "br0", "10.0.0.1/24", nameservers=("10.0.0.1", "9.9.9.9", "127.0.0.1")),)
    server = replace(guest(1, "dns"), nics=nics)
    assert told(desired(server))["upstream"] == ["9.9.9.9"]
    other = guest(2, "up")
    assert told(desired(server, other), upstream=[{"address_of": "up"}])["upstream"] == ["10.0.0.2"]


def test_what_can_not_be() -> None:
    lost = guest(1, "dns", ip="dhcp")
    options = DnsmasqOptions.model_validate(
        {"records": {"a.b": {"address_of": "nobody"}}, "upstream": [{"address_of": "dns"}]}
    )
    found = {flaw.at: flaw.message for flaw in Dnsmasq().flaws(options, lost, desired(lost))}
    assert "no guest 'nobody'" in found["records", "a.b"]
    assert "no static address" in found["upstream", 0]
    assert found[()] == "dns has no static address to answer at"
    server = guest(1, "dns")
    itself = DnsmasqOptions(upstream=(ip_address("10.0.0.1"),))
    [flaw] = Dnsmasq().flaws(itself, server, desired(server))
    assert flaw.message == "the DNS server would ask itself"
    assert flaw.at == ("upstream", 0)


def test_the_host_gets_it_where_the_files_say_so() -> None:
    plain = desired(guest(1, "a"), host=HOST)
    assert Dnsmasq().for_host(plain) is None
    names = Names(dns=DnsServer(("9.9.9.9",), ("lab.test",)), zones=("lab.test",))
    bridge = Bridge(address.bridge("vmbr0"), "vmbr0", "10.0.0.254/24")
    bare = Bridge(address.bridge("vmbr1"), "vmbr1")
    wanted = Desired(
        plain.folder,
        plain.stack,
        host=Host(setup=HostSetup(names=names)),
        guests=plain.guests,
        bridges={one.address: one for one in (bridge, bare)},
    )
    options = Dnsmasq().for_host(wanted)
    assert options is not None
    assert [str(one) for one in options.listen] == ["127.0.0.1", "10.0.0.254"]
    assert [str(one) for one in options.upstream] == ["9.9.9.9"]
    assert options.zones == ("lab.test",)


def test_the_configuration() -> None:
    records = {"web.home.test": ["10.0.0.2"], "web": ["10.0.0.2"], "*.pages.test": ["10.0.0.3"]}
    served = Served(("127.0.0.1", "fd00::1"), 53, "home.test", ("lab.test",), ("9.9.9.9",), "a=1")
    lines = conf(served, records).splitlines()
    assert "bind-dynamic" in lines
    assert lines.count("no-resolv") == lines.count("no-hosts") == 1
    assert [
        line for line in lines if line.startswith(("listen", "local", "server", "address"))
    ] == [
        "listen-address=127.0.0.1",
        "listen-address=fd00::1",
        "local=/home.test/",
        "local=/lab.test/",
        "server=9.9.9.9",
        "address=/pages.test/10.0.0.3",
    ]
    assert lines[-1] == "a=1"
    assert hosts(records).splitlines()[1:] == ["10.0.0.2 web.home.test web"]


def test_names_alone_need_no_restart() -> None:
    assert "restart" not in accept(["127.0.0.1"], 53, restart=False).replace(
        "reload-or-restart", ""
    )
    whole = accept(["127.0.0.1", "fd00::1"], 5353, restart=True)
    assert "sport = :5353" in whole
    assert whole.index("--test") < whole.index("taken already") < whole.index("systemctl restart")
