"""Firewalls follow from who uses a model server, and change nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.features.guests import desired, guest

from phoenix_hypervisor.app.opening import vocabulary
from phoenix_hypervisor.config.desire.guarded import MARK, guarded
from phoenix_hypervisor.config.load import Loaded, load
from phoenix_hypervisor.model import address
from phoenix_hypervisor.model.desired import Firewall, FirewallRule

ENGINE = address.lxc(2)
OWN = FirewallRule("in", "ACCEPT", "10.9.0.0/16", proto="tcp", ports=("8000",))


def allow(source: str, port: int = 8000) -> FirewallRule:
    return FirewallRule("in", "ACCEPT", source, None, "tcp", (str(port),), MARK)


def shut(port: int = 8000) -> FirewallRule:
    return FirewallRule("in", "REJECT", None, None, "tcp", (str(port),), MARK)


def rules(*others: Any, ports: tuple[int, ...] = (8000,), **engine: Any) -> Firewall | None:
    """The firewall of guest 2; guest 3 is a proxy that reaches its port 8000."""
    wanted = desired(guest(2, "engine", **engine), *others)
    reached = {address.lxc(3): [(ENGINE, 8000)]}
    return guarded(wanted, {ENGINE: ports}, reached).desired.guests[ENGINE].firewall


def test_a_proxy_and_dependents_may_and_nobody_else() -> None:
    dependent = guest(10, "chat", dependencies=(ENGINE,))
    found = rules(dependent, guest(3, "web"), guest(4, "other"))
    assert found == Firewall(True, (allow("10.0.0.3,10.0.0.10"), shut()), "ACCEPT", "ACCEPT")


def test_each_port_has_its_own_users() -> None:
    found = rules(guest(3, "web"), guest(5, "c", dependencies=(ENGINE,)), ports=(9000, 8000))
    assert found is not None
    assert found.rules == (
        *(allow("10.0.0.3,10.0.0.5"), shut()),
        *(allow("10.0.0.5", 9000), shut(9000)),
    )


def test_families_of_addresses_stand_in_rules_of_their_own() -> None:
    found = rules(guest(3, "web"), guest(5, "c", ip="fd00::5/64", dependencies=(ENGINE,)))
    assert found is not None
    assert found.rules == (allow("10.0.0.3"), allow("fd00::5"), shut())


def test_the_guests_own_rules_come_first_and_its_policies_stay() -> None:
    own = Firewall(True, (OWN,), "DROP", "REJECT")
    assert rules(guest(3, "web"), firewall=own) == Firewall(
        True, (OWN, allow("10.0.0.3"), shut()), "DROP", "REJECT"
    )


def test_rules_that_were_made_here_and_adopted_are_not_doubled() -> None:
    own = Firewall(True, (allow("10.0.0.77"), shut(), OWN), "ACCEPT")
    found = rules(guest(3, "web"), firewall=own)
    assert found is not None
    assert found.rules == (OWN, allow("10.0.0.3"), shut())


def test_a_firewall_that_is_off_stays_off() -> None:
    own = Firewall(False, (OWN,))
    assert rules(guest(3, "web"), firewall=own) == own


def test_a_server_that_nobody_of_the_files_uses_is_left_open() -> None:
    assert rules(guest(4, "other")) is None


def test_a_proxy_in_the_same_guest_needs_no_rule_but_others_are_refused() -> None:
    wanted = desired(guest(2, "all"))
    found = guarded(wanted, {ENGINE: [8000]}, {ENGINE: [(ENGINE, 8000)]})
    assert found.desired.guests[ENGINE].firewall == Firewall(True, (shut(),), "ACCEPT", "ACCEPT")


def test_users_without_a_static_address_are_told() -> None:
    web = guest(3, "web", ip="dhcp")
    wanted = desired(guest(2, "engine"), web)
    found = guarded(wanted, {ENGINE: [8000]}, {web.address: [(ENGINE, 8000)]})
    assert [(one.guest, one.server.name) for one in found.unnamed] == [(web, "engine")]


def words(number: int, name: str, **more: Any) -> dict[str, Any]:
    network = {"name": "eth0", "bridge": "br0", "ip": f"10.0.0.{number}/24", "gw": "10.0.0.1"}
    return {
        "name": name,
        "template": "debian-13-standard",
        "memory_mb": 512,
        "network_config": network,
        **more,
    }


def loaded(folder: Path, **changed: Any) -> Loaded:
    """A proxy, a model server behind it, and a guest that has nothing to do with them."""
    route = {"port": 8000, "llm": {"models": ["tiny"]}}
    guests = {
        "101": words(11, "web", features=["nginx"]),
        "102": words(12, "chat", routes=[route]),
        "103": words(13, "other"),
    }
    for key, more in changed.items():
        guests[key.removeprefix("_")] |= more
    (folder / "phoenix_lxc_configs.json").write_text(json.dumps({"lxc_configs": guests}))
    return load(folder, vocabulary(), on="sim")


def test_files_with_a_route_for_a_model_server_get_the_rules(tmp_path: Path) -> None:
    found = loaded(tmp_path).desired
    assert found is not None
    assert [one.firewall for one in found.guests.values()] == [
        None,
        Firewall(True, (allow("10.0.0.11"), shut()), "ACCEPT", "ACCEPT"),
        None,
    ]


def test_whoever_is_told_its_address_may_use_it(tmp_path: Path) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "api/main.py").touch()
    (tmp_path / "api/requirements.txt").touch()
    service = {"name": "api", "source": "api", "environment": {"LLM": {"address_of": "chat"}}}
    user = {"features": ["python_api_service"], "python_api_service": service}
    found = loaded(tmp_path, _103=user).desired
    assert found is not None
    firewall = found.guests[address.lxc(102)].firewall
    assert firewall is not None
    assert firewall.rules == (allow("10.0.0.11,10.0.0.13"), shut())


def test_files_without_a_model_server_get_none(tmp_path: Path) -> None:
    found = loaded(tmp_path, _102={"routes": [{"port": 8000}]}).desired
    assert found is not None
    assert not any(one.firewall for one in found.guests.values())


@pytest.mark.parametrize(
    ("options", "routes", "expected"),
    [
        ({}, [9090], (allow("10.0.0.11", 9090), shut(9090))),
        (
            {},
            [9090, 9093],
            tuple(one for p in (9090, 9093) for one in (allow("10.0.0.11", p), shut(p))),
        ),
        ({}, [], None),
        ({"open": True}, [9090], None),
        ({"open": False}, [9090], None),
    ],
)
def test_prometheus_which_asks_for_no_login_is_there_for_its_proxies_alone(
    tmp_path: Path,
    options: dict[str, Any],
    routes: list[int],
    expected: tuple[FirewallRule, ...] | None,
) -> None:
    published = [{"host": f"p{port}.example.com", "port": port} for port in routes]
    more = {"features": ["monitoring"], "monitoring": options, "routes": published}
    found = loaded(tmp_path, _102={"routes": []}, _103=more).desired
    assert found is not None
    firewall = found.guests[address.lxc(103)].firewall
    assert firewall == (Firewall(True, expected, "ACCEPT", "ACCEPT") if expected else None)


def test_monitoring_tells_all_mistakes_at_their_places(tmp_path: Path) -> None:
    dhcp = {"network_config": {"name": "eth0", "bridge": "br0", "ip": "dhcp"}}
    lost = {**dhcp, "features": ["exporters"]}
    scrape = {"name": "app", "targets": ["10.0.0.7:9000"]}
    options = {"phoenix": [{"address": {"address_of": "nobody"}}], "scrape": [scrape, scrape]}
    more = {"features": ["monitoring"], "monitoring": options}
    found = loaded(tmp_path, _101=lost, _102={**lost, "routes": []}, _103=more)
    assert [one.pointer for one in found.problems if one.severity == "error"] == [
        "/lxc_configs/101/network_config/ip",
        "/lxc_configs/102/network_config/ip",
        "/lxc_configs/103/monitoring/phoenix/0/address",
        "/lxc_configs/103/monitoring/scrape/1/name",
    ]


def test_monitoring_has_no_replicas(tmp_path: Path) -> None:
    more = {"features": ["monitoring"], "replicas": 2, "replica_ids": "110-111"}
    found = loaded(tmp_path, _103={**more, "replica_ips": "10.0.0.50-10.0.0.51"})
    assert "monitoring keeps its measurements" in "".join(one.message for one in found.problems)


def test_a_proxy_without_an_address_is_an_error_at_its_place(tmp_path: Path) -> None:
    network = {"name": "eth0", "bridge": "br0", "ip": "dhcp"}
    found = loaded(tmp_path, _101={"network_config": network})
    assert found.desired is None
    (problem,) = [one for one in found.problems if one.severity == "error"]
    assert problem.pointer == "/lxc_configs/101/network_config/ip"
    assert "uses a server of chat" in problem.message


@pytest.mark.parametrize(
    ("check", "told"),
    [
        ({"tcp": {"port": 8000}}, True),
        ({"http": {"port": 8000, "path": "/health"}}, True),
        ({"tcp": {"port": 8000, "from": "inside"}}, False),
        ({"tcp": {"port": 22}}, False),
    ],
)
def test_a_check_that_the_rules_shut_out_is_warned_of(
    tmp_path: Path, check: dict[str, Any], told: bool
) -> None:
    found = loaded(tmp_path, _102={"checks": [check]})
    assert found.desired is not None
    assert ["/lxc_configs/102/checks/0"] * told == [one.pointer for one in found.problems]
