"""`phoenix secrets edit`: nothing is left behind, nothing typed in is lost, and it always ends."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.secretcli import PHOENIX, VALUE, Phoenix


def _editor(tmp_path: Path, script: str) -> str:
    path = tmp_path / "editor.py"
    path.write_text(f"#!{sys.executable}\nimport os, sys\npath = sys.argv[1]\n{script}\n")
    path.chmod(0o755)
    return str(path)


LOOK = f"""
import stat
with open({{place!r}}, "w") as out:
    folder = os.path.dirname(path)
    out.write(f"{{{{path}}}} {{{{stat.S_IMODE(os.stat(path).st_mode):o}}}} "
              f"{{{{stat.S_IMODE(os.stat(folder).st_mode):o}}}}")
open(path + "~", "w").write("backup {VALUE}")
text = open(path).read()
"""


def test_edit_leaves_nothing_behind(ready: Phoenix, tmp_path: Path) -> None:
    ready("secrets", "set", "REDIS", stdin=VALUE.encode())
    place = tmp_path / "place"
    look = LOOK.format(place=str(place))
    change = (
        'text = text.replace("hunter2-h", "tiger33-h").replace("}", \', "NEW": "é\\\\n"}\')\n'
        'open(path, "w").write(text)'
    )
    said = ready("secrets", "edit", EDITOR=_editor(tmp_path, look + change))
    assert said.out.startswith("wrote NEW, REDIS into secrets.json.age\n"), said.out + said.err
    assert ready("secrets", "show", "REDIS", "--reveal").out == "tiger33-hunter2\n"
    path, mode, folder_mode = place.read_text().split()
    assert (mode, folder_mode) == ("600", "700")
    assert not Path(path).parent.exists()
    assert "nothing was changed" in ready("secrets", "edit", EDITOR="true").out


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("sys.exit(3)", "ended with 3"),
        ('open(path, "w").write(text.replace(":", ";"))', "the edited text:2:"),
        ('open(path, "w").write(text.replace("REDIS", "RE,DIS"))', "the edited text:2:2: error:"),
        (
            'open(path, "w").write(text.replace("}", \', "NEW": "x"\\n\'))',
            "the file ends, but the `{` of line 1 is not closed",
        ),
        (
            'open(path, "w").write(text.replace("}", \'"NEW": "x"}\'))',
            "a comma is missing after this value",
        ),
        ('open(path, "w").write(text.replace("REDIS", "1 B"))', "a name is of letters"),
        ('open(path, "wb").write(b"\\xff")', "can't be read as text"),
        ("os.unlink(path)", "can't be read as text"),
    ],
)
def test_an_edit_that_goes_wrong_changes_nothing(
    ready: Phoenix, tmp_path: Path, folder: Path, script: str, told: str
) -> None:
    ready("secrets", "set", "REDIS", stdin=VALUE.encode())
    before, place = (folder / "secrets.json.age").read_bytes(), tmp_path / "place"
    look = LOOK.format(place=str(place))
    said = ready("secrets", "edit", EDITOR=_editor(tmp_path, look + script))
    assert (said.status, told in said.err) == (1, True), said.err
    assert (folder / "secrets.json.age").read_bytes() == before
    assert not Path(place.read_text().split()[0]).parent.exists()
    if "the edited text" in said.err:
        assert "nothing was changed\nhint: the edit is not kept" in said.err


def test_on_a_terminal_a_mistake_can_be_mended_where_it_is(ready: Phoenix, tmp_path: Path) -> None:
    """The second time the editor has what was typed in before, not what was there at first."""
    ready("secrets", "set", "REDIS", stdin=VALUE.encode())
    slip = (
        "text = open(path).read()\n"
        "if 'NEW' not in text:\n"
        "    open(path, 'w').write(text.replace('}', '\"NEW\": \"typed in\"}'))\n"
        "else:\n"
        "    open(path, 'w').write(text.replace('\"NEW\"', ',\"NEW\"'))"
    )
    edit = OnTerminal(_editor(tmp_path, slip))
    edit.until("edit again?")
    assert "the edited text:2:" in edit.said
    assert "a comma is missing after this value" in edit.said
    assert "typed in" not in edit.said
    assert VALUE not in edit.said
    edit.type("y\n")
    assert edit.status() == 0, edit.said
    assert ready("secrets", "show", "NEW", "--reveal").out == "typed in\n"


def test_an_editor_that_is_none(ready: Phoenix) -> None:
    assert ready("secrets", "edit", EDITOR="/no/such/editor").status == 64


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_an_edit_that_is_ended(
    ready: Phoenix, tmp_path: Path, folder: Path, end: signal.Signals
) -> None:
    ready("secrets", "set", "REDIS", stdin=VALUE.encode())
    place = tmp_path / "place"
    wait = "import time\nwhile os.path.exists(path): time.sleep(0.05)"
    editor = _editor(tmp_path, LOOK.format(place=str(place)) + wait)
    command = subprocess.Popen([PHOENIX, "secrets", "edit"], env=os.environ | {"EDITOR": editor})
    try:
        deadline = time.monotonic() + 20
        while not (place.exists() and place.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        command.send_signal(end)
        status = command.wait(20)
    finally:
        command.kill()
    left = Path(place.read_text().split()[0]).parent
    if end == signal.SIGKILL:
        assert left.exists()
        assert ready("secrets", "edit", EDITOR="true").status == 0  # the next one clears it away
    else:
        assert status == 130
    assert not left.exists()


def test_without_a_terminal_no_editor_is_guessed(ready: Phoenix) -> None:
    said = ready("secrets", "edit")
    assert (said.status, "no terminal" in said.err, "$EDITOR" in said.err) == (64, True, True)


def test_all_that_an_editor_has_started_ends_with_it(ready: Phoenix, tmp_path: Path) -> None:
    ready("secrets", "set", "REDIS", stdin=VALUE.encode())
    place = tmp_path / "place"
    start = (
        "import subprocess, time\n"
        f"child = subprocess.Popen(['sleep', '600'])\nwith open({str(place)!r}, 'w') as out:\n"
        "    out.write(str(child.pid))\ntime.sleep(600)"
    )
    command = subprocess.Popen(
        [PHOENIX, "secrets", "edit"],
        stdin=subprocess.DEVNULL,
        env=os.environ | {"EDITOR": _editor(tmp_path, start)},
    )
    child = 0
    try:
        deadline = time.monotonic() + 20
        while not (place.exists() and place.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        child = int(place.read_text())
        command.send_signal(signal.SIGTERM)
        assert command.wait(20) == 130
        while _runs(child):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        command.kill()
        if _runs(child):
            os.kill(child, signal.SIGKILL)


class OnTerminal:
    """`phoenix secrets edit` on a terminal of its own."""

    def __init__(self, editor: str) -> None:
        pid, self._ours = pty.fork()
        if pid == 0:
            words = ["phoenix", "secrets", "edit"]
            os.execve(PHOENIX, words, os.environ | {"EDITOR": editor})  # noqa: S606 - none is wanted
        self._pid, self.said = pid, ""

    def until(self, words: str) -> None:
        """Reads what it says up to these words."""
        while words not in self.said:
            assert select.select([self._ours], [], [], 20)[0], self.said
            self.said += os.read(self._ours, 1000).decode()

    def type(self, text: str) -> None:
        self.said = ""
        os.write(self._ours, text.encode())

    def status(self, *, pressing: str = "") -> int:
        """Its exit status, within 20 s. `pressing`: keys, again each second, as people do.

        Python can be just about to read when a key's signal comes, and then waits for the next.
        """
        deadline = time.monotonic() + 20
        pressed = float("-inf")
        try:
            while time.monotonic() < deadline:
                if pressing and time.monotonic() - pressed > 1:
                    pressed = time.monotonic()
                    with suppress(OSError):  # it has ended meanwhile
                        os.write(self._ours, pressing.encode())
                if select.select([self._ours], [], [], 0.05)[0]:
                    with suppress(OSError):  # the terminal's other end is closed
                        self.said += os.read(self._ours, 1000).decode()
                pid, ended = os.waitpid(self._pid, os.WNOHANG)
                if pid:
                    return os.waitstatus_to_exitcode(ended)
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            raise AssertionError(f"it does not end: {self.said}")
        finally:
            os.close(self._ours)


def test_what_was_typed_outlives_a_write_that_fails(
    ready: Phoenix, tmp_path: Path, folder: Path
) -> None:
    ready("secrets", "set", "REDIS", stdin=VALUE.encode())
    broken = (
        f"names = {str(folder / 'secrets.recipients')!r}\ntext = open(path).read()\n"
        "if 'NEW' not in text:\n"
        "    open(path, 'w').write(text.replace('}', ', \"NEW\": \"typed in\"}'))\n"
        "    os.rename(names, names + '.away')\nelse:\n    os.rename(names + '.away', names)"
    )
    edit = OnTerminal(_editor(tmp_path, broken))
    edit.until("edit again?")
    assert "error:" in edit.said
    edit.type("y\n")
    assert edit.status() == 0, edit.said
    assert ready("secrets", "show", "NEW", "--reveal").out == "typed in\n"


def test_ctrl_c_ends_the_question_but_not_the_editor(
    ready: Phoenix, tmp_path: Path, folder: Path
) -> None:
    ready("secrets", "set", "REDIS", stdin=VALUE.encode())
    before, place = (folder / "secrets.json.age").read_bytes(), tmp_path / "place"
    wait = (
        "import signal\nheard = []\nsignal.signal(signal.SIGINT, lambda *_: heard.append(1))\n"
        "print('editing', flush=True)\nimport time\nwhile not heard: time.sleep(0.02)\n"
        "open(path, 'w').write('{')"
    )
    edit = OnTerminal(_editor(tmp_path, LOOK.format(place=str(place)) + wait))
    edit.until("editing")
    edit.type("\x03")
    edit.until("edit again?")
    assert edit.status(pressing="\x03") == 130, edit.said
    assert not Path(place.read_text().split()[0]).parent.exists()
    assert (folder / "secrets.json.age").read_bytes() == before


def _runs(pid: int) -> bool:
    path = Path(f"/proc/{pid}/stat")
    return pid > 0 and path.exists() and path.read_text().rpartition(")")[2].split()[0] != "Z"
