import asyncio
import errno
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from phoenix_hypervisor.drivers import filelock
from phoenix_hypervisor.model.driver import HEALS, BrokenOff, Run
from phoenix_hypervisor.model.errors import PhoenixError, StackBusy

RUN = Run(id="1", who="ada", command="phoenix apply")


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Lock files in a folder of the test's own."""
    monkeypatch.setattr(filelock, "folder", lambda _environ: tmp_path)
    return {}


async def test_the_second_is_told_who_and_since_when(environ: dict[str, str]) -> None:
    async with filelock.hold("incus phoenix", "shop", RUN, environ=environ):
        with pytest.raises(StackBusy) as caught:
            async with filelock.hold("incus phoenix", "shop", RUN, environ=environ):
                pytest.fail("two hold one stack")
    assert re.fullmatch(
        rf"another apply works on stack shop: `phoenix apply` by ada on \S+ "
        rf"\(pid {os.getpid()}\) since \d\d:\d\d:\d\d, \d s ago",
        caught.value.message,
    )
    assert caught.value.hint


async def test_a_step_of_healing_is_told_as_one(environ: dict[str, str]) -> None:
    heals = Run(id="1", who="root", command=HEALS)
    async with filelock.hold("incus phoenix", "shop", heals, environ=environ):
        with pytest.raises(StackBusy, match=r"^healing works on stack shop: `phoenix") as caught:
            async with filelock.hold("incus phoenix", "shop", RUN, environ=environ):
                pytest.fail("two hold one stack")
    assert caught.value.heals


async def test_turns_are_waited_for_and_leave_nothing(
    environ: dict[str, str], tmp_path: Path
) -> None:
    said: list[str] = []
    within: list[int] = []
    most = 0

    async def one(number: int) -> None:
        nonlocal most
        async with filelock.turn("an image", lambda: said.append(f"{number} waits"), environ):
            within.append(number)
            most = max(most, len(within))
            await asyncio.sleep(0.05)
            within.remove(number)

    await asyncio.gather(*(one(number) for number in range(4)))
    assert most == 1
    assert said == ["1 waits", "2 waits", "3 waits"]
    assert list(tmp_path.iterdir()) == []


async def test_a_turn_ends_with_an_error(environ: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="broken"):
        async with filelock.turn("an image", lambda: None, environ):
            raise ValueError("broken")
    async with (
        asyncio.timeout(1),
        filelock.turn("an image", lambda: pytest.fail("nobody has it"), environ),
    ):
        pass


async def test_stacks_and_worlds_are_apart(environ: dict[str, str]) -> None:
    async with (
        filelock.hold("incus phoenix", "shop", RUN, environ=environ),
        filelock.hold("incus phoenix", "shop/2", RUN, environ=environ),
        filelock.hold("incus phoenix", "shop-2", RUN, environ=environ),
        filelock.hold("incus other", "shop", RUN, environ=environ),
    ):
        pass


async def test_it_leaves_no_file_and_no_descriptor(environ: dict[str, str], tmp_path: Path) -> None:
    async def fail_within() -> None:
        async with filelock.hold("incus", "shop", RUN, environ=environ):
            assert len(list(tmp_path.iterdir())) == 1
            raise RuntimeError

    files = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(RuntimeError):
            await fail_within()
    assert list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == files


async def test_what_a_killed_holder_left_is_told_to_the_next(
    environ: dict[str, str], tmp_path: Path
) -> None:
    async with filelock.hold("incus", "shop", RUN, environ=environ) as held:
        assert held.broken_off == []
        [path] = tmp_path.iterdir()
        left = path.read_text()
    path.write_text(left)
    second = Run(id="2", who="bob", command="phoenix destroy")
    async with filelock.hold("incus", "shop", second, environ=environ) as held:
        [one] = held.broken_off
        assert one.id == "1"
        assert re.match(r"`phoenix apply` by ada on \S+ \(pid \d+\) since \d\d:", one.told)
        left = path.read_text()
    path.write_text(left)  # this one was killed too, before it had looked
    async with filelock.hold("incus", "shop", RUN, environ=environ) as held:
        assert [one.id for one in held.broken_off] == ["1", "2"]
        del held.broken_off[0]
    async with filelock.hold("incus", "shop", RUN, environ=environ) as held:
        assert [one.id for one in held.broken_off] == ["2"]  # nobody has settled it
        held.broken_off.clear()
    assert list(tmp_path.iterdir()) == []


async def _raise_within(
    error: type[BaseException], environ: dict[str, str], *, begun: bool
) -> None:
    async with filelock.hold("incus", "shop", RUN, environ=environ) as held:
        held.begun = begun
        raise error


async def test_who_fails_or_is_cancelled_leaves_what_it_had_learnt(
    environ: dict[str, str], tmp_path: Path
) -> None:
    cancelled = asyncio.CancelledError
    for error, begun, left in (
        (RuntimeError, True, []),
        (cancelled, False, []),  # at the question, say: there is nothing to find
        (KeyboardInterrupt, False, []),
        (cancelled, True, ["1"]),
        (OSError, True, ["1"]),
        (cancelled, False, ["1"]),
    ):
        with pytest.raises(error):
            await _raise_within(error, environ, begun=begun)
        content = next((path.read_bytes() for path in tmp_path.iterdir()), b"{}")
        assert [one.id for one in filelock.broken_off(content)] == left


async def test_where_no_lock_can_be_kept_it_says_so(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with filelock.hold("incus", "shop", RUN, environ=environ):
        [path] = tmp_path.iterdir()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PhoenixError, match=r"^no lock can be kept in .*\.lock: Too many levels"):
        async with filelock.hold("incus", "shop", RUN, environ=environ):
            pytest.fail("a link was followed")
    path.unlink()

    def full(fd: int, content: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(filelock, "_write", full)
        with pytest.raises(PhoenixError, match="No space left"):
            async with filelock.hold("incus", "shop", RUN, environ=environ):
                pytest.fail("held without words")
    async with filelock.hold("incus", "shop", RUN, environ=environ) as held:
        held.broken_off.append(BrokenOff("9", "ada"))
        monkeypatch.setattr(filelock, "_write", full)  # on the way out that costs a memory only


@pytest.mark.parametrize(
    "left",
    [b"", b"{", b"[]", b"1", b'{"before": 3}', b'{"before": [1, [2, 3], ["x"]]}',
     b'{"before": [["$(reboot)", "x"], ["a b", "y"], ["", "z"]]}', b"\xff\x00" * 99],
)  # fmt: skip
def test_of_damaged_words_nothing_is_believed(left: bytes) -> None:
    assert filelock.broken_off(left) == ()


async def test_a_holder_that_has_not_written_yet(environ: dict[str, str], tmp_path: Path) -> None:
    async with filelock.hold("incus", "shop", RUN, environ=environ):
        [path] = tmp_path.iterdir()
        path.write_text("")
        with pytest.raises(StackBusy, match=r"^another apply works on stack shop$"):
            async with filelock.hold("incus", "shop", RUN, environ=environ):
                pytest.fail("two hold one stack")


def test_a_forked_child_does_not_keep_it(tmp_path: Path) -> None:
    """Its holder is killed while a child that was forked without exec lives on."""
    script = """
import asyncio, os, sys, time
from pathlib import Path
from phoenix_hypervisor.drivers import filelock
from phoenix_hypervisor.model.driver import Run
filelock.folder = lambda environ: Path(sys.argv[1])
async def main():
    async with filelock.hold("incus", "shop", Run("1", "ada", "phoenix apply"), environ={}):
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
        print(child, flush=True)
        time.sleep(60)
asyncio.run(main())
"""
    take = """
import asyncio, sys
from pathlib import Path
from phoenix_hypervisor.drivers import filelock
from phoenix_hypervisor.model.driver import Run
from phoenix_hypervisor.model.errors import StackBusy
filelock.folder = lambda environ: Path(sys.argv[1])
async def main():
    async with filelock.hold("incus", "shop", Run("2", "bob", "phoenix apply"), environ={}):
        pass
try:
    asyncio.run(main())
except StackBusy:
    sys.exit(9)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        try:
            assert subprocess.call([sys.executable, "-c", take, tmp_path]) == 9
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            os.kill(child, 0)
            assert subprocess.call([sys.executable, "-c", take, tmp_path]) == 0
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can get into, unlike `tmp_path`."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_where_lock_files_lie(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, temporary = open_folder / "runtime", open_folder / "tmp"
    runtime.mkdir()
    temporary.mkdir()
    environ = {"XDG_RUNTIME_DIR": str(runtime)}
    if os.geteuid() == 0:
        assert filelock.folder(environ) == Path("/run/phoenix")
        for path in (open_folder, runtime, temporary):
            os.chown(path, 1000, 1000)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with another_user():
        uid = os.geteuid()
        assert filelock.folder(environ) == runtime / "phoenix"
        assert filelock.folder({}) == temporary / f"phoenix-{uid}"
        elsewhere = {"XDG_RUNTIME_DIR": "/"}  # another user's, as `su` leaves it
        assert filelock.folder(elsewhere) == temporary / f"phoenix-{uid}"
        for path in (runtime / "phoenix", temporary / f"phoenix-{uid}"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700


@contextmanager
def another_user() -> Iterator[None]:
    """As root: works as a user without privileges. Else: nothing changes."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(1000)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("trap", ["readable", "a link", "a file", "another user's"])
def test_a_folder_that_somebody_else_may_have_made_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    place = tmp_path / "phoenix"
    if trap == "a link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "theirs")
    elif trap == "a file":
        place.touch(mode=0o600)
    else:
        place.mkdir(mode=0o755 if trap == "readable" else 0o700)
    if trap == "another user's":
        owner = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    monkeypatch.setattr(filelock, "_place", lambda _environ: place)
    with pytest.raises(PhoenixError, match="no lock"):
        filelock.folder({})


@pytest.mark.parametrize(
    "content",
    ["[1]", '"x"', '{"since": 5}', '{"since": "never", "who": 1}', "[" * 9999, "\udcff",
     '{"since": 1e300, "command": 1, "who": 1, "host": 1, "pid": 1}'],
)  # fmt: skip
async def test_whatever_the_file_holds_it_is_held(
    environ: dict[str, str], tmp_path: Path, content: str
) -> None:
    async with filelock.hold("incus", "shop", RUN, environ=environ):
        [path] = tmp_path.iterdir()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.write_bytes(content.encode(errors="surrogateescape"))
        with pytest.raises(StackBusy, match=r"^another apply works on stack shop$"):
            async with filelock.hold("incus", "shop", RUN, environ=environ):
                pytest.fail("two hold one stack")
