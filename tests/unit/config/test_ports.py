"""No two programs of a guest take one port; the second is told at its own word."""

import json
from pathlib import Path
from typing import Any

import pytest

from phoenix_hypervisor import app
from phoenix_hypervisor.config.load import load
from phoenix_hypervisor.features._docker_options import Stack
from phoenix_hypervisor.features._docker_ports import Published, published
from phoenix_hypervisor.model.problem import Problem

LXC = "phoenix_lxc_configs.json"
GGUF = {"path": "/srv/a.gguf"}
SERVERS = [{"model": GGUF, "alias": "a"}, {"model": GGUF, "alias": "b", "name": "two"}]


def told(folder: Path, words: dict[str, Any]) -> list[Problem]:
    net = {"ip": "10.97.60.14/24"}
    one = {"name": "dk", "template": "debian-13-standard", "network_config": net, **words}
    (folder / LXC).write_text(json.dumps({"lxc_configs": {"704": one}}, indent=1))
    return [p for p in load(folder, app.vocabulary(), on="sim").problems if p.severity == "error"]


def stack(folder: Path, name: str, ports: str, more: str = "") -> None:
    (folder / "stacks" / name).mkdir(parents=True)
    text = f"services:\n  a:\n    image: busybox\n    ports: {ports}\n{more}"
    (folder / "stacks" / name / "docker-compose.yml").write_text(text)


def asgi(folder: Path) -> None:
    (folder / "app").mkdir()
    (folder / "app" / "requirements.txt").write_text("uvicorn==0.35.0\n")


TWICE: list[tuple[dict[str, Any], str, str, str]] = [
    (
        {"features": ["llamacpp", "nginx"], "llamacpp": {"model": GGUF}, "nginx": {"port": 8080}},
        "/nginx/port",
        "port 8080 for nginx",
        "llamacpp's server chat",
    ),
    (
        {"features": ["llamacpp"], "llamacpp": {"servers": [SERVERS[0], SERVERS[1]]}},
        "/llamacpp/servers/1/port",
        "port 8080 for llamacpp's server two",
        "llamacpp's server chat",
    ),
    (
        {"features": ["vllm", "python_api_service"], "vllm": {"model": "a/b"}}
        | {"python_api_service": {"source": "app"}},
        "/python_api_service/port",
        "port 8000 for python_api_service",
        "vllm's server chat",
    ),
    (
        {"features": ["redis", "ollama"], "redis": {"port": 7000}, "ollama": {"port": 7000}},
        "/ollama/port",
        "port 7000 for ollama",
        "redis",
    ),
    (
        {"features": ["nginx", "docker"], "docker": {"stacks": [{"name": "web"}]}},
        "/docker/stacks/0",
        "port 80 for the stack web",
        "nginx",
    ),
    (
        {"features": ["docker"], "docker": {"stacks": ["notes", {"name": "two"}]}},
        "/docker/stacks/1",
        "port 9000 for the stack two",
        "the stack notes",
    ),
    (
        {"features": ["postgresql", "redis"], "redis": {"port": 5432}},
        "/redis/port",
        "port 5432 for redis",
        "postgresql",
    ),
    (
        {"features": ["redis", "dnsmasq"], "redis": {"port": 53}},
        "/features/1",
        "port 53 for dnsmasq",
        "redis",
    ),
    (
        {"features": ["docker", "dnsmasq"], "docker": {"stacks": [{"name": "dns"}]}},
        "/features/1",
        "port 53/udp for dnsmasq",
        "the stack dns",
    ),
    (
        {"features": ["nginx", "acme_ca"]},
        "/features/1",
        "port 80 for acme_ca's root certificate",
        "nginx",
    ),
    (
        {"features": ["acme_ca"], "acme_ca": {"port": 80}},
        "/acme_ca/port",
        "port 80 for acme_ca",
        "acme_ca's root certificate",
    ),
    (
        {"features": ["acme_ca", "step_ca"], "step_ca": {"port": 443}},
        "/step_ca/port",
        "port 443 for step_ca",
        "acme_ca",
    ),
    (
        {"features": ["samba", "redis"], "samba": {}, "redis": {"port": 445}},
        "/redis/port",
        "port 445 for redis",
        "samba",
    ),
]


@pytest.mark.parametrize(("words", "place", "what", "first"), TWICE)
def test_the_second_is_told_at_its_own_word(
    words: dict[str, Any], place: str, what: str, first: str, tmp_path: Path
) -> None:
    asgi(tmp_path)
    stack(tmp_path, "web", "['80:80']")
    stack(tmp_path, "notes", "['9000:9000']")
    stack(tmp_path, "two", "[{target: 80, published: '9000'}]")
    stack(tmp_path, "dns", "['53:53/udp']")
    (problem,) = told(tmp_path, words)
    assert problem.pointer == f"/lxc_configs/704{place}"
    assert problem.message.startswith(f"{what} is taken already in lxc/704 (dk): {first} has it (")
    last = place.rpartition("/")[2]
    line = (tmp_path / LXC).read_text().splitlines()[problem.line - 1]
    assert last.isdigit() or f'"{last}"' in line or '"alias": "b"' in line or "{" in line


APART: list[dict[str, Any]] = [
    {"features": ["llamacpp", "nginx"], "llamacpp": {"model": GGUF}},
    {
        "features": ["llamacpp", "redis"],
        "llamacpp": {"model": GGUF, "port": 7000, "host": "10.97.60.14"},
        "redis": {"port": 7000},
    },
    {"features": ["python_api_service", "vllm"], "vllm": {"model": "a/b"}},
    {"features": ["docker"], "docker": {"stacks": ["notes", "udp"]}},
    {
        "features": ["redis", "dnsmasq"],
        "redis": {"port": 53},
        "dnsmasq": {"listen": ["10.97.60.14"]},
    },
    {"features": ["step_ca", "nginx"], "step_ca": {"port": 443}},
]


@pytest.mark.parametrize("words", APART)
def test_what_does_not_collide_is_not_told(words: dict[str, Any], tmp_path: Path) -> None:
    stack(tmp_path, "notes", "['9000:9000']")
    stack(tmp_path, "udp", "['9000:9000/udp', '${PORT}:9000', '80', '127.0.0.2:9001:1']")
    assert told(tmp_path, words) == []


def test_options_that_are_refused_take_no_port(tmp_path: Path) -> None:
    words = {"features": ["redis", "ollama"], "ollama": {"port": 6379}, "redis": {"port": "x"}}
    assert [p.pointer for p in told(tmp_path, words)] == ["/lxc_configs/704/redis/port"]


def test_ports_of_a_compose_file(tmp_path: Path) -> None:
    more = """\
    profiles: [debug]
  b:
    ports: ["8000-8001:80-81", "9000-9009:80", 22:22, "[::1]:53:53/udp"]
  c:
    ports: !reset ["1:1"]
  d:
    ports: [{target: 1, published: 70, host_ip: 127.0.0.1, protocol: udp}, {target: 2}]
"""
    stack(tmp_path, "s", "['10:10']", more)
    rest = [
        Published(8000),
        Published(8001),
        Published(22),
        Published(53, "::1", "udp"),
        Published(70, "127.0.0.1", "udp"),
    ]
    assert published(tmp_path, Stack(name="s")) == rest
    assert published(tmp_path, Stack(name="s", profiles=("debug",))) == [Published(10), *rest]
    assert published(tmp_path, Stack(name="none")) == []
