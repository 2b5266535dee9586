"""What a look inside prints, and what is read from it; the script itself runs on this machine."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from phoenix_hypervisor.watch.symptoms import Symptoms, read, script

PATIENCE_S = 10


def unit(
    name: str, active: str, state: str = "enabled", *, kind: str = "simple", at: int = 0
) -> str:
    said = {
        "Type": kind,
        "Id": name,
        "LoadState": "loaded",
        "ActiveState": active,
        "SubState": "running" if active == "active" else "dead",
        "UnitFileState": state,
        "ActiveEnterTimestamp": f"@{at}" if at else "",
    }
    return "".join(f"{key}={value}\n" for key, value in said.items() if value or key != "Type")


def looked(*units: str, rest: str = "") -> Symptoms:
    return read("\n".join(units) + "\nnow 1000\nsystem running\n" + rest, PATIENCE_S)


def test_units_that_should_run_and_do_not() -> None:
    found = looked(
        unit("a.service", "failed"),
        unit("b.service", "inactive"),
        unit("off.service", "inactive", "disabled"),
        unit("static.service", "failed", "static"),
        unit("made@1.service", "failed", "enabled-runtime"),
        unit("dump.service", "failed", kind="oneshot"),
        unit("api.socket", "failed", kind=""),
    )
    assert found == Symptoms(dead=("a.service", "b.service", "made@1.service", "api.socket"))


def test_units_that_run_are_given_time_first() -> None:
    found = looked(
        unit("old.service", "active", at=980),
        unit("young.service", "active", at=995),
        unit("begins.service", "activating"),
        unit("api.socket", "active", kind=""),
    )
    assert found.serving == ("old.service",)
    assert found.young == ("young.service", "begins.service")


def test_a_unit_whose_process_was_stopped_is_not_serving() -> None:
    one = unit("nginx.service", "active", at=980)
    found = looked(one, rest="stopped nginx.service\nstopped nginx.service\n")
    assert (found.frozen, found.serving) == (("nginx.service",), ())


def test_the_last_words_of_services_that_ended_badly() -> None:
    rest = (
        "says nginx.service nginx: [emerg] unknown directive\n"
        "says nginx.service \x1b[1mfailed\x0bstopped b.service\n"
        "says silent.service \nsays b.service no such file\n"
    )
    found = looked(unit("nginx.service", "failed"), rest=rest)
    assert found.said == (
        (
            "nginx.service",
            "nginx: [emerg] unknown directive · [1mfailed stopped b.service",
        ),
        ("b.service", "no such file"),
    )
    assert found.frozen == ()


def test_secrets_are_taken_out_of_what_services_said_and_of_nothing_else() -> None:
    said = f"{unit('postgresql.service', 'failed')}\nnow 1000\nsystem running\n"
    said += "says postgresql.service no postgres at " + "x" * 400 + "\n"
    found = read(said, PATIENCE_S, lambda text: text.replace("postgres", "[secret]"))
    assert found.dead == ("postgresql.service",)
    ((name, told),) = found.said
    assert name == "postgresql.service"
    assert told.startswith("no [secret] at x")
    assert len(told) <= 300


SYSTEMCTL = """#!/bin/sh
case "$*" in
*list-units*auto-restart*) printf 'web@a\\x2db.service\\nllm.service\\n' ;;
*list-units*) printf 'web@a\\x2db.service x\\nllm.service x\\n' ;;
*InvocationID*llm*) echo 22 ;;
*InvocationID*) echo 11 ;;
*Result*llm*) echo oom-kill ;;
*Result*) echo exit-code ;;
*is-system-running*) echo degraded ;;
esac
"""
JOURNALCTL = """#!/bin/sh
case "$*" in
*=11) seq -f 'line %.0f' 50; printf 'wrong at the end %0400d\\n' 7 ;;
*) echo 'GET /v1/chat 200' ;;
esac
"""


def test_the_last_words_are_those_of_the_life_that_ended(tmp_path: Path) -> None:
    for name, text in (("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh"], input=script(["web@*.service"], [], []), env={"PATH": path}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert not done.stderr
    said = dict(read(done.stdout, PATIENCE_S).said)
    assert said["llm.service"] == "it was ended by systemd: oom-kill"
    assert said["web@a\\x2db.service"].startswith("line 50 · wrong at the end 0000")
    assert len(said["web@a\\x2db.service"]) <= 300


def test_network_cards() -> None:
    rest = (
        "card eth0 0x1003 1 1\ncard eth1 absent\ncard eth2 0x1003 0 1\n"
        "card eth3 0x1002 0 0\ncard eth4 0x1003 1 0\n"
    )
    found = looked(rest=rest)
    assert found.cut == ("eth1", "eth2")
    assert found.idle == ("eth3", "eth4")


def test_the_guest_as_a_whole() -> None:
    for said, meant in (("running", ""), ("degraded", ""), ("starting", "starting")):
        assert read(f"\nnow 1000\nsystem {said}\n", PATIENCE_S).changing == meant
    for said in ("stopping", "offline", ""):
        assert read(f"\nnow 1000\nsystem {said}\n", PATIENCE_S).changing == "stopping"


def test_the_script_is_plain_shell_and_its_answer_is_understood(tmp_path: object) -> None:
    text = script(["none-'such.service"], [str(tmp_path), "/nowhere"], ["lo", "none0"])
    done = subprocess.run(["sh"], input=text, capture_output=True, text=True, check=True)
    found = read(done.stdout, PATIENCE_S)
    assert found.full == ()
    assert found.cut == ("none0",)
    assert "none-'such.service" not in found.dead


def on_a_disk(folder: Path, before: str) -> tuple[tuple[str, ...], str]:
    """What counts as full of a new disk at `folder`, which `before` has prepared; what lies there
    after that, and what `precious` holds. In a mount namespace of its own.
    """
    text = f"""
mount -t tmpfs -o size=1m,nr_inodes=20 tmpfs {folder} && cd {folder} || exit 1
{before}
{script([], [str(folder)], [])}
echo; echo left; ls -A {folder}; tail precious 2>/dev/null
"""
    argv = ["unshare", "--user", "--map-root-user", "--mount", "sh"]
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    assert not done.stderr
    said, _, left = done.stdout.partition("\nleft\n")
    return read(said, PATIENCE_S).full, left


FILL = "dd if=/dev/zero of=filled bs=64k 2>/dev/null"


@pytest.mark.parametrize(
    ("before", "full"),
    [
        (FILL, True),
        ("touch $(seq 30) 2>/dev/null", True),
        (":", False),
        ("dd if=/dev/zero of=filled bs=64k count=8 2>/dev/null", False),
        (f"{FILL}; mount -o remount,ro .", False),
    ],
    ids=["bytes", "inodes", "empty", "half", "read-only"],
)
def test_a_disk_that_takes_nothing_more(tmp_path: Path, before: str, full: bool) -> None:
    found, left = on_a_disk(tmp_path, before)
    assert found == ((str(tmp_path),) if full else ())
    assert ".phoenix" not in left


@pytest.mark.parametrize("locked", [True, False])
def test_an_upgrade_of_packages_is_seen_by_its_lock(tmp_path: Path, *, locked: bool) -> None:
    lock = tmp_path / "lock-frontend"
    text = script([], [], []).replace("/var/lib/dpkg/lock-frontend", str(lock))
    with lock.open("w") as file:
        if locked:
            fcntl.lockf(file, fcntl.LOCK_EX)  # as dpkg does
        done = subprocess.run(["sh"], input=text, capture_output=True, text=True, check=True)
    assert read(done.stdout, PATIENCE_S).upgrading == locked


def test_a_disk_with_plenty_is_not_written_to(tmp_path: Path) -> None:
    text = script([], [str(tmp_path)], [])
    refused = 'dd() { echo "No space left on device"; return 1; }\n'
    done = subprocess.run(["sh"], input=refused + text, capture_output=True, text=True, check=True)
    assert read(done.stdout, PATIENCE_S).full == ()


def test_no_link_that_lies_there_is_written_through(tmp_path: Path) -> None:
    # As somebody lays it who knows the name: the shell itself has to refuse it.
    known = "cat() { echo known; }; echo kept >precious; ln -s precious .phoenix-known; "
    known += "ln -s precious .phoenix-is-there-room"
    found, left = on_a_disk(tmp_path, known)
    assert found == ()
    assert left.split() == [".phoenix-is-there-room", ".phoenix-known", "precious", "kept"]
