import asyncio
import threading
import time
from pathlib import Path

import pytest
from tests.unit.verify.places import check, once, open_files, place

from phoenix_hypervisor.model.errors import CheckFailed, Unreachable
from phoenix_hypervisor.verify import ask, run, wait
from phoenix_hypervisor.verify.checks import available


def runs(pid: int) -> bool:
    """Whether a process is there and is no zombie, which only waits for init to take note."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def test_kinds_are_found_by_their_files() -> None:
    assert list(available()) == ["command", "http", "llm", "sql", "tcp"]


async def test_all_at_once_and_in_order() -> None:
    checks = [check("command", command=f"sleep 0.3; echo {n}", expect=str(n)) for n in range(4)]
    checks.append(check("command", command="false"))
    async with place() as here:
        began = time.monotonic()
        answers = await ask(checks, here)
        assert time.monotonic() - began < 1.1
    assert [one for one, _ in answers] == checks
    assert [outcome.ok for _, outcome in answers] == [True] * 4 + [False]


async def test_waits_until_it_passes(tmp_path: Path) -> None:
    flag = tmp_path / "ready"
    told: list[str] = []
    asked = asyncio.Event()

    def tell(text: str) -> None:
        told.append(text)
        asked.set()

    one = check("command", name="the flag", command=f"cat {flag}", interval_s=0.05, deadline_s=20)
    async with place() as here:
        waiting = asyncio.create_task(wait([one], here, tell))
        await asked.wait()
        await asyncio.sleep(0.3)
        flag.write_text("yes")
        [(_, outcome)] = await waiting
    assert outcome.ok
    # Told once, though it was asked several times: nothing had changed.
    assert len(told) == 1
    assert told[0].startswith("waiting for the flag: expected exit status 0, got 1: cat: ")


async def test_what_is_waited_for_is_told_again_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run, "_AGAIN_S", 0.0)
    told: list[str] = []
    one = check("command", name="it", command="exit 1", interval_s=0.1, deadline_s=0.45)
    async with place() as here:
        with pytest.raises(CheckFailed):
            await wait([one], here, told.append)
    assert told[0] == "waiting for it: expected exit status 0, got 1"
    assert told[1] == "waiting for it, up to 0 s more: expected exit status 0, got 1"


async def test_all_that_failed_are_named() -> None:
    words = {"deadline_s": 0.3, "interval_s": 0.1}
    checks = [
        check("command", name="one", command="exit 1", **words),
        check("command", name="two", command="true", **words),
        check("command", name="three", command="echo no >&2; exit 3", **words),
    ]
    async with place() as here:
        with pytest.raises(CheckFailed) as caught:
            await wait(checks, here, lambda _text: None)
    assert caught.value.message == (
        "2 of 3 checks failed: one: expected exit status 0, got 1; "
        "three: expected exit status 0, got 3: no"
    )


async def test_a_shell_that_does_not_open_is_an_answer() -> None:
    outcome = await once(check("command", command="true"), place(way_in=("false",)))
    assert not outcome.ok
    assert "no shell can be opened" in outcome.message


async def test_a_lost_shell_is_replaced() -> None:
    async with place() as here:
        with pytest.raises(Unreachable):
            await here.inside("kill -9 $PPID; sleep 1", 5)
        assert (await here.inside("echo again", 5)).out == "again\n"


async def test_cancelled_it_leaves_no_process_and_no_thread(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    files, threads = open_files(), threading.active_count()
    one = check("command", command=f"echo $$ >{mark}; sleep 60", timeout_s=60)
    async with place() as here:
        asking = asyncio.create_task(ask([one], here))
        await here.inside(f"until [ -s {mark} ]; do sleep 0.05; done", 10)
        began = time.monotonic()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert time.monotonic() - began < 5
    assert not runs(int(mark.read_text()))
    assert open_files() <= files
    await asyncio.get_running_loop().shutdown_default_executor()
    for _ in range(1000):  # leaving does not wait for them
        if threading.active_count() <= threads:
            break
        await asyncio.sleep(0.01)
    assert threading.active_count() <= threads


async def test_shells_are_kept_and_closed() -> None:
    files = open_files()
    async with place() as here:
        shells = {(await here.inside("echo $PPID", 5)).out for _ in range(3)}
        assert len(shells) == 1
    assert open_files() <= files
