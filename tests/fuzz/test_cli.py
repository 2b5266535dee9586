"""The command line as a whole, in this process, on folders of any kind: a known exit status, no
traceback, and with --json one document on standard output.
"""

import contextlib
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz.choices import Choices, FromDraws, one_in, pick
from tests.fuzz.folders import SECRETS, VARIABLE, Folder
from tests.fuzz.making import TEXTS

from phoenix_hypervisor.cli.main import run

ADDRESSES = ("lxc/101", "101", "web", "vm/201", "storage/tank", "bridge/br0", "lxc/999", "²", "")
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("validate",),
    ("plan",),
    ("plan", "--prune"),
    ("plan", "--detailed-exitcode"),
    ("plan", "--target"),
    ("plan", "--reconfigure"),
    ("apply", "--yes"),
    ("apply", "--yes", "--prune"),
    ("apply", "--yes", "--target"),
    ("apply",),
    ("destroy", "--yes"),
    ("destroy", "--all", "--yes"),
    ("status",),
    ("check",),
    ("adopt", "--all", "--yes"),
    ("exec",),
    ("logs",),
)
UNHURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as place:
        yield Path(place)


def command_line(choices: Choices, folder: Path) -> list[str]:
    """A command that makes sense, or nearly."""
    words = list(pick(choices, COMMANDS))
    if words[-1].startswith("--") or words[0] in ("exec", "logs", "destroy"):
        words.append(pick(choices, TEXTS if one_in(choices, 4) else ADDRESSES))
    if words[0] == "exec":
        words += ["--", "true"]
    if one_in(choices, 3):
        words.insert(0, "--json")
    if one_in(choices, 20):
        words.insert(choices.below(len(words)), pick(choices, TEXTS))
    return ["--dir", str(folder), "--on", "sim", *words]


@given(st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=UNHURRIED)
def test_no_command_line_ends_in_a_traceback(scratch: Path, data: st.DataObject) -> None:
    choices = FromDraws(data.draw)
    folder = Folder.of(choices, scratch)
    folder.change(choices, 2)
    folder.write(choices)
    environ = SECRETS | {VARIABLE: str(scratch / "node.json")}
    for _ in range(1 + choices.below(2)):
        words = command_line(choices, folder.place)
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = run(words)
        assert status in (0, 1, 2, 64), (words, err.getvalue())
        assert "Traceback" not in out.getvalue() + err.getvalue()
        if "--json" in words and status != 64:
            _one_document(words, out.getvalue())
        if status not in (0, 2):
            assert out.getvalue() + err.getvalue(), words


def _one_document(words: list[str], text: str) -> None:
    rows = text.splitlines() if "apply" in words or "adopt" in words else [text]
    if "destroy" in words:
        rows = text.splitlines()
    if "exec" in words or "logs" in words:
        return  # a guest's own words, or an error
    assert rows, words
    for row in rows:
        assert isinstance(json.loads(row), dict), words
