"""Docker in an unprivileged container: the engine, and a stack from its first day to its last."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import lab
from tests.support.featurebench import OWN_FOLDER, Bench, get

from phoenix_hypervisor.features._docker_engine import PROOF
from phoenix_hypervisor.model.errors import ConfigureFailed

pytestmark = pytest.mark.incus

KEY = "k'e\"y $HOME `id`\\\nsecond line"
PAIR: dict[str, Any] = {
    "name": "pair",
    "variables": {"SAYS": "$1 \"two\" 'three'", "KEY": {"secret": "KEY"}},
    "start_s": 60,
}
BUSYBOX = """
apt-get install -qqy --no-install-recommends busybox-static >/dev/null 2>&1
mkdir -p /tmp/tree/bin /tmp/tree/tmp
cp /bin/busybox /tmp/tree/bin/busybox
for name in sh sleep date cat touch; do ln -sf busybox /tmp/tree/bin/$name; done
tar -C /tmp/tree -c . | docker import - local/busybox
"""


def _stacks(**words: Any) -> dict[str, Any]:
    return {"stacks": [PAIR | words], "registry_mirrors": ["http://127.0.0.1:5999"]}


@pytest.fixture(scope="module")
def box(incus_daemon: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A container with the engine in it, and an image of one static program."""
    corner = lab.Lab("o")
    folder = tmp_path_factory.mktemp("docker") / "folder"
    shutil.copytree(OWN_FOLDER / "stacks", folder / "stacks")
    made = Bench.of(corner, folder, "box")
    made.change("box", nesting=True)
    made.secrets = {"KEY": KEY}
    try:
        made.make()
        made.deploy("box", "docker")
        made.sh("box", BUSYBOX)
        yield made
    finally:
        lab.clear(corner.name)


@pytest.fixture(scope="module")
def pair(box: Bench) -> Bench:
    """The same, with its stack."""
    box.deploy("box", "docker", _stacks())
    return box


def _ids(bench: Bench) -> dict[str, str]:
    """The running containers by their service."""
    shown = bench.sh("box", "docker ps --format '{{.Names}} {{.ID}}'")
    return dict(line.split() for line in shown.splitlines())


def _file(bench: Bench, name: str) -> Path:
    return bench.folder / "stacks/pair" / name


def test_the_engine_runs_a_container(box: Bench) -> None:
    assert box.guests["box"].unprivileged
    assert "tini" in box.sh("box", PROOF)
    told = json.loads(box.sh("box", "docker info --format '{{json .}}'"))
    assert told["Driver"] == "overlay2"
    assert told["LiveRestoreEnabled"]
    assert told["LoggingDriver"] == "json-file"
    assert box.deploy("box", "docker").changed == 0


def test_a_stack_is_up_when_the_deploy_is_done(pair: Bench) -> None:
    assert get(f"{pair.ip('box')}:8080", "/") == (200, "page one\n")
    up = pair.sh("box", "phoenix-stack pair healthy").splitlines()
    assert sorted(up) == ["clock: running", "once: exited with 0", "web: running, healthy"]
    assert pair.sh("box", "ls /opt/stacks/pair/kept/data") == "was-here"
    assert pair.deploy("box", "docker", _stacks()).changed == 0


def test_values_and_secrets_arrive_literally(pair: Bench) -> None:
    assert pair.sh("box", "docker exec pair-clock-1 cat /run/secrets/key") == KEY
    said = pair.sh("box", "docker exec pair-web-1 sh -c 'echo \"$SAYS\"'")
    assert said == PAIR["variables"]["SAYS"]
    assert pair.sh("box", "stat -c %a%U /etc/phoenix/stacks/pair/environment") == "600root"
    assert "second line" not in pair.sh("box", "docker inspect pair-clock-1")


@pytest.mark.parametrize(
    ("change", "service"),
    [("page", "pair-web-1"), ("secret", "pair-clock-1"), ("command", "pair-clock-1")],
)
def test_a_changed_service_restarts_alone(pair: Bench, change: str, service: str) -> None:
    before = _ids(pair)
    variables = PAIR["variables"]
    if change == "page":
        _file(pair, "pages/index.html").write_text("page two\n")
    elif change == "secret":
        pair.secrets["KEY"] = "another"
    else:
        variables = variables | {"CLOCK": "while sleep 2; do date; done"}
    changed = _stacks(variables=variables)
    pair.deploy("box", "docker", changed)
    after = _ids(pair)
    assert {name for name in before if before[name] != after[name]} == {service}
    assert get(f"{pair.ip('box')}:8080", "/") == (200, "page two\n")
    assert pair.deploy("box", "docker", changed).changed == 0


def test_one_that_fails_is_taken_back_with_its_last_words(pair: Bench) -> None:
    before = _ids(pair)
    dies = {**PAIR["variables"], "CLOCK": "echo the disk is made of cheese; exit 3"}
    said = pair.refused("box", "docker", _stacks(variables=dies))
    assert "the disk is made of cheese" in said
    after = _ids(pair)
    assert before.keys() == after.keys()
    assert before["pair-web-1"] == after["pair-web-1"]


def test_a_file_that_compose_refuses_changes_nothing(pair: Bench) -> None:
    compose = _file(pair, "docker-compose.yml")
    text, before = compose.read_text(), _ids(pair)
    compose.write_text(text.replace("command:", "comand:", 1))
    try:
        with pytest.raises(ConfigureFailed, match="refuses the stack pair") as caught:
            pair.deploy("box", "docker", _stacks())
    finally:
        compose.write_text(text)
    assert "comand" in caught.value.detail
    assert _ids(pair) == before


@pytest.mark.long
def test_a_new_image_reaches_its_services(pair: Bench) -> None:
    _file(pair, "tools/note").write_text("the second image\n")
    pair.deploy("box", "docker", _stacks())
    assert pair.sh("box", "docker exec pair-web-1 cat /note") == "the second image"


@pytest.mark.long
def test_an_environment_has_files_of_its_own(pair: Bench) -> None:
    pair.deploy("box", "docker", _stacks(environment="testing"))
    assert get(f"{pair.ip('box')}:8090", "/")[0] == 200
    with pytest.raises(OSError, match="refused"):
        get(f"{pair.ip('box')}:8080", "/")
    pair.deploy("box", "docker", _stacks())


def test_a_container_stopped_by_hand_is_started(pair: Bench) -> None:
    pair.deploy("box", "docker", _stacks())
    pair.sh("box", "docker stop -t 0 pair-clock-1")
    assert pair.examine("box", "docker", _stacks()).differences
    assert pair.deploy("box", "docker", _stacks()).changed == 1
    assert "pair-clock-1" in _ids(pair)


def test_a_bad_setting_of_the_engine_is_taken_back(pair: Bench) -> None:
    before = _ids(pair)
    said = pair.refused("box", "docker", _stacks() | {"settings": {"no-such-setting": True}})
    assert "no-such-setting" in said
    assert _ids(pair) == before
    pair.deploy("box", "docker", _stacks() | {"log_files": 5})
    assert _ids(pair) == before  # live restore
    pair.deploy("box", "docker", _stacks())


def test_it_survives_a_restart_of_the_guest(pair: Bench) -> None:
    instance = pair.guests["box"].address.replace("/", "-")
    lab.incus("restart", "--force", "--project", pair.corner.name, instance)
    deadline = time.monotonic() + 60
    while True:
        try:
            assert get(f"{pair.ip('box')}:8080", "/") == (200, "page two\n")
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.5)
    wait = "for _ in $(seq 60); do phoenix-stack pair healthy && exit 0; sleep 0.5; done; exit 1"
    assert "web: running, healthy" in pair.sh("box", wait)
    assert pair.deploy("box", "docker", _stacks()).changed == 0


def test_logins_are_for_root_alone_and_leave_others(pair: Bench) -> None:
    pair.sh("box", 'mkdir -p ~/.docker; echo \'{"auths": {"own": {"auth": "x"}}}\' > '
            "~/.docker/config.json")  # fmt: skip
    login = {"registry": "registry.test:5000", "username": "ann", "password": {"secret": "KEY"}}
    pair.deploy("box", "docker", _stacks() | {"logins": [login]})
    there = json.loads(pair.sh("box", "cat ~/.docker/config.json"))["auths"]
    assert sorted(there) == ["own", "registry.test:5000"]
    assert pair.sh("box", "stat -c %a ~/.docker/config.json") == "600"
    pair.deploy("box", "docker", _stacks())
    assert sorted(json.loads(pair.sh("box", "cat ~/.docker/config.json"))["auths"]) == ["own"]


def test_a_removed_stack_goes_and_what_it_wrote_stays(pair: Bench) -> None:
    pair.deploy("box", "docker")
    assert _ids(pair) == {}
    assert pair.sh("box", "docker ps -aq; ls /etc/phoenix/stacks; ls /opt/stacks/pair") == "kept"
    assert pair.sh("box", "docker network ls -q --filter label=com.docker.compose.project") == ""
    assert pair.deploy("box", "docker").changed == 0
