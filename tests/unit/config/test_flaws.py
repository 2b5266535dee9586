"""What real features say of a whole folder: all at once, each with its place in the files."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from phoenix_hypervisor import app
from phoenix_hypervisor.config.load import load
from phoenix_hypervisor.model.problem import Problem

LXC = "phoenix_lxc_configs.json"
TEMPLATE = {"template": "debian-13-standard"}


def told(folder: Path, guests: Mapping[str, object]) -> list[Problem]:
    (folder / LXC).write_text(json.dumps({"lxc_configs": guests}, indent=1))
    return [p for p in load(folder, app.vocabulary()).problems if p.severity == "error"]


def bad() -> dict[str, dict[str, object]]:
    return {
        "101": {
            "name": "web",
            **TEMPLATE,
            "network_config": {"ip": "10.0.0.2/24"},
            "features": ["nginx"],
            "nginx": {"default_site": "none"},
        },
        "102": {
            "name": "api",
            **TEMPLATE,
            "network_config": {"ip": "dhcp"},
            "dependencies": [103, 104],
            "features": ["python_api_service"],
            "python_api_service": {"environment": {"A": "x", "DB": {"address_of": "dbb"}}},
            "routes": [{"port": 8000}],
        },
        "103": {
            "name": "db",
            **TEMPLATE,
            "features": ["postgresql"],
            "postgresql": {"databases": [{"name": "shop", "owner": "nobody"}]},
        },
        "104": {"name": "cache", **TEMPLATE, "features": ["redis"]},
        "105": {
            "name": "chat",
            **TEMPLATE,
            "network_config": {"ip": "dhcp"},
            "traefik_service": {"name": "chat", "port": 80},
        },
    }


def test_all_are_told_in_one_pass_with_their_places(tmp_path: Path) -> None:
    found = told(tmp_path, bad())
    assert {(p.pointer, p.message.partition(":")[0]) for p in found} == {
        (
            "/lxc_configs/101/nginx/default_site",
            "nginx.default_site 'none' is not one of nginx.sites",
        ),
        (
            "/lxc_configs/102/network_config/ip",
            "lxc/102 (api) has no static address, but db lets its dependents in by address",
        ),
        (
            "/lxc_configs/102/network_config/ip",
            "lxc/102 (api) has no static address, but cache lets its dependents in by address",
        ),
        (
            "/lxc_configs/102/python_api_service/environment/DB",
            "there is no guest 'dbb'; guests are",
        ),
        (
            "/lxc_configs/102/routes/0",
            "lxc/102 (api) has no static address, but api publishes /",
        ),
        (
            "/lxc_configs/103/postgresql/databases/0/owner",
            "postgresql",
        ),
        (
            "/lxc_configs/104/features/0",
            "other guests depend on this Redis, but it has no password",
        ),
        (
            "/lxc_configs/105/traefik_service",
            "lxc/105 (chat) has no static address, but chat publishes chat/",
        ),
    }
    lines = (tmp_path / LXC).read_text().splitlines()
    for problem in found:
        key = problem.pointer.rpartition("/")[2]
        assert key.isdigit() or f'"{key}"' in lines[problem.line - 1]


def test_other_mistakes_hide_them_only_where_they_would_follow_from_them(tmp_path: Path) -> None:
    guests = bad()
    everything = {p.message for p in told(tmp_path, guests)}
    guests["105"]["boot_order"] = "first"
    assert everything < {p.message for p in told(tmp_path, guests)}
    guests["105"]["name"] = "d b"  # the guest that is meant could be this one
    assert not everything & {p.message for p in told(tmp_path, guests)}


def test_a_feature_with_refused_options_is_not_asked(tmp_path: Path) -> None:
    guests = bad()
    guests["101"]["nginx"] = {"sites": ["../x"], "default_site": "x"}
    assert not [p for p in told(tmp_path, guests) if "default_site" in p.message]


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"init_sql": ["none.sql"]}, "/init_sql/0"),
        ({"init_sql": ["link.sql"]}, "/init_sql/0"),
    ],
)
def test_files_of_options_are_looked_for(
    options: dict[str, object], pointer: str, tmp_path: Path
) -> None:
    (tmp_path / "link.sql").symlink_to("/etc/passwd")
    database = {"databases": [{"name": "a", **options}]}
    guest = {"name": "db", **TEMPLATE, "features": ["postgresql"], "postgresql": database}
    [problem] = told(tmp_path, {"101": guest})
    assert problem.pointer == f"/lxc_configs/101/postgresql/databases/0{pointer}"


def test_certificates_are_text_or_files(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    options = {"ca_certificates": ["ca.pem", "-----BEGIN CERTIFICATE-----\nMII", "none.pem"]}
    guest = {"name": "a", **TEMPLATE, "features": ["base_setup"], "base_setup": options}
    [problem] = told(tmp_path, {"101": guest})
    assert problem.pointer.endswith("/ca_certificates/2")
    assert problem.message == "none.pem is not there"


def test_a_route_to_a_model_server_waits_for_words_that_are_right(tmp_path: Path) -> None:
    """Its feature's options say which models there are: one mistake there is told once."""
    network = {"ip": "10.0.0.2/24"}
    guests: dict[str, dict[str, object]] = {
        "101": {"name": "web", **TEMPLATE, "network_config": network, "features": ["nginx"]},
        "102": {
            "name": "llm",
            **TEMPLATE,
            "network_config": {"ip": "10.0.0.3/24"},
            "features": ["redis"],
            "redis": {"port": 0},
            "routes": [{"llm": True}],
        },
    }
    assert [p.pointer for p in told(tmp_path, guests)] == ["/lxc_configs/102/redis/port"]
    guests["102"]["redis"] = {}
    assert [p.pointer for p in told(tmp_path, guests)] == ["/lxc_configs/102/routes/0"]
