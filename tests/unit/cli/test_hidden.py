"""What a bug, a log or a crash leaves behind holds no secret: real processes, injected bugs."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.canary import Canary, seen

SECRET = Canary("REDIS", "p4 '{}' \"$x\" ü\n{}-second\n")
HERE = Canary("LITERAL", "here-{}")
ALL = [SECRET, HERE]

# The planner is replaced by what goes wrong; it has the secret in its locals, as any code might.
INJECTED = """
import logging, os, sys, threading, warnings
from phoenix_hypervisor.cli.main import run
from phoenix_hypervisor.model import errors
from phoenix_hypervisor.plan import make

def wrong(desired, *rest, **more):
    value = {value!r}
    other = {other!r}
    {body}

make.make = wrong
sys.exit(run(sys.argv[1:]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    hypervisor = {"stack": "hidden", "pools": {"pool": {"size_gb": 5}}}
    network = {"name": "eth0", "bridge": "br0", "ip": "10.9.8.7/24", "gw": "10.9.8.1"}
    guest = {
        "name": "one",
        "template": "debian-13-standard",
        "memory_mb": 256,
        "cores": 1,
        "storage_pool": "pool",
        "storage_size_gb": 2,
        "network_config": network,
        "features": ["base_setup", "redis"],
        "redis": {"password": {"secret": "REDIS"}},
    }
    second = guest | {
        "name": "two",
        "network_config": network | {"ip": "10.9.8.8/24"},
        "redis": {"password": HERE.value},
    }
    files = {
        "phoenix_hypervisor_config.json": {"hypervisor": hypervisor},
        "phoenix_lxc_configs.json": {"lxc_configs": {"101": guest, "102": second}},
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    return tmp_path


def _run(folder: Path, body: str, *words: str) -> tuple[int, str, str]:
    script = INJECTED.format(value=SECRET.value, other=HERE.value, body=body)
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "faulthandler",
            "-c",
            script,
            "--dir",
            folder,
            "--on",
            "sim",
            *words,
        ],
        env=os.environ | {"REDIS": SECRET.value, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert seen(ALL, done.stdout + done.stderr) == []
    return done.returncode, done.stdout, done.stderr


BUG = "raise RuntimeError(f'it was {value!r} and {other}') from ValueError(value)"


def test_a_bug_is_told_as_one(folder: Path) -> None:
    status, out, err = _run(folder, BUG, "plan")
    assert (status, out) == (1, "")
    assert "ValueError: [secret]" in err
    assert "RuntimeError: it was '[secret]' and [secret]" in err
    assert "this is a bug" in err


def test_a_bug_is_told_as_json(folder: Path) -> None:
    status, out, _ = _run(folder, BUG, "plan", "--json")
    assert status == 1
    assert "[secret]" in json.loads(out)["error"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("logging.getLogger('any').debug('it is %s: %r', value, {'b': other})", "DEBUG:any:it is"),
        ("logging.error(ValueError(value))", "ERROR:root:[secret]"),
        (
            "try:\n        1 / 0; value\n    except ZeroDivisionError as error:\n"
            "        error.add_note(value)\n        logging.exception('it is ' + other)",
            "ZeroDivisionError",
        ),
        ("raise errors.PhoenixError('it is ' + value, hint=other, detail=value)", "error: it is"),
        (
            "import asyncio\n    asyncio.get_running_loop().call_exception_handler("
            "{'message': value, 'exception': ValueError(other)})",
            "ERROR:asyncio:[secret]",
        ),
    ],
)
def test_logs_and_errors(folder: Path, body: str, told: str) -> None:
    _, _, err = _run(folder, body, "--log-level", "debug", "plan")
    assert told in err
    assert "[secret]" in err


def test_a_crash_shows_no_values_and_dumps_no_core(folder: Path) -> None:
    body = (
        "import resource\n    print(resource.getrlimit(resource.RLIMIT_CORE), file=sys.stderr)\n"
        "    sys.stderr.flush(); os.abort()"
    )
    status, _, err = _run(folder, body, "plan")
    assert status == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in err
    assert "(0, 0)" in err


def test_started_processes_do_not_inherit_secrets(folder: Path) -> None:
    body = (
        "import subprocess\n    said = subprocess.run(['env'], capture_output=True, text=True)\n"
        "    print('REDIS' in said.stdout, 'HOME' in said.stdout, file=sys.stderr)\n"
        "    sys.stdout.write(said.stdout); raise errors.UsageError('over')"
    )
    status, _, err = _run(folder, body, "plan")
    assert status == 64
    assert "False True\n" in err


def test_a_process_of_the_driver_inherits_no_secret(folder: Path) -> None:
    body = (
        "return old_make(desired, *rest, **more)\n\n"
        "import subprocess\nfrom phoenix_hypervisor import drivers\n"
        "old_open = drivers.open_driver\n"
        "def opened(*words, **more):\n"
        "    said = subprocess.run(['env'], capture_output=True, text=True).stdout\n"
        "    print('driver:', 'REDIS' in said, 'HOME' in said, file=sys.stderr)\n"
        "    return old_open(*words, **more)\n"
        "drivers.open_driver = opened\nold_make = make.make"
    )
    status, _, err = _run(folder, body, "plan")
    assert "driver: False True\n" in err
    assert status == 0, err


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")
def test_no_core_goes_to_a_program_either(folder: Path) -> None:
    body = (
        "import ctypes\n    print('dumpable:', ctypes.CDLL(None).prctl(3), file=sys.stderr)\n"
        "    raise errors.UsageError('over')"
    )
    assert "dumpable: 0\n" in _run(folder, body, "plan")[2]


def test_an_error_that_cuts_a_secret(folder: Path) -> None:
    body = "raise errors.PhoenixError('got ' + repr('x' * 150 + value[:18] + '…'))"
    _, _, err = _run(folder, body, "plan")
    assert "x[secret]…" in err
