"""Two replicas behind Nginx: nothing is lost while they change, die, freeze or are cut off."""

import http.client
import json
import logging
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stack import ROOT, Stack, copy_of
from tests.support import lab
from tests.support.lab import incus
from tests.support.steady import Client

pytestmark = [pytest.mark.incus, pytest.mark.usefixtures("incus_daemon")]

REPLICAS = ("hello-1", "hello-2")
UNIT = "hello"
LEAST = 25
"""So many answers in a second or two prove that somebody asked at all."""
_LOG = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, incus_daemon: None) -> Iterator[Stack]:
    corner = lab.Lab("q")
    replaced = {
        "10.98.77": corner.subnet(),
        "phxrepl0": corner.name,
        "phoenix-replicas": corner.name,
    }
    target = tmp_path_factory.mktemp("replicas") / "folder"
    made = copy_of(ROOT / "examples" / "replicas", target, corner, replaced)
    (target / "hello" / "main.py").write_text((Path(__file__).parent / "hello.py").read_text())
    with made.edit() as words:
        routes = words["lxc_configs"]["950"]["routes"]
        routes.append({"path": "/slow", "port": 8000, "timeout_s": 10})
    try:
        done = made.run("apply", "--yes", limit_s=900)
        assert done.returncode == 0, done.stdout + done.stderr
        yield made
    finally:
        lab.clear(corner.name)


@pytest.fixture
def client(stack: Stack) -> Client:
    return Client(f"http://{stack.lab.subnet()}.10/")


@contextmanager
def nothing_lost(client: Client, title: str, *, slowest_s: float) -> Iterator[None]:
    """Asks all the while; a second before and after, too."""
    with client.asking():
        time.sleep(1)
        yield
        time.sleep(1)
    assert_none_lost(client, title)
    assert client.slowest_s < slowest_s


def assert_none_lost(client: Client, title: str, *, least: int = LEAST) -> None:
    _LOG.info(
        "%s: %d %ss, %d lost, slowest %.0f ms",
        title,
        len(client.replies),
        client.method,
        len(client.lost),
        client.slowest_s * 1000,
    )
    assert client.lost == []
    assert len(client.replies) >= least


def version(stack: Stack, number: str) -> None:
    source = stack.folder / "hello" / "main.py"
    lines = source.read_text().splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("VERSION"))
    lines[at] = f"VERSION = {number}"
    source.write_text("\n".join(lines) + "\n")


def both_answer(stack: Stack, number: str = "") -> None:
    """Waits until the proxy leads to both again, with this version or the files' present one."""
    if not number:
        source = (stack.folder / "hello" / "main.py").read_text()
        number = source.partition("\nVERSION = ")[2].partition("\n")[0].strip('"')
    wanted = {f"hello from version {number} in {guest}" for guest in REPLICAS}
    found: set[str] = set()
    end = time.monotonic() + 30
    while found != wanted and time.monotonic() < end:
        found = answers(stack)
    assert found == wanted


def answers(stack: Stack) -> set[str]:
    """All different answers of a moment."""
    asked = Client(f"http://{stack.lab.subnet()}.10/")
    with asked.asking():
        time.sleep(0.4)
    return asked.texts()


def events(stack: Stack, *words: str) -> list[dict[str, str]]:
    lines = stack.run("--json", "apply", "--yes", *words).stdout.splitlines()
    return [json.loads(line) for line in lines]


def instance(stack: Stack, ident: int, *words: str) -> None:
    incus(words[0], "--project", stack.project, *words[1:], f"lxc-{ident}")


def main_process(stack: Stack, guest: str) -> str:
    return stack.inside(guest, f"systemctl show -p MainPID --value {UNIT}")


def test_both_answer_by_one_name(stack: Stack) -> None:
    both_answer(stack, "1")
    assert stack.changes() == []
    listed = {one["name"]: one["healthy"] for one in stack.json("status")["guests"]}
    assert listed == {"base": None, "hello-1": True, "hello-2": True, "proxy": True}
    assert stack.run("exec", "hello", "--", "true").returncode == 64
    assert {at for at, _, _ in stack.changes("--target", "hello")} == set()


def test_a_new_version_loses_nothing(stack: Stack, client: Client) -> None:
    version(stack, '"2"')
    plan = stack.json("plan", "--target", "hello")
    assert [one["address"] for one in plan["changes"]] == ["lxc/950", "lxc/951"]
    assert plan["changes"][1]["after"] == ["lxc/950"]
    posts = Client(client.url, method="POST")
    with nothing_lost(client, "a new version", slowest_s=2.5), posts.asking():
        told = events(stack)
    assert_none_lost(posts, "a new version")  # what is never asked twice was let finish
    assert told[-1]["ok"], told[-5:]
    done = [(one["address"], one["step"]) for one in told if one["event"] == "finished"]
    steps = ["drain", "configure", "check", "undrain"]
    assert done[:8] == [(f"lxc/{at}", step) for at in (950, 951) for step in steps]
    both_answer(stack, "2")
    assert client.texts() >= {f"hello from version {v} in hello-1" for v in "12"}


def test_what_is_out_comes_back_with_a_new_nginx(stack: Stack) -> None:
    link = f"/etc/nginx/phoenix-peers/{stack.lab.subnet()}.50-8000.conf"
    stack.inside("proxy", f"ln -sfn $(readlink {link} | sed 's/up$/down/') {link}; nginx -s reload")
    end = time.monotonic() + 20
    while answers(stack) != {"hello from version 2 in hello-2"}:
        assert time.monotonic() < end
    stack.inside("proxy", "systemctl restart nginx")
    both_answer(stack, "2")


def test_the_only_one_that_serves_is_left_alone(stack: Stack, client: Client) -> None:
    stack.inside("hello-2", f"systemctl stop {UNIT}.socket {UNIT}")
    version(stack, '"2b"')
    with nothing_lost(client, "the other one is dead", slowest_s=2.5):
        final: Any = events(stack)[-1]
    (failed,) = final["failed"]
    assert (failed["address"], failed["step"]) == ("lxc/950", "drain")
    assert "hello-1 is the only replica that serves" in failed["message"]
    assert client.texts() == {"hello from version 2 in hello-1"}
    assert stack.changes("--target", "hello-1")[0][1] == "configure"
    again = Client(client.url)
    with nothing_lost(again, "its mending", slowest_s=2.5):
        assert events(stack, "--target", "hello-2")[-1]["ok"]
    assert again.texts() >= {"hello from version 2b in hello-2"}


def test_a_version_that_fails_stops_at_the_first(stack: Stack, client: Client) -> None:
    version(stack, '"3"; raise SystemExit("broken")')
    with nothing_lost(client, "a version that fails", slowest_s=2.5):
        told = events(stack)
    assert not told[-1]["ok"]
    assert {one["address"] for one in told if one["event"] == "failed"} == {"lxc/950"}
    assert {one["address"] for one in told if one["event"] == "skipped"} >= {"lxc/951"}
    assert client.texts() >= {"hello from version 2b in hello-2"}
    version(stack, '"4"')
    again = Client(client.url)
    with nothing_lost(again, "its mending", slowest_s=2.5):
        told = events(stack)
    assert told[-1]["ok"], told[-5:]
    done = [one["address"] for one in told if one["event"] == "finished"]
    assert done[:1] == ["lxc/950"]
    both_answer(stack, "4")
    assert stack.changes() == []


def test_a_restart_of_all_loses_nothing(stack: Stack, client: Client) -> None:
    with stack.edit() as words:
        words["lxc_configs"]["950"]["pct_options"] = ["features=nesting=1"]
    impacts = {(at, impact) for at, _, impact in stack.changes("--target", "hello")}
    assert impacts == {("lxc/950", "restart"), ("lxc/951", "restart")}
    posts = Client(client.url, method="POST")
    slow = Client(f"{client.url}slow/3", per_s=4, method="POST", patience_s=20)
    with nothing_lost(client, "both guests restart", slowest_s=2.5), posts.asking(), slow.asking():
        time.sleep(1)  # some are under way when the first drain begins
        told = events(stack)
    assert_none_lost(posts, "both guests restart")
    assert_none_lost(slow, "both guests restart, slowly", least=20)
    assert min(reply.took for reply in slow.replies) >= 3
    assert told[-1]["ok"], told[-5:]
    both_answer(stack, "4")


def test_a_killed_service_loses_nothing(stack: Stack, client: Client) -> None:
    with nothing_lost(client, "its service is killed", slowest_s=2.5):
        for guest in REPLICAS:
            stack.inside(guest, f"kill -KILL {main_process(stack, guest)}")
            time.sleep(5)
    both_answer(stack, "4")


@pytest.mark.parametrize(("method", "often"), [("POST", 1), ("GET", 2)])
def test_what_is_killed_in_mid_answer_is_asked_again_only_if_it_may(
    stack: Stack, client: Client, method: str, often: int
) -> None:
    path = f"slow/6/{method}"
    kill = f"kill -KILL $(systemctl show -p MainPID --value {UNIT})"
    with ThreadPoolExecutor(1) as pool:
        status = pool.submit(status_of, method, f"{client.url}{path}")
        end = time.monotonic() + 6
        # Not by the command line: it must be done before the answer is.
        while not any(at_once(stack, at, f"{asked(path)} && {kill}; true") for at in (950, 951)):
            assert time.monotonic() < end
    assert status.result() == (502 if method == "POST" else 200)
    said = [at_once(stack, at, f"{asked(path)}; true").splitlines() for at in (950, 951)]
    assert sum(map(len, said)) == often
    both_answer(stack, "4")


def status_of(method: str, url: str) -> int:
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=20)
    connection.request(method, f"/{url.split('/', 3)[3]}")
    return connection.getresponse().status


def at_once(stack: Stack, ident: int, script: str) -> str:
    return incus("exec", "--project", stack.project, f"lxc-{ident}", "--", "sh", "-c", script)


def asked(path: str) -> str:
    """A command that prints a line for each time that a replica was asked for a path."""
    return f"journalctl -u {UNIT} -o cat | grep -x 'asked for /{path}'"


@pytest.mark.long
def test_a_frozen_service_loses_nothing(stack: Stack, client: Client) -> None:
    process = main_process(stack, "hello-1")
    with nothing_lost(client, "its service is frozen", slowest_s=5):
        stack.inside("hello-1", f"kill -STOP {process}")
        time.sleep(10)
        stack.inside("hello-1", f"kill -CONT {process}")
    both_answer(stack)


@pytest.mark.long
def test_a_killed_guest_loses_nothing(stack: Stack, client: Client) -> None:
    pid = json.loads(incus("query", f"/1.0/instances/lxc-951/state?project={stack.project}"))["pid"]
    with nothing_lost(client, "its guest's init is killed", slowest_s=5):
        subprocess.run(["kill", "-KILL", str(pid)], check=True)
        time.sleep(5)
        told = events(stack, "--target", "hello")
    assert told[-1]["ok"], told[-5:]
    both_answer(stack)


@pytest.mark.long
def test_a_cut_network_loses_nothing(stack: Stack, client: Client) -> None:
    with nothing_lost(client, "its network is cut", slowest_s=5):
        stack.inside("hello-2", "ip link set eth0 down")
        time.sleep(8)
        stack.inside("hello-2", "ip link set eth0 up")
    instance(stack, 951, "restart", "--force")
    both_answer(stack)
