import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from phoenix_hypervisor.drivers import filelock
from phoenix_hypervisor.model.driver import Run
from phoenix_hypervisor.model.errors import StackBusy

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


async def test_the_file_of_a_killed_holder_does_not_matter(
    environ: dict[str, str], tmp_path: Path
) -> None:
    async with filelock.hold("incus", "shop", RUN, environ=environ):
        [path] = tmp_path.iterdir()
        left = path.read_text()
    path.write_text(left.replace("ada", "somebody else entirely, long gone"))
    async with filelock.hold("incus", "shop", RUN, environ=environ):
        assert path.read_text() == left.replace(
            re.search(r'"since": [0-9.]+', left)[0],  # type: ignore[index] # it is there
            re.search(r'"since": [0-9.]+', path.read_text())[0],  # type: ignore[index] # as well
        )


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


def test_where_lock_files_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert filelock.folder({"XDG_RUNTIME_DIR": str(tmp_path)}) == tmp_path
    assert filelock.folder({}).is_dir()
