"""Docker: what is wrong with a stack, and the texts that go into a guest."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.unit.features.guests import desired, guest

from phoenix_hypervisor.app import vocabulary
from phoenix_hypervisor.config.load import load
from phoenix_hypervisor.features import _docker_deploy, _system
from phoenix_hypervisor.features import _docker_stacks as stacks
from phoenix_hypervisor.features._docker_options import DockerOptions, Stack
from phoenix_hypervisor.features._docker_tool import TOOL_TEXT
from phoenix_hypervisor.features._release import Tree
from phoenix_hypervisor.features.docker import Docker
from phoenix_hypervisor.model.address import vm
from phoenix_hypervisor.model.errors import ConfigureFailed

ODD = "a 'b' \"c\" $HOME `id` \\ \n second line"
PROJECT = stacks.Project("shop", ("docker-compose.yml",), (".env",), ("full",), {"ODD": ODD})
RELEASE = "/opt/stacks/shop/releases/0123456789abcdef"


def _flaws(folder: Path, **words: object) -> list[tuple[tuple[str | int, ...], str]]:
    options = DockerOptions.model_validate(words)
    one = guest(1, "apps")
    found = Docker().flaws(options, one, replace(desired(one), folder=folder))
    return [(flaw.at, flaw.message) for flaw in found]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with one right stack; returns the stack's folder."""
    path = tmp_path / "stacks/shop"
    path.mkdir(parents=True)
    (path / "docker-compose.yml").write_text("services:\n  web: {image: busybox}\n")
    return path


def test_a_right_stack_has_no_flaw(tmp_path: Path, shop: Path) -> None:
    assert _flaws(tmp_path, stacks=["shop"]) == []
    (shop / "docker-compose.yml").write_text("services:\n  web:\n    ports: !override [80]\n")
    assert _flaws(tmp_path, stacks=[{"name": "shop", "environment": "production"}]) == []


def test_a_missing_folder_or_file_is_told_with_its_place(tmp_path: Path, shop: Path) -> None:
    (tmp_path / "stacks/empty").mkdir()
    more = {"name": "shop", "project": "two", "files": ["gpu.yml"]}
    assert _flaws(tmp_path, stacks=["shop", "gone", "empty", more]) == [
        (("stacks", 1), "there is no folder stacks/gone"),
        (("stacks", 2), "stacks/empty has no docker-compose.yml"),
        (("stacks", 3), "stacks/shop/gpu.yml is not there"),
    ]
    optional = [{"name": name, "optional": True} for name in ("gone", "empty")]
    assert _flaws(tmp_path, stacks=optional) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("services:\n  web: {image: x\n", "is no YAML in line 3, column 1: "),
        ("services:\n\tweb: 1\n", "is no YAML in line 2, column 1: "),
        ("- web\n", "holds no map"),
        ("", "holds no map"),
        ("a: \x00", "is no YAML: "),
        ("[" * 5000, "is nested too deep"),
    ],
)
def test_what_is_no_compose_file_is_told(tmp_path: Path, shop: Path, text: str, told: str) -> None:
    (shop / "docker-compose.yml").write_text(text)
    [(at, message)] = _flaws(tmp_path, stacks=["shop"])
    assert at == ("stacks", 0)
    assert message.startswith(f"stacks/shop/docker-compose.yml {told}")


def test_an_environment_needs_a_file_unless_it_is_production(tmp_path: Path, shop: Path) -> None:
    words = {"name": "shop", "environment": "testing"}
    [(_, message)] = _flaws(tmp_path, stacks=[words])
    assert message == "stacks/shop has no file for the environment testing"
    (shop / ".env.testing").write_text("A=1\n")
    assert _flaws(tmp_path, stacks=[words]) == []
    (shop / "docker-compose.testing.yml").write_text("nonsense")
    [(_, message)] = _flaws(tmp_path, stacks=[words])
    assert message.startswith("stacks/shop/docker-compose.testing.yml holds no map")


def test_names_are_used_once_and_guests_are_known(tmp_path: Path, shop: Path) -> None:
    words = {"name": "shop", "variables": {"DB": {"address_of": "nobody"}}}
    found = _flaws(tmp_path, stacks=["shop", words])
    assert [at for at, _ in found] == [
        ("stacks", 0),
        ("stacks", 1),
        ("stacks", 1, "variables", "DB"),
    ]
    assert found[0][1] == "two stacks are called shop"


@pytest.mark.parametrize("name", ["PATH", "COMPOSE_FILE", "DOCKER_HOST", "LD_PRELOAD"])
def test_no_variable_steers_compose(name: str) -> None:
    with pytest.raises(ValidationError, match="steers docker compose"):
        Stack.model_validate({"name": "x", "variables": {name: "1"}})


def test_a_project_has_a_name_that_compose_takes() -> None:
    assert Stack.model_validate({"name": "My.Shop_1"}).called == "myshop_1"
    assert Stack.model_validate({"name": "x", "project": "shop-2"}).called == "shop-2"


def test_files_go_along_with_the_fingerprint(tmp_path: Path, shop: Path) -> None:
    (shop / ".env").write_text("A=1\n")
    options = DockerOptions.model_validate({"stacks": ["shop", {"name": "no", "optional": True}]})
    found = Docker().files(options, guest(1, "apps"), tmp_path)
    assert [path.name for path in found] == [".env", "docker-compose.yml"]


def test_the_old_layouts_stacks_are_found(tmp_path: Path, shop: Path) -> None:
    (tmp_path / "etc").mkdir()
    assert _flaws(tmp_path / "etc", stacks=["shop"]) == []
    options = DockerOptions.model_validate({"stacks": ["shop"]})
    [found] = Docker().files(options, guest(1, "apps"), tmp_path / "etc")
    assert found.samefile(shop / "docker-compose.yml")


def _run(script: str, *words: str, folder: Path, docker: str) -> subprocess.CompletedProcess[str]:
    """Runs a script with a `docker` of our own before all others."""
    program = folder / "bin/docker"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{docker}\n")
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-s", "--", *words],
        input=script,
        text=True,
        capture_output=True,
        check=False,
        env={"PATH": path, "ODD": "not this"},
    )


def test_compose_gets_values_literally_and_never_as_arguments(tmp_path: Path) -> None:
    script = stacks.compose_text(PROJECT, release=RELEASE)
    shown = _run(script, "up", folder=tmp_path, docker='printf "%s|" "$ODD" "$@"').stdout
    value, *arguments = shown.split("|")
    assert value == ODD
    assert arguments[-2:] == ["up", ""]
    assert " ".join(arguments).startswith(
        f"compose --ansi never --project-name shop --project-directory {RELEASE} "
        f"--file {RELEASE}/docker-compose.yml --env-file {RELEASE}/.env --profile full"
    )
    assert ODD[:5] not in stacks.compose_text(PROJECT)
    with pytest.raises(ConfigureFailed, match="NUL"):
        stacks.environment_text(replace(PROJECT, variables={"X": "a\0b"}))


@pytest.mark.parametrize("fails", [True, False])
def test_a_stack_that_does_not_go_down_stays_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    monkeypatch.setattr(stacks, "ETC", str(tmp_path / "etc"))
    monkeypatch.setattr(stacks, "OPT", str(tmp_path / "opt"))
    etc, release = tmp_path / "etc/a b;x", tmp_path / "opt/a b;x/releases/1"
    etc.mkdir(parents=True)
    release.mkdir(parents=True)
    (etc / "volumes").write_text("remove\n")
    (etc / "compose").write_text('#!/bin/sh\nexec docker compose "$@"\n')
    (etc / "compose").chmod(0o755)
    done = _run(
        stacks.remove_script("a b;x"),
        folder=tmp_path,
        docker=f"[ $1 != compose ] || {{ echo alas >&2; exit {int(fails)}; }}",
    )
    assert "alas" in done.stderr
    assert (done.returncode != 0) is fails
    assert (etc.exists(), release.exists()) == (fails, fails)


def test_an_images_odd_name_is_one_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    odd = f"x; touch {tmp_path}/made"
    monkeypatch.setattr(
        _system, "ask", lambda script: _run(script, folder=tmp_path, docker="exit 1").stdout
    )
    service = stacks.Service("web", odd, False, "", expected=True)
    assert _docker_deploy._missing(stacks.Read((service,))) == [service]
    assert not (tmp_path / "made").exists()


def test_settings_hold_nothing_that_has_a_word_of_its_own(tmp_path: Path) -> None:
    settings = {"data-root": "/x", "log-opts": {}, "userns-remap": "default"}
    options = DockerOptions.model_validate({"settings": settings})
    one = guest(1, "apps")
    found = Docker().flaws(options, one, replace(desired(one), folder=tmp_path))
    assert [flaw.at for flaw in found] == [("settings", "data-root"), ("settings", "log-opts")]
    assert "write data_root instead" in str(found[0].hint)
    assert _flaws(tmp_path, settings={"log-driver": "journald", "log-opts": {}}) == []


def _tree(**texts: str) -> Tree:
    names = {"page": "site/index.html", "conf": "conf/a.conf", "env": ".env"}
    usual = {"page": "one", "conf": "x", "env": "A=1"}
    return Tree.of_texts({names[key]: text for key, text in (usual | texts).items()})


def _config() -> str:
    mounts = [
        {"type": "bind", "source": f"{RELEASE}/site", "target": "/www"},
        {"type": "bind", "source": f"{RELEASE}/data", "target": "/data"},
        {"type": "bind", "source": "/srv", "target": "/srv"},
        {"type": "volume", "source": "v", "target": "/v"},
    ]
    return json.dumps(
        {
            "services": {
                "web": {"build": {"context": f"{RELEASE}/x"}, "volumes": mounts},
                "api": {
                    "image": "api:1",
                    "configs": [{"source": "c"}],
                    "secrets": [{"source": "s"}],
                },
                "off": {"image": "off", "deploy": {"replicas": 0}},
            },
            "configs": {"c": {"file": f"{RELEASE}/conf/a.conf"}},
            "secrets": {"s": {"environment": "ODD"}},
        }
    )


def test_what_compose_reads_of_a_release() -> None:
    found = stacks.read(_config(), _tree(), PROJECT, RELEASE)
    told = {one.name: (one.image, one.built, one.expected) for one in found.services}
    assert told == {
        "web": ("shop-web", True, True),
        "api": ("api:1", False, True),
        "off": ("off", False, False),
    }
    assert found.kept == ("data",)
    assert stacks.services_text(found) == "api\nweb\n"
    assert json.loads(stacks.labels_text(found))["services"].keys() == {"api", "web"}


@pytest.mark.parametrize(
    ("tree", "value", "changed"),
    [
        ({}, ODD, set()),
        ({"page": "two"}, ODD, {"web"}),
        ({"conf": "y"}, ODD, {"api"}),
        ({"env": "A=2"}, ODD, set()),
        ({}, "another", {"api"}),
    ],
)
def test_only_what_a_service_mounts_tells_it_anew(
    tree: dict[str, str], value: str, changed: set[str]
) -> None:
    other = RELEASE.replace("0123", "4567")
    before = stacks.read(_config(), _tree(), PROJECT, RELEASE)
    project = replace(PROJECT, variables={"ODD": value})
    after = stacks.read(_config().replace(RELEASE, other), _tree(**tree), project, other)
    files = {one.name: one.files for one in before.services}
    assert {one.name for one in after.services if files[one.name] != one.files} == changed


def test_a_label_tells_no_secret_even_to_those_who_guess() -> None:
    one, other = (replace(PROJECT, salt=salt) for salt in ("a", "b"))
    labels = [stacks.labels_text(stacks.read(_config(), _tree(), p, RELEASE)) for p in (one, other)]
    told = [json.loads(each)["services"] for each in labels]
    assert told[0]["api"] != told[1]["api"]
    assert told[0]["web"] == told[1]["web"]


def test_services_of_one_image_are_built_once() -> None:
    services = [
        stacks.Service(name, image, built, "", expected=True)
        for name, image, built in (("a", "x", True), ("b", "x", True), ("c", "y", False))
    ]
    assert stacks.to_build(services) == ["a"]


@pytest.mark.parametrize(
    ("states", "status", "said"),
    [
        (["a running - 0 no. 0 1", "b running healthy 0 . 0 2"], 0, "b: running, healthy"),
        (["a exited - 0 no. 0 1", "b running - 0 . 0 2"], 0, "a: exited with 0"),
        (["a exited - 0 always. 0 1", "b running - 0 . 0 2"], 1, "a: exited with 0"),
        (["a exited - 3 no. 0 1", "b running - 0 . 0 2"], 1, "a: exited with 3"),
        (["a running unhealthy 0 no. 0 1", "b running - 0 . 0 2"], 1, "a: running, unhealthy"),
        (["a running starting 0 no. 0 1", "b running - 0 . 0 2"], 2, "a: running, starting"),
        (
            ["a restarting - 1 always. 1 1", "b running - 0 . 0 2"],
            2,
            "a: restarting, restarted 1 times",
        ),
        (
            ["a restarting - 1 always. 3 1", "b running - 0 . 0 2"],
            1,
            "a: restarting, restarted 3 times",
        ),
        (["a running starting 0 no. 0 1", "b dead - 0 . 0 2"], 1, "b: dead"),
        (["a running - 0 no. 0 1"], 1, "b: no container"),
        ([], 1, "a: no container"),
    ],
)
def test_the_tool_judges_states(tmp_path: Path, states: list[str], status: int, said: str) -> None:
    home = tmp_path / "etc/shop"
    home.mkdir(parents=True)
    (home / "compose").write_text("#!/bin/sh\n")
    (home / "compose").chmod(0o755)
    (home / "services").write_text("a\nb\n")
    script = TOOL_TEXT.replace("/etc/phoenix/stacks", str(tmp_path / "etc"))
    ids = " ".join(state.split()[-1] for state in states)
    lines = "\n".join(states)
    docker = (
        f"case $1 in ps) echo {ids} ;; inspect) cat <<'.'\n{lines}\n.\n;; logs) echo alas $4;; esac"
    )
    done = _run(script, "shop", "healthy", folder=tmp_path, docker=docker)
    assert (done.returncode, done.stderr) == (status, "")
    assert said in done.stdout.splitlines()
    troubles = _run(script, "shop", "troubles", folder=tmp_path, docker=docker).stdout
    assert ("alas" in troubles) == (status != 0 and "no container" not in said)
    assert _run(script, "other", "ps", folder=tmp_path, docker=docker).returncode == 64


def _problems(folder: Path, **words: object) -> list[tuple[str, str, str]]:
    """What is told of a virtual machine with these words: severity, pointer, message."""
    machine = {
        "vmid": 101,
        "name": "apps",
        "template_image": "debian.qcow2",
        "features": ["docker"],
    }
    text = json.dumps({"vms": [machine | words]})
    (folder / "phoenix_vm_configs.json").write_text(text)
    loaded = load(folder, vocabulary())
    return [(p.severity, p.pointer.removeprefix("/vms/0"), p.message) for p in loaded.problems]


def test_a_machines_stacks_may_stand_beside_its_features(tmp_path: Path, shop: Path) -> None:
    assert _problems(tmp_path, docker_stacks=["shop"]) == []
    wanted = load(tmp_path, vocabulary()).desired
    assert wanted is not None
    [use] = wanted.guests[vm(101)].features
    assert isinstance(use.options, DockerOptions)
    assert [stack.called for stack in use.options.stacks] == ["shop"]
    missing = "the stack `gone` has no docker-compose.yml"
    assert _problems(tmp_path, docker_stacks=["shop", {"name": "gone", "environment": "x"}]) == [
        ("warning", "/docker_stacks/1", missing)
    ]


def test_what_is_wrong_with_a_machines_stacks_is_told_there(tmp_path: Path, shop: Path) -> None:
    (shop / "docker-compose.yml").write_text("- x\n")
    [(severity, pointer, message)] = _problems(tmp_path, docker_stacks=["shop"])
    assert (severity, pointer) == ("error", "/docker_stacks/0")
    assert "holds no map" in message
    [(_, pointer, message), *_] = _problems(
        tmp_path, docker_stacks=["shop"], docker={"stacks": ["shop"]}
    )
    assert (pointer, message) == (
        "/docker_stacks",
        "stacks stand in `docker_stacks` and in `docker.stacks`",
    )
    told = _problems(tmp_path, docker_stacks=["shop"], features=["base_setup"])
    assert ("warning", "/docker_stacks") in [(severity, pointer) for severity, pointer, _ in told]
    told = _problems(tmp_path, docker_stacks=["a/../b"])
    assert ("error", "/docker_stacks/0/name") in [(one, pointer) for one, pointer, _ in told]
