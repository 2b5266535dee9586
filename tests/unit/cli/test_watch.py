"""`phoenix watch` as a person or program sees it; what it sees of guests is tested elsewhere."""

import asyncio
import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.e2e.stack import HYPERVISOR, LXC, PHOENIX
from tests.support.watching import Watching

from phoenix_hypervisor.cli import _watch, watch
from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.watching import Happening

FALLEN = Happening(1000.25, "heal", Address("lxc/101"), "it is [stopped]", "restart")


class Reader(Context):
    """A reader who takes lines only while `open`."""

    def __init__(self) -> None:
        super().__init__()
        self.json = True
        self.open = threading.Event()
        self.lines: list[object] = []

    def document(self, value: object) -> None:
        self.open.wait(30)
        self.lines.append(value)


def folder(path: Path) -> list[str]:
    (path / HYPERVISOR).write_text('{"hypervisor": {"driver": "sim", "stack": "quiet"}}')
    (path / LXC).write_text('{"lxc_configs": {}}')
    return [str(PHOENIX), "--dir", str(path)]


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_a_reader_who_stops_reading_holds_nobody_up() -> None:
    reader = Reader()
    began = time.monotonic()
    with _watch.Teller(reader) as tell:
        for _ in range(1000):
            tell(FALLEN)
        assert time.monotonic() - began < 1
        reader.open.set()
    assert len(reader.lines) == 1000


def test_an_alert_names_its_guest_once() -> None:
    told = Happening(1000.25, "alert", Address("lxc/101"), "lxc/101 (web) is down", "page down lx")
    assert _watch.line(told).endswith("[/] page: lxc/101 (web) is down")
    over = dataclasses.replace(told, what="resolved")
    assert _watch.line(over).endswith("[/] page: lxc/101 (web) is down")


def test_a_line_that_can_not_be_shown_is_the_only_one_that_is_not() -> None:
    reader = Reader()
    reader.open.set()
    takes = reader.document

    def document(value: dict[str, object]) -> None:
        if value["message"] == "bad":
            raise UnicodeEncodeError("utf-8", "\udce9", 0, 1, "surrogates not allowed")
        if value["message"] == "full":
            raise OSError(28, "No space left on device")
        takes(value)

    reader.document = document  # type: ignore[method-assign, assignment]
    with _watch.Teller(reader) as tell:
        for text in ("bad", "full", "good"):
            tell(dataclasses.replace(FALLEN, text=text))
    assert [line["message"] for line in reader.lines] == ["good"]  # type: ignore[index]


async def test_only_its_own_limit_is_a_good_end() -> None:
    class Slow:
        async def run(self) -> None:
            await asyncio.sleep(60)

    class Broken:
        async def run(self) -> None:
            raise TimeoutError

    await watch._until_ended(Slow(), 0.05)  # type: ignore[arg-type]
    for seconds in (None, 60):
        with pytest.raises(TimeoutError):
            await watch._until_ended(Broken(), seconds)  # type: ignore[arg-type]


def test_a_line_for_people_and_one_for_programs_say_the_same() -> None:
    assert _watch.as_json(FALLEN) == {
        "event": "heal",
        "at": 1000.25,
        "guest": "lxc/101",
        "step": "restart",
        "message": "it is [stopped]",
    }
    assert _watch.line(FALLEN).endswith(r"lxc/101 restart it is \[stopped]")


def test_it_ends_after_the_time_that_it_was_given(tmp_path: Path) -> None:
    done = run(*folder(tmp_path), "--json", "watch", "--for", "1.5")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, "")
    assert [line["event"] for line in lines] == ["watching", "away", "report"]
    assert lines[-1]["checks"] == 0


def test_ctrl_c_is_its_good_end(tmp_path: Path) -> None:
    with Watching([*folder(tmp_path), "--json", "watch"], tmp_path) as it:
        it.wait("watching")
        assert it.end(2) == (0, "")


def test_bad_files_are_told_and_nothing_is_begun(tmp_path: Path) -> None:
    argv = folder(tmp_path)
    (tmp_path / LXC).write_text('{"lxc_configs": {"101": {}}}')
    done = run(*argv, "watch", "--for", "5")
    assert done.returncode == 1
    assert "phoenix_lxc_configs.json:1:" in done.stderr
    assert not (tmp_path / ".phoenix" / "watch.sqlite3").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--install", "--uninstall"], "don't go together"),
        (["--install", "--for", "5"], "don't go together"),
        (["--metrics", "everywhere:80"], "is not an IP address with a port"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, words: list[str], said: str) -> None:
    done = run(*folder(tmp_path), "watch", *words)
    assert done.returncode == 64
    assert said in done.stderr


def test_its_metrics_are_there_while_it_watches(tmp_path: Path) -> None:
    ask = (
        "import sys, urllib.request\n"
        "print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"
    )
    port = 20000 + os.getpid() % 10000
    argv = [*folder(tmp_path), "--json", "watch", "--metrics", f"127.0.0.1:{port}"]
    with Watching(argv, tmp_path) as it:
        it.wait("watching")
        said = run(sys.executable, "-c", ask, f"http://127.0.0.1:{port}/metrics")
    assert "\nphoenix_" in said.stdout
