"""The same 25 operations in five containers, by Ansible with its own Incus connection and by us.

Ansible is set as its users set it where speed counts: pipelining, no gathering of facts, all
hosts at once. Package downloads are left aside: what the operations ask for is there already.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.bench.clock import Row, once, run, times
from tests.e2e.stack import ROOT, Stack, write
from tests.support import lab

_GUESTS, _RUNS = 5, 5
_ANSIBLE = Path(__file__).with_name("ansible")
_PHOENIX = str(Path(__file__).with_name("phoenix.py"))
_PYTHON_IN_GUESTS = (
    "#!/bin/sh\nset -e\napt-get update -qq\napt-get install -yqq python3 >/dev/null\n"
)
_READY = "until systemctl is-system-running | grep -qE 'running|degraded'; do sleep 0.1; done"
_PENDING = 2


def rows(folder: Path) -> Iterator[Row]:
    """First and second run of both, from the same snapshots. By the clock."""
    subprocess.run([ROOT / "lab" / "bench.sh"], check=True, timeout=600)
    corner = lab.Lab("i")
    try:
        stack = _guests(folder, corner)
        with stack.edit() as words:
            for ident in _idents():
                words["lxc_configs"][ident]["features"] = ["bench_work"]
        argv = [sys.executable, _PHOENIX, "--dir", str(stack.folder), "--on", "incus"]
        apply = [*argv, "apply", "--yes", "--parallel", str(_GUESTS)]
        first: list[float] = []
        for _ in range(2):
            _restore(corner)
            first.append(once(lambda: run(apply)))
        again = [once(lambda: run(apply)) for _ in range(_RUNS)]
        deep = [
            once(lambda: run([*argv, "drift", "--deep"], statuses=(0, _PENDING)))
            for _ in range(_RUNS)
        ]
        _restore(corner)
        playbook = _ansible(folder, corner)
        theirs = once(lambda: run(playbook, _SETTINGS))
        theirs_again = once(lambda: run(playbook, _SETTINGS))
    finally:
        lab.clear(corner.name)
    yield Row("Ansible, first run", theirs)
    yield Row("Ansible, second run", theirs_again)
    for what, took, other, compared, goal in (
        ("`phoenix apply`, first run", min(first), theirs, "Ansible's first", 12),
        ("`phoenix drift --deep`", median(deep), theirs_again, "Ansible's second", 12),
        ("`phoenix apply`, second run", median(again), theirs_again, "Ansible's second", 50),
    ):
        ratio = other / took
        told = f"{times(ratio)} as fast as {compared}"
        yield Row(what, took, told, ratio, goal=goal, faster=True)


_SETTINGS = {
    "ANSIBLE_PIPELINING": "1",
    "ANSIBLE_FORKS": str(_GUESTS),
    "ANSIBLE_HOST_KEY_CHECKING": "0",
    "ANSIBLE_RETRY_FILES_ENABLED": "0",
    "ANSIBLE_LOCALHOST_WARNING": "0",
    "LC_ALL": "C.UTF-8",
}


def _idents() -> list[str]:
    return [str(101 + n) for n in range(_GUESTS)]


def _guests(folder: Path, corner: lab.Lab) -> Stack:
    template = {
        "template": "debian-13-standard",
        "application_script": "python.sh",
        "template_snapshot_name": "base",
    }
    # A script that does nothing: what a clone gets once, an identity of its own, is not measured.
    clone = {"clone_from_ctid": "900", "application_script": "nothing.sh"}
    clones = dict.fromkeys(_idents(), clone)
    stack = write(folder, corner, {"900": template, **clones})
    for name, text in (("python.sh", _PYTHON_IN_GUESTS), ("nothing.sh", "#!/bin/sh\n")):
        script = folder / name
        script.write_text(text)
        script.chmod(0o755)
    stack.ok("apply", "--yes", "--parallel", str(_GUESTS))
    for ident in _idents():
        run(["incus", "snapshot", "create", f"--project={corner.name}", f"lxc-{ident}", "clean"])
    return stack


def _restore(corner: lab.Lab) -> None:
    for ident in _idents():
        project, name = f"--project={corner.name}", f"lxc-{ident}"
        run(["incus", "snapshot", "restore", project, name, "clean"])
        run(["incus", "exec", project, "-T", name, "--", "sh", "-c", _READY])


def _ansible(folder: Path, corner: lab.Lab) -> list[str]:
    hosts: dict[str, dict[str, str]] = {f"lxc-{ident}": {} for ident in _idents()}
    variables = {
        "ansible_connection": "community.general.incus",
        "ansible_incus_project": corner.name,
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}))
    program = ROOT / ".venv-bench" / "bin" / "ansible-playbook"
    return [str(program), "-i", str(inventory), str(_ANSIBLE / "playbook.yml")]
