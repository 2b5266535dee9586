"""The quickstart, from nothing to verified data, changed, and away again: real containers."""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.stack import ROOT, Stack, copy_of, environ_secrets
from tests.support import lab

pytestmark = [pytest.mark.incus, pytest.mark.usefixtures("incus_daemon")]

PASSWORD = "only-for-this-test-81"
KEY = "a-key-of-this-test-82"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, incus_daemon: None) -> Iterator[Stack]:
    corner = lab.Lab("q")
    replaced = {
        "10.98.76": corner.subnet(),
        "phxquick0": corner.name,
        "phoenix-quickstart": corner.name,
    }
    target = tmp_path_factory.mktemp("quickstart") / "folder"
    made = copy_of(ROOT / "examples" / "quickstart", target, corner, replaced)
    environ_secrets(target, PORTFOLIO_DB_PASSWORD=PASSWORD, LLM_API_KEY=KEY)
    try:
        done = made.run("apply", "--yes", limit_s=900)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"open http://{corner.subnet()}.13/" in done.stdout
        yield made
    finally:
        lab.clear(corner.name)


def ask(stack: Stack, path: str, body: object = None, key: str = "") -> str:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(
        f"http://{stack.lab.subnet()}.13{path}", data=data, headers=headers
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        return str(reply.read().decode())


def test_the_page_is_served(stack: Stack) -> None:
    assert "<title>Portfolio</title>" in ask(stack, "/")


def test_what_is_posted_through_the_proxy_is_in_postgresql(stack: Stack) -> None:
    title = "O'Brien's “test”; drop table projects"
    posted = json.loads(ask(stack, "/api/projects", {"title": title, "summary": "kept literally"}))
    listed = json.loads(ask(stack, "/api/projects"))
    assert title in [project["title"] for project in listed["projects"]]
    query = f"select title from projects where id = {posted['id']}"
    assert stack.inside("db", f"sudo -u postgres psql -tA portfolio -c '{query}'") == title


def test_an_answer_cites_a_project_that_was_just_added(stack: Stack) -> None:
    proof = [sys.executable, str(stack.folder / "prove.py")]
    done = subprocess.run(proof, capture_output=True, text=True, timeout=120, check=False)
    assert re.fullmatch(r"verified: \d+ tokens in \d+\.\d s, 2 sources cited\n", done.stdout), done
    summary = "Boots from a punched card; the spindle is driven by a stepper motor."
    added = json.loads(ask(stack, "/api/projects", {"title": "Loom", "summary": summary}))
    answer = json.loads(
        ask(stack, "/api/ask", {"question": "What drives the spindle of the loom?"})
    )
    assert added["id"] in [source["id"] for source in answer["sources"]]
    assert answer["tokens"] > 0
    assert answer["answer"]


def test_an_answer_comes_as_it_is_made(stack: Stack) -> None:
    said = ask(stack, "/api/ask", {"question": "How does the search work?", "stream": True})
    names = re.findall(r"^event: (\w+)$", said, re.MULTILINE)
    assert (names[0], names[-1], set(names[1:-1])) == ("sources", "done", {"token"})


def test_the_model_answers_whoever_has_the_key_through_the_proxy_alone(stack: Stack) -> None:
    for key in ("", "wrong"):
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            ask(stack, "/v1/models", key=key)
        assert "error" in json.loads(refused.value.read())
    models = json.loads(ask(stack, "/v1/models", key=KEY))
    assert [model["id"] for model in models["data"]] == ["smollm2"]
    hello = {
        "model": "smollm2",
        "max_tokens": 8,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    answer = json.loads(ask(stack, "/v1/chat/completions", hello, key=KEY))
    assert answer["choices"][0]["message"]["content"]
    with pytest.raises(OSError, match=r"refused|timed out|No route"):
        socket.create_connection((f"{stack.lab.subnet()}.14", 8080), timeout=3)


def test_a_second_apply_changes_nothing_and_is_quick(stack: Stack) -> None:
    begin = time.monotonic()
    done = stack.run("apply", "--yes")
    took = time.monotonic() - begin
    assert done.returncode == 0
    assert "no changes" in done.stdout
    assert took < 15  # other tests run beside this one; alone it takes two (docs/benchmarks.md)
    assert stack.run("plan", "--detailed-exitcode").returncode == 0
    assert stack.json("plan")["changes"] == []


def test_status_and_checks_tell_the_truth(stack: Stack) -> None:
    guests = {guest["name"]: guest for guest in stack.json("status")["guests"]}
    assert guests["base"]["state"] == "stopped"
    assert guests["base"]["healthy"] is None
    for name in ("db", "llm", "api", "web"):
        assert guests[name]["state"] == "running"
        assert guests[name]["healthy"] is True
        assert guests[name]["addresses"][0].startswith(stack.lab.subnet())
    stack.inside("api", "systemctl stop portfolio-api.socket portfolio-api.service")
    try:
        done = stack.run("--json", "check")
        assert done.returncode == 1
        broken = {g["name"]: g["healthy"] for g in json.loads(done.stdout)["guests"]}
        assert broken == {"base": None, "db": True, "llm": True, "api": False, "web": False}
    finally:
        stack.inside("api", "systemctl start portfolio-api.socket")
    # The first request starts the service, which takes its time where other tests run beside it.
    deadline = time.monotonic() + 60
    while (done := stack.run("check")).returncode and time.monotonic() < deadline:
        time.sleep(1)
    assert done.returncode == 0, done.stdout


def test_no_secret_is_told_anywhere(stack: Stack) -> None:
    told = stack.ok("--json", "plan", "--reconfigure", "api")
    told += stack.ok("plan", "--reconfigure", "101") + stack.ok("--json", "status")
    told += lab.incus("query", f"/1.0/instances/lxc-102?project={stack.project}")
    done = stack.run("--json", "apply", "--yes", "--reconfigure", "api", "--target", "api")
    assert done.returncode == 0
    told += done.stdout + done.stderr
    assert PASSWORD not in told


def test_memory_is_one_live_update(stack: Stack) -> None:
    boot = stack.inside("api", "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1")
    with stack.edit() as words:
        words["lxc_configs"]["102"]["memory_mb"] += 64
    assert stack.changes() == [("lxc/102", "update", "live")]
    assert stack.run("plan", "--detailed-exitcode").returncode == 2
    stack.ok("apply", "--yes")
    limit = lab.query(f"/1.0/instances/lxc-102?project={stack.project}")["config"]["limits.memory"]
    assert limit == "576MiB"
    assert stack.inside("api", "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1") == boot
    assert stack.changes() == []


def test_an_option_is_one_configure(stack: Stack) -> None:
    with stack.edit() as words:
        words["lxc_configs"]["101"]["postgresql"]["settings"]["work_mem"] = "7MB"
    assert stack.changes() == [("lxc/101", "configure", "live")]
    stack.ok("apply", "--yes")
    assert stack.inside("db", "sudo -u postgres psql -tAc 'show work_mem'") == "7MB"
    assert stack.changes() == []


def test_a_saved_plan_is_refused_when_the_world_has_moved(stack: Stack, tmp_path: Path) -> None:
    saved = str(tmp_path / "saved.plan")
    with stack.edit() as words:
        words["lxc_configs"]["103"]["memory_mb"] = 544
    stack.ok("plan", "--out", saved)
    lab.incus("config", "set", "--project", stack.project, "lxc-103", "limits.cpu=1")
    refused = stack.run("apply", "--plan", saved)
    assert refused.returncode == 1
    assert "lxc/103 (what is really there)" in refused.stderr
    stack.ok("plan", "--out", saved)
    stack.ok("apply", "--plan", saved)
    assert stack.changes() == []
    again = stack.run("apply", "--plan", saved)
    assert again.returncode == 1
    assert "no longer fits" in again.stderr


def test_a_changed_template_is_retaken_and_its_clones_are_left_alone(stack: Stack) -> None:
    before = stack.inside("web", "cat /proc/sys/kernel/random/boot_id")
    with stack.edit() as words:
        words["lxc_configs"]["900"]["base_setup"] = {"packages": ["tree"]}
    plan = stack.json("plan")
    assert [(c["address"], c["action"]) for c in plan["changes"]] == [("lxc/900", "configure")]
    assert "lxc/101, lxc/102, lxc/104, lxc/103" in plan["changes"][0]["reason"]
    stack.ok("apply", "--yes")
    assert stack.changes() == []
    assert stack.inside("web", "cat /proc/sys/kernel/random/boot_id") == before
    assert stack.run("exec", "web", "--", "which", "tree").returncode == 1


def test_what_leaves_the_files_is_kept_without_prune(stack: Stack) -> None:
    with stack.edit() as words:
        gone = words["lxc_configs"].pop("103")
    try:
        plan = stack.json("plan")
        assert not [c for c in plan["changes"] if c["impact"] == "destructive"]
        assert plan["kept"] == ["lxc/103"]
        # The service no longer trusts what the proxy that is gone says of its callers, and the
        # model server's port is closed to it.
        assert set(stack.changes()) == {
            ("lxc/102", "configure", "live"),
            ("lxc/104", "update", "live"),
        }
        assert set(stack.changes("--prune")) - set(stack.changes()) == {
            ("lxc/103", "delete", "destructive")
        }
    finally:
        with stack.edit() as words:
            words["lxc_configs"]["103"] = gone


def test_exec_passes_output_and_status_on(stack: Stack) -> None:
    done = stack.run("exec", "db", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert "postgres" in stack.ok("logs", "db", "-n", "500")


def test_destroy_leaves_nothing_and_touches_nothing_else(stack: Stack) -> None:
    """Comes last."""
    others = {one["name"] for one in lab.query("/1.0/networks?recursion=1")} - {stack.lab.name}
    stack.ok("destroy", "--all", "--yes")
    projects = [one["name"] for one in lab.query("/1.0/projects?recursion=1")]
    pools = [one["name"] for one in lab.query("/1.0/storage-pools?recursion=1")]
    networks = {one["name"] for one in lab.query("/1.0/networks?recursion=1")}
    assert stack.lab.name not in {*projects, *pools, *networks}
    assert networks >= others - {name for name in others if name.startswith("phxt")}
