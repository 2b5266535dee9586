"""Canary secrets through a real apply, a failing one and all that tells of them: none gets out."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.stack import Stack, write
from tests.support import lab
from tests.support.canary import Canary, Watch, seen

from phoenix_hypervisor.config.secrets.store import Store

pytestmark = [pytest.mark.incus, pytest.mark.usefixtures("incus_daemon")]

FROM_ENVIRONMENT = Canary("FROM_ENVIRONMENT", "p4-{}")
FROM_FILE = Canary("FROM_FILE", "x'{}\"$HOME`id`\\ %s ünï\n second {}\t#;&|<>{}")
FROM_AGE = Canary("FROM_AGE", "-----BEGIN KEY-----\n{}{}{}\n{}\n-----END KEY-----\n")
LITERAL = Canary("LITERAL", "r-{}-is")  # it stands in the folder's own files
SCRIPTS = [FROM_ENVIRONMENT, FROM_FILE, FROM_AGE]
ALL = [*SCRIPTS, LITERAL]

# Says its secrets in every way it can think of; `fail` ends badly, `bad` lets a check fail.
SCRIPT = r"""#!/bin/bash
rm -f /root/bad
for name in FROM_ENVIRONMENT FROM_FILE FROM_AGE; do
    value=${!name}
    printf %s "$value" | sha256sum | cut -c1-64 >"/root/$name"
    echo "$name is $value"
    printf '%q\n' "$value" >&2
    printf %s "$value" | base64
    printf 'user:%s' "$value" | base64 -w0; echo
    printf %s "$value" | od -An -tx1 | tr -d ' \n'; echo
    python3 -c 'import json,os,sys,urllib.parse as u; v=os.environ[sys.argv[1]]
print(json.dumps({"v": v}), repr(v), u.quote(v, safe=""), u.urlencode({"v": v}))' "$name" || true
    logger -t canary "$value"
    head -c 70000 /dev/zero | tr '\0' x; printf '%s' "$value" | tr '\n' ' '; echo
    sleep 0.15
done
( set -x; : "$FROM_FILE" "$FROM_ENVIRONMENT"; true )
printf '%s\n' "$FROM_ENVIRONMENT" >/root/seen
[ "$1" = bad ] && touch /root/bad
head -c 65500 /dev/zero | tr '\0' y; printf %s "$FROM_ENVIRONMENT$FROM_ENVIRONMENT"; echo
[ "$1" != fail ] || { echo "failing with $FROM_FILE" >&2; exit 7; }
"""


class Told:
    """All that came out so far."""

    def __init__(self, stack: Stack, watch: Watch, environ: dict[str, str]) -> None:
        self._stack, self._watch, self._environ = stack, watch, environ
        self.parts: dict[str, str] = {}

    def run(self, *words: str, status: int = 0) -> str:
        """Runs Phoenix with the secrets in its environment, and keeps what it says."""
        process = subprocess.Popen(
            self._stack.argv("--log-level", "debug", *words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environ,
        )
        self._watch.own.add(process.pid)
        said, _ = process.communicate(timeout=240)
        self.parts[f"{len(self.parts)}: phoenix {' '.join(words)}"] = said
        assert process.returncode == status, f"{words}: exit {process.returncode}\n{said[-6000:]}"
        return said


@pytest.fixture
def stack(tmp_path: Path, incus_daemon: None) -> Iterator[Stack]:
    corner = lab.Lab("h")
    guests = {
        "601": {
            "template": "debian-13-standard",
            "features": ["base_setup", "redis"],
            "redis": {"password": LITERAL.value},
            "application_script": "tell.sh",
            "application_script_args": ["well"],
            "application_script_env": {one.name: {"secret": one.name} for one in SCRIPTS},
            "checks": [
                {
                    "command": {
                        "command": "test ! -e /root/bad || { cat /root/seen; exit 1; }",
                        "deadline_s": 2,
                    }
                }
            ],
        }
    }
    made = write(tmp_path / "folder", corner, guests)
    (made.folder / "scripts").mkdir()
    (made.folder / "scripts" / "tell.sh").write_text(SCRIPT)
    try:
        yield made
    finally:
        lab.clear(corner.name)


def _mode(stack: Stack, word: str) -> None:
    with stack.edit() as words:
        words["lxc_configs"]["601"]["application_script_args"] = [word]


def _hypervisor(stack: Stack) -> str:
    """All that Incus keeps of the project's guests."""
    shown = lab.incus("query", f"/1.0/instances?recursion=2&project={stack.project}")
    logs = Path("/var/log/incus").glob(f"{stack.project}_*/*")
    return shown + "".join(path.read_text(errors="replace") for path in logs if path.is_file())


def _phoenix_folder(stack: Stack) -> bytes:
    files = [path for path in (stack.folder / ".phoenix").rglob("*") if path.is_file()]
    assert files, "there is no history"
    return b"".join(path.read_bytes() for path in files)


def _prepare(stack: Stack, home: Path) -> tuple[dict[str, str], list[Canary]]:
    """One secret in each place; the environment for Phoenix, and all that must not be seen."""
    home.mkdir()
    environ = os.environ | {"HOME": str(home)}
    store = Store(stack.folder, environ)
    store.start("canary")
    store.change(lambda values: values.update({FROM_AGE.name: FROM_AGE.value}))
    subprocess.run(
        stack.argv("secrets", "set", FROM_FILE.name, "--local"),
        input=f"{FROM_FILE.value}\n".encode(),
        check=True,
        capture_output=True,
    )
    key = (home / ".config/phoenix/age.key").read_text().splitlines()[-1]
    environ |= {FROM_ENVIRONMENT.name: FROM_ENVIRONMENT.value, "PHOENIX_AGE_IDENTITY": key}
    return environ, [*ALL, Canary("KEY", "{}", word=key[-30:])]


def _apply_well(told: Told, plan: Path) -> None:
    told.run("plan")
    told.run("--json", "plan", "--out", str(plan))
    told.run("apply", "--yes")
    arrived = told.run("exec", "601", "--", "sh", "-c", "cat /root/FROM_*")
    for one in SCRIPTS:
        assert hashlib.sha256(one.value.encode()).hexdigest() in arrived, one.name
    assert "[secret]" in told.run("logs", "601", "-n", "400")
    told.run("status")


def _apply_badly(told: Told, stack: Stack) -> None:
    _mode(stack, "fail")
    failed = told.run("apply", "--yes", status=1)
    assert "failing with [secret]" in failed
    told.run("plan")
    _mode(stack, "bad")
    assert "[secret]" in told.run("--json", "apply", "--yes", status=1)
    assert "[secret]" in told.run("--json", "status")
    told.run("check", status=1)


def test_no_canary_gets_out(stack: Stack, tmp_path: Path) -> None:
    environ, canaries = _prepare(stack, tmp_path / "home")
    plan = tmp_path / "plan.json"
    with Watch(canaries) as watch:
        told = Told(stack, watch, environ)
        _apply_well(told, plan)
        _apply_badly(told, stack)
        for words in ("drift --deep", "history", "--json history", "secrets list", "validate"):
            told.run(*words.split())
        record = told.run("exec", "601", "--", "cat", "/var/lib/phoenix/applied.json")
        subprocess.run([sys.executable, "-c", "import time; time.sleep(2)", "c0ntrol"], check=True)

    assert any(b"c0ntrol" in data for data in watch.seen)  # it does look
    assert watch.found == []
    assert '"redis"' in record
    everything: dict[str, str | bytes] = dict(told.parts)
    everything |= {"plan": plan.read_bytes(), ".phoenix": _phoenix_folder(stack)}
    everything["incus"] = _hypervisor(stack)
    leaks = {name: found for name, text in everything.items() if (found := seen(canaries, text))}
    assert not leaks, "\n".join(f"{name}: {one}" for name, found in leaks.items() for one in found)
