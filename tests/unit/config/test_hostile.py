"""Hostile values are refused when the files are read: at their place, with a hint, in one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from phoenix_hypervisor import app
from phoenix_hypervisor.config.folder import HYPERVISOR, LXC
from phoenix_hypervisor.config.load import load

BASE: dict[str, Any] = {"name": "web", "template": "debian-13-standard"}
NETWORK = {"name": "eth0", "bridge": "br0", "ip": "10.0.0.5/24", "gw": "10.0.0.1"}
SHELL = "a; touch /tmp/x"


def nginx(**words: Any) -> dict[str, Any]:
    return {"features": ["nginx"], "nginx": words}


def postgresql(**words: Any) -> dict[str, Any]:
    return {"features": ["postgresql"], "postgresql": words}


def service(**words: Any) -> dict[str, Any]:
    return {"features": ["python_api_service"], "python_api_service": {"source": "api"} | words}


def setup(**words: Any) -> dict[str, Any]:
    return {"features": ["base_setup"], "base_setup": words}


def account(**words: Any) -> dict[str, Any]:
    return setup(users=[{"name": "ada"} | words])


GUESTS: list[tuple[str, dict[str, Any], str]] = [
    *(
        (f"name {name!r}", {"name": name}, "/name")
        for name in ("-rf", "a b", SHELL, "a\nb", "$(id)", "../x", "a/b", "é", "a" * 65, "a..b")
    ),
    ("a name of many labels", {"name": ".".join(["abc"] * 17)}, "/name"),
    ("a pool", {"storage_pool": "-o"}, "/storage_pool"),
    ("a pool with a slash", {"storage_pool": "../x"}, "/storage_pool"),
    ("a bridge", {"network_config": NETWORK | {"bridge": "br0;id"}}, "/network_config/bridge"),
    ("a card", {"network_config": NETWORK | {"name": "eth0\n"}}, "/network_config/name"),
    ("an address", {"network_config": NETWORK | {"ip": "10.0.0.5/24,x=1"}}, "/network_config/ip"),
    ("a gateway", {"network_config": NETWORK | {"gw": "10.0.0.1\n"}}, "/network_config/gw"),
    ("a MAC", {"mac_address": "52:54:00:12:34:56,x=1"}, "/mac_address"),
    ("a snapshot", {"template_snapshot_name": "-base"}, "/template_snapshot_name"),
    ("a script outside", {"application_script": "../../etc/passwd"}, "/application_script"),
    ("a script by its path", {"application_script": "/etc/passwd"}, "/application_script"),
    ("a script's line break", {"application_script": "a\nb"}, "/application_script"),
    (
        "a mount's way up",
        {"mount_points": [{"host_path": "/srv/../etc", "container_path": "/a"}]},
        "/mount_points/0/host_path",
    ),
    (
        "a mount without a slash",
        {"mount_points": [{"host_path": "/srv", "container_path": "etc"}]},
        "/mount_points/0/container_path",
    ),
    ("a volume", {"volumes": [{"name": "../a", "mount_point": "/a"}]}, "/volumes/0/name"),
    (
        "a volume's place",
        {"volumes": [{"name": "a", "mount_point": "/a\nb"}]},
        "/volumes/0/mount_point",
    ),
    ("a raw line", {"lxc_options": ["lxc.a=b\nlxc.hook.start=/x"]}, "/lxc_options/0"),
    ("a raw option", {"pct_options": ["tags=a\nhookscript=b"]}, "/pct_options/0"),
    ("a profile", {"apparmor_profile": "a\nlxc.x=1"}, "/apparmor_profile"),
    ("a route's path", {"routes": [{"path": "/a { return 200; }", "port": 1}]}, "/routes/0/path"),
    ("a route's way up", {"routes": [{"path": "/a/../b", "port": 1}]}, "/routes/0/path"),
    ("a route's double slash", {"routes": [{"path": "//a", "port": 1}]}, "/routes/0/path"),
    ("a route's escape", {"routes": [{"path": "/a%2", "port": 1}]}, "/routes/0/path"),
    ("a route's hidden NUL", {"routes": [{"path": "/a%00", "port": 1}]}, "/routes/0/path"),
    ("a route's hidden slash", {"routes": [{"path": "/a%2fb", "port": 1}]}, "/routes/0/path"),
    ("a route's hidden variable", {"routes": [{"path": "/%24a", "port": 1}]}, "/routes/0/path"),
    ("a route's line break", {"routes": [{"path": "/a\n", "port": 1}]}, "/routes/0/path"),
    ("a route's host", {"routes": [{"host": "a;b", "port": 1}]}, "/routes/0/host"),
    ("a site's way up", nginx(sites=["../api"]), "/nginx/sites/0"),
    ("a site's path", nginx(sites=["/etc"]), "/nginx/sites/0"),
    ("a site with a dash", nginx(sites=["-n"]), "/nginx/sites/0"),
    ("a site's host", nginx(sites=[{"name": "s", "host": "a;b"}]), "/nginx/sites/0/host"),
    ("a site's root", nginx(sites=[{"name": "s", "root": "../x"}]), "/nginx/sites/0/root"),
    (
        "a header's value",
        nginx(sites=[{"name": "s", "headers": {"X-A": "a\nX-B: c"}}]),
        "/nginx/sites/0/headers/X-A",
    ),
    (
        "a header's variable",
        nginx(sites=[{"name": "s", "headers": {"X-A": "$request"}}]),
        "/nginx/sites/0/headers/X-A",
    ),
    (
        "a header's name",
        nginx(sites=[{"name": "s", "headers": {"X A;": "a"}}]),
        "/nginx/sites/0/headers/X A;",
    ),
    ("a service's name", service(name="a/../b"), "/python_api_service/name"),
    ("a service's line break", service(name="a\nb"), "/python_api_service/name"),
    ("a service's source", service(source="../.."), "/python_api_service/source"),
    ("a service's absolute source", service(source="/etc"), "/python_api_service/source"),
    ("a service's secrets", service(source=".git"), "/python_api_service/source"),
    ("a service's application", service(app="main:app --reload"), "/python_api_service/app"),
    ("a unit's directive", service(app="a:b\nUser=root"), "/python_api_service/app"),
    ("a service's user", service(user="-root"), "/python_api_service/user"),
    (
        "a variable's name",
        service(environment={"A B": "c"}),
        "/python_api_service/environment/A B",
    ),
    ("a package", service(packages=["-o=x"]), "/python_api_service/packages/0"),
    ("a package's shell", setup(packages=["a;id"]), "/base_setup/packages/0"),
    ("a repository", service(source=None, git={"url": "ext::sh"}), "/python_api_service/git/url"),
    (
        "a reference",
        service(source=None, git={"url": "https://a.test/b", "ref": "--upload-pack=x"}),
        "/python_api_service/git/ref",
    ),
    ("a host name", setup(hostname="a b"), "/base_setup/hostname"),
    ("a long host name", setup(hostname="a." * 40 + "b"), "/base_setup/hostname"),
    ("a name in hosts", setup(hosts={"a b": "10.0.0.1"}), "/base_setup/hosts/a b"),
    ("a time zone", setup(timezone="../../etc/passwd"), "/base_setup/timezone"),
    ("a locale", setup(locale="en_US.UTF-8; id"), "/base_setup/locale"),
    ("a certificate", setup(ca_certificates=["../x.pem"]), "/base_setup/ca_certificates/0"),
    ("a user", account(name="root:x"), "/base_setup/users/0/name"),
    ("a key", account(ssh_keys=["ssh-ed25519 A\ncommand=b"]), "/base_setup/users/0/ssh_keys/0"),
    ("a shell", setup(users=[{"name": "ada", "shell": "/bin/sh\n"}]), "/base_setup/users/0/shell"),
    (
        "a shell's way up",
        setup(users=[{"name": "ada", "shell": "/bin/../x"}]),
        "/base_setup/users/0/shell",
    ),
    ("a role", postgresql(roles=[{"name": 'a"; drop'}]), "/postgresql/roles/0/name"),
    ("a database", postgresql(databases=[{"name": "-d"}]), "/postgresql/databases/0/name"),
    (
        "a file of SQL",
        postgresql(databases=[{"name": "d", "init_sql": ["../x.sql"]}]),
        "/postgresql/databases/0/init_sql/0",
    ),
    ("a setting's name", postgresql(settings={"a b": "c"}), "/postgresql/settings/a b"),
    (
        "a setting's line break",
        postgresql(settings={"search_path": "a\nfsync = off"}),
        "/postgresql/settings/search_path",
    ),
    ("a data folder", postgresql(data_directory="/srv/../etc"), "/postgresql/data_directory"),
]


def problems(tmp_path: Path, guest: dict[str, Any]) -> list[Any]:
    for folder in ("sites/s", "api", "scripts"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / "sites/s/index.html").touch()
    (tmp_path / "api/main.py").touch()
    (tmp_path / "api/requirements.txt").touch()
    words = {"lxc_configs": {"101": BASE | guest}}
    (tmp_path / LXC).write_text(json.dumps(words, indent=1))
    found = load(tmp_path, app.vocabulary(), on="incus").problems
    return [problem for problem in found if problem.severity == "error"]


@pytest.mark.parametrize(
    ("guest", "pointer"), [case[1:] for case in GUESTS], ids=[case[0] for case in GUESTS]
)
def test_it_is_refused(tmp_path: Path, guest: dict[str, Any], pointer: str) -> None:
    found = problems(tmp_path, guest)
    wanted = f"/lxc_configs/101{pointer}"
    [at_place, *_] = [problem for problem in found if problem.pointer.startswith(wanted)]
    assert at_place.file == LXC
    assert at_place.line > 1
    assert at_place.hint
    for problem in found:
        assert (problem.message + problem.hint).isprintable()


def test_the_same_without_them_is_right(tmp_path: Path) -> None:
    for right in (
        nginx(sites=["s"]),
        service(),
        setup(),
        postgresql(),
        {"network_config": NETWORK},
    ):
        assert problems(tmp_path, right) == []


@pytest.mark.parametrize("text", ["a\\u0000b", "\\ud800"])
def test_what_nothing_can_hold(tmp_path: Path, text: str) -> None:
    raw = '{"lxc_configs": {"101": {"name": "a", "template": "x", "application_script_env": {"A": "'
    (tmp_path / LXC).write_text(f'{raw}{text}"}}}}}}}}\n')
    found = load(tmp_path, app.vocabulary(), on="incus").problems
    assert [(p.line, p.pointer) for p in found if p.severity == "error"] == [
        (1, "/lxc_configs/101/application_script_env/A")
    ]
    assert found[0].hint


@pytest.mark.parametrize(
    ("words", "pointer"),
    [
        ({"hypervisor": {"stack": "../a"}}, "/hypervisor/stack"),
        ({"hypervisor": {"stack": "a\n"}}, "/hypervisor/stack"),
        ({"hypervisor": {"project": "-a"}}, "/hypervisor/project"),
        ({"timezone": "../../x"}, "/timezone"),
        ({"users": {"-a": {}}}, "/users/-a"),
        ({"users": {"ada": {"ssh_public_key": "a\nb"}}}, "/users/ada/ssh_public_key"),
    ],
)
def test_the_hosts_words(tmp_path: Path, words: dict[str, Any], pointer: str) -> None:
    (tmp_path / HYPERVISOR).write_text(json.dumps(words, indent=1))
    found = load(tmp_path, app.vocabulary(), on="incus").problems
    [at_place, *_] = [p for p in found if p.severity == "error" and p.pointer.startswith(pointer)]
    assert at_place.line > 1
    assert at_place.hint
