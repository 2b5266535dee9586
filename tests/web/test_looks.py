"""A look at the stack: what it asks of guests, what it takes from `phoenix watch`, and how long
it makes others wait.
"""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.web.serving import SECRET, write

from phoenix_hypervisor import app
from phoenix_hypervisor.app import chatting
from phoenix_hypervisor.app.watching import only_one
from phoenix_hypervisor.drivers.sim import SimDriver
from phoenix_hypervisor.history import reading
from phoenix_hypervisor.model.address import Address, lxc
from phoenix_hypervisor.model.driver import HEALS, Run
from phoenix_hypervisor.model.errors import ConfigError, Unreachable
from phoenix_hypervisor.model.redact import Redactor
from phoenix_hypervisor.model.watching import Answer, Happening
from phoenix_hypervisor.watch.store import Store
from phoenix_hypervisor.web import logs, work
from phoenix_hypervisor.web.desk import Desk
from phoenix_hypervisor.web.jobs import Job, Jobs
from phoenix_hypervisor.web.look import Look
from phoenix_hypervisor.web.security.audit import Audit
from phoenix_hypervisor.web.security.caller import Caller
from phoenix_hypervisor.web.views import guests

CALLER = Caller("somebody", "act", "127.0.0.1")
WEB = lxc(102)
CHECK = "is it there"


class Server:
    """Counts the questions of `http` checks; answers with `status` once `go` is set."""

    def __init__(self) -> None:
        self.asked = 0
        self.status = 200
        self.go = asyncio.Event()
        self.go.set()
        self.port = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            await self.go.wait()
            head = f"HTTP/1.1 {self.status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            writer.write(head.encode())
            await writer.drain()
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    async with await asyncio.start_server(found.answer, "127.0.0.1", 0) as listening:
        found.port = listening.sockets[0].getsockname()[1]
        yield found
        found.go.set()


@pytest.fixture
async def desk(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Over simulated guests that are asked as real ones are: their checks go to loopback."""
    folder = tmp_path / "folder"
    write(folder)
    path = folder / "phoenix_lxc_configs.json"
    words = json.loads(path.read_text())
    check = {"name": CHECK, "address": "127.0.0.1", "port": server.port, "timeout_s": 30}
    del words["lxc_configs"]["101"]["features"], words["lxc_configs"]["101"]["redis"]
    words["lxc_configs"]["102"]["checks"] = [{"http": check}]
    path.write_text(json.dumps(words))
    monkeypatch.setenv("PHOENIX_SIM_STATE", str(folder / ".state.json"))
    monkeypatch.setenv("REDIS_PASSWORD", SECRET)
    async with app.session(folder, None, {"PHOENIX_SIM_STATE": str(folder / ".state.json")}) as it:
        plan, observed = await it.plan(await it.options((), (), prune=False))
        assert (await it.apply(plan, observed, lambda _: None)).ok
    monkeypatch.setattr(SimDriver, "has_inside", True)
    return Desk(folder, None, Redactor())


def watched(desk: Desk, health: str, *, ago: float = 1, verdict: str = "") -> None:
    """What `phoenix watch` has written."""
    now = time.time()
    store = Store.create(desk.folder)
    happened = [Happening(now - ago, verdict, WEB, "")] if verdict else []  # type: ignore[arg-type]
    store.write([Answer(WEB, CHECK, "http", now - ago, health, "said so")], [], happened)  # type: ignore[arg-type]
    store.close()


def row(look: Look) -> guests.Row:
    return next(one for one in guests.rows(look) if one.address == WEB)


async def until_asked(desk: Desk) -> Look:
    """A look with the answers that were asked for from here."""
    await desk.look()
    if rounds := desk.asking._rounds:
        await asyncio.wait(rounds, timeout=20)
    look = await desk.look()
    assert look.answers
    return look


# What is asked.


async def test_where_watch_is_at_work_a_look_asks_nothing(desk: Desk, server: Server) -> None:
    watched(desk, "up")
    for _ in range(3):
        look = await desk.look()
        desk.forget()
    assert (row(look).condition, look.watched) == ("up", True)
    assert server.asked == 0


async def test_where_nobody_watches_it_asks_as_seldom_as_watching_does(
    desk: Desk, server: Server
) -> None:
    look = await until_asked(desk)
    assert (row(look).condition, look.watched) == ("up", False)
    for _ in range(5):
        desk.forget()
        await desk.look()
    assert server.asked == 1


async def test_what_watch_said_long_ago_is_asked_anew(desk: Desk, server: Server) -> None:
    watched(desk, "down", ago=600, verdict="down")
    assert row(await until_asked(desk)).condition == "up"
    assert server.asked == 1


async def test_a_failed_answer_is_asked_again_before_it_counts(desk: Desk, server: Server) -> None:
    server.status = 500
    assert row(await until_asked(desk)).condition == "down"
    assert server.asked == 2


async def test_looks_and_acts_do_not_wait_for_a_check_that_hangs(
    desk: Desk, server: Server
) -> None:
    server.go.clear()
    began = time.monotonic()
    look = await desk.look()
    assert WEB in (await desk.desired()).guests
    assert time.monotonic() - began < 5  # the check may take 30 s
    assert row(look).condition == "running"
    server.go.set()
    assert row(await until_asked(desk)).condition == "up"


async def test_files_are_read_again_only_when_one_was_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, real = list[Path](), app.declared

    def declared(folder: Path, *more: Any) -> app.Declared:
        read.append(folder)
        return real(folder, *more)

    monkeypatch.setattr(app, "declared", declared)
    for _ in range(3):
        await desk.look()
        await desk.desired()
    assert len(read) == 1
    path = desk.folder / "phoenix_lxc_configs.json"
    words = json.loads(path.read_text())
    words["lxc_configs"]["102"]["name"] = "other"
    path.write_text(json.dumps(words))
    assert [one.name for one in guests.rows(await desk.look())] == ["cache", "other"]
    assert len(read) == 2


# How guests are judged.


@pytest.mark.parametrize(
    ("health", "verdict", "condition"),
    [
        ("planned", "planned", "planned"),
        ("unknown", "unknown", "unknown"),
        ("down", "down", "down"),
        ("down", "up", "running"),
        ("down", "", "running"),
    ],
)
async def test_watch_s_judgement_counts(
    desk: Desk, health: str, verdict: str, condition: str
) -> None:
    watched(desk, health, verdict=verdict)
    found = row(await desk.look())
    assert found.condition == condition
    assert found.needs_attention is (condition in ("down", "unknown"))


async def test_maintenance_is_no_outage_where_nobody_watches(desk: Desk, server: Server) -> None:
    path = desk.folder / "phoenix_hypervisor_config.json"
    words = json.loads(path.read_text())
    window = {"reason": "moving", "from": "2020-01-01T00:00Z", "until": "2099-01-01T00:00Z"}
    words["watch"] = {"maintenance": [window]}
    path.write_text(json.dumps(words))
    server.status = 500
    found = row(await until_asked(desk))
    assert (found.condition, found.why) == ("planned", "maintenance: moving")


async def test_an_answer_stands_as_long_as_the_next_one_may_take(desk: Desk) -> None:
    path = desk.folder / "phoenix_lxc_configs.json"
    words = json.loads(path.read_text())
    words["lxc_configs"]["102"]["checks"][0]["http"]["every_s"] = 600
    path.write_text(json.dumps(words))
    watched(desk, "down", ago=900, verdict="down")
    assert row(await desk.look()).condition == "down"


# Work.


async def ended(job: Job) -> Job:
    async with asyncio.timeout(30):
        async for _ in job.follow():
            pass
    return job


async def test_check_now_asks_at_once_and_pages_know_it(desk: Desk, server: Server) -> None:
    watched(desk, "up")
    server.status = 500
    jobs = Jobs(Audit(desk.folder), Redactor())
    job = await ended(jobs.begin("check", WEB, CALLER, work.check(desk, [WEB])))
    assert job.state == "failed"
    assert row(await desk.look()).condition == "down"


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """The first is set when a guest is to be started, which waits for the second."""
    begun, go, real = asyncio.Event(), asyncio.Event(), SimDriver.start

    async def start(driver: SimDriver, *given: object) -> None:
        begun.set()
        await go.wait()
        await real(driver, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(SimDriver, "start", start)
    return begun, go


async def test_a_restart_that_is_broken_off_leaves_the_guest_running(
    desk: Desk, starts: tuple[asyncio.Event, asyncio.Event]
) -> None:
    jobs = Jobs(Audit(desk.folder), Redactor())
    job = jobs.begin("restart", WEB, CALLER, work.restart(desk, WEB))
    await starts[0].wait()
    jobs.cancel(job, CALLER)
    starts[1].set()
    await ended(job)
    assert job.state == "cancelled"
    assert (job.result or {})["notes"] == [f"{WEB} had been stopped, and was started again"]
    assert row(await desk.look()).condition in ("running", "up")


async def test_what_a_restart_by_somebody_leaves_is_looked_at_anew(
    desk: Desk, starts: tuple[asyncio.Event, asyncio.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "forget", lambda: None)  # nobody says that it is over
    doing = work.restart(desk, WEB)
    job = Jobs(Audit(desk.folder), Redactor()).begin("restart", WEB, CALLER, doing)
    await starts[0].wait()
    for _ in range(200):  # the history is written a moment later
        if (found := row(await desk.look())).condition == "planned":
            break
        await asyncio.sleep(0.1)
    assert "dashboard: restart" in found.why
    starts[1].set()
    await ended(job)
    assert row(await desk.look()).condition in ("running", "up")


async def test_a_restart_is_in_the_history(desk: Desk) -> None:
    jobs = Jobs(Audit(desk.folder), Redactor())
    job = await ended(jobs.begin("restart", WEB, CALLER, work.restart(desk, WEB)))
    assert job.state == "ok", job.error
    run = reading.run(desk.folder, "last")
    assert (run.command, run.result) == ("dashboard: restart by somebody", "ok")
    assert [(e["step"], e["event"]) for e in run.events if e["event"] != "progress"] == [
        (step, event) for step in ("stop", "start", "check") for event in ("started", "finished")
    ]


async def test_a_watcher_that_has_nothing_to_ask_is_at_work_all_the_same(desk: Desk) -> None:
    assert not (await desk.look()).watched
    with only_one.hold(desk.folder, "sim"):
        assert (await desk.look()).watched


async def test_a_job_waits_for_healing_and_says_so(desk: Desk) -> None:
    jobs = Jobs(Audit(desk.folder), Redactor())
    async with desk.session() as session:
        heals = Run(id="1", who="root", command=HEALS)
        async with session.driver.hold(session.desired.stack, heals):
            job = jobs.begin("restart", WEB, CALLER, work.restart(desk, WEB))
            async with asyncio.timeout(10):
                first = await anext(job.follow())
    assert str(first["message"]).startswith("healing works on stack")
    await ended(job)
    assert job.state == "ok", job.error
    told = [(one["address"], one["step"], one["event"]) for one in job.events]
    assert told[:3] == [
        ("healing", "wait", "progress"),
        ("healing", "wait", "finished"),
        (WEB, "stop", "started"),
    ]


async def test_a_chat_s_pieces_are_events_without_secrets(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def talk(*given: Any, most_tokens: int) -> AsyncIterator[str]:
        assert given[1:3] == (WEB, "small")
        for piece in ("It is ", SECRET, f" {most_tokens}"):
            yield piece

    monkeypatch.setattr(chatting, "talk", talk)
    desk.hide.add(SECRET)
    jobs = Jobs(Audit(desk.folder), desk.hide)
    job = await ended(jobs.begin("chat", WEB, CALLER, work.chat(desk, WEB, "small", "?", 9)))
    assert job.state == "ok", job.error
    assert [event["message"] for event in job.events] == ["It is ", "[secret]", " 9"]
    assert job.result
    assert job.result["answer"] == "It is [secret] 9"
    assert 0 <= job.result["first_s"] <= job.result["whole_s"]


async def test_files_with_errors_are_read_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    path = desk.folder / "phoenix_lxc_configs.json"
    good, reads, read = path.read_text(), list[Path](), app.declared

    def declared(*given: Any) -> Any:
        reads.append(given[0])
        return read(*given)

    monkeypatch.setattr(app, "declared", declared)
    path.write_text("{")
    for _ in range(3):
        with pytest.raises(ConfigError):
            await desk.desired()
    assert len(reads) == 1
    monkeypatch.setattr(desk, "_doubtful", 0.0)  # it may have been about other files
    with pytest.raises(ConfigError):
        await desk.desired()
    assert len(reads) == 2
    path.write_text(good)
    assert (await desk.desired()).guests


# Logs.


class Hangs:
    """A way into a guest that never answers."""

    def __init__(self) -> None:
        self.opened, self.first = 0, asyncio.Event()

    async def __call__(self, _: Address) -> Sequence[str]:
        self.opened += 1
        self.first.set()
        return ("sleep", "60")


async def test_guests_that_hang_keep_nobody_else_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = Hangs()
    monkeypatch.setattr(logs, "_OPEN_S", 2.0)
    monkeypatch.setattr(SimDriver, "way_in", lambda _, address: way(address), raising=False)
    readings = [asyncio.create_task(desk.logs.last_lines(WEB, n)) for n in range(150, 190)]
    try:
        async with asyncio.timeout(10):
            await way.first.wait()
            await asyncio.to_thread(time.sleep, 0)  # as a login does
        assert way.opened == 1
        assert all(one.daemon for one in threading.enumerate() if one.name == "logs")
        with pytest.raises(Unreachable):
            await readings[0]
    finally:
        for one in readings:
            one.cancel()
        await asyncio.gather(*readings, return_exceptions=True)
