"""What pages are made of, without a browser: values, escaping, plots, waiting, sessions."""

import asyncio
import re
import stat
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from phoenix_hypervisor.app import Health
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.desired import Desired, Guest, Image
from phoenix_hypervisor.model.errors import Conflict, PhoenixError, UsageError
from phoenix_hypervisor.model.observed import GuestState, SeenGuest
from phoenix_hypervisor.model.redact import Redactor
from phoenix_hypervisor.watch.store import Point
from phoenix_hypervisor.web import parts, plots
from phoenix_hypervisor.web.jobs import Job, Jobs, Told
from phoenix_hypervisor.web.look import Look
from phoenix_hypervisor.web.markup import Html, el, join, table
from phoenix_hypervisor.web.security.audit import Audit
from phoenix_hypervisor.web.security.caller import Caller
from phoenix_hypervisor.web.security.keys import Keys
from phoenix_hypervisor.web.security.names import Listen, listen, origins
from phoenix_hypervisor.web.security.sessions import Sessions
from phoenix_hypervisor.web.security.throttle import Throttle
from phoenix_hypervisor.web.views import guests

CALLER = Caller("somebody", "act", "127.0.0.1")


class Clock:
    """Time that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# Markup.


def test_text_is_escaped_and_html_is_not() -> None:
    assert el("p", "<b>", el("i", "&")) == "<p>&lt;b&gt;<i>&amp;</i></p>"
    assert el("a", "x", href='" onclick="y') == '<a href="&quot; onclick=&quot;y">x</a>'
    assert join(None, 1, ["<", Html("<br>")]) == "1&lt;<br>"


def test_a_table_has_a_caption_and_its_heads_have_a_scope() -> None:
    made = table(("A",), [("<x>",), (el("td", "y", cls="num"),)], "All of them")
    assert "<caption" in made
    assert '<th scope="col">A</th>' in made
    assert "<td>&lt;x&gt;</td>" in made
    assert '<td class="num">y</td>' in made


def samples(*latencies: float | None) -> list[Point]:
    """One answer every 5 s from 100 s on, each with its own latency; None: it failed."""
    return [
        Point(100 + 5 * number, 1, int(one is None), one, one, one)
        for number, one in enumerate(latencies)
    ]


def test_a_plot_tells_in_words_what_it_draws() -> None:
    drawn = plots.latency(samples(5, 6, 90, None), 3600, 3600, 200)
    assert 'aria-label="Latency: median 6 ms, 95 of 100 within 90 ms; 1 failed"' in drawn
    assert drawn.count('class="mark"') == 1
    assert 'class="limit"' in drawn


def test_what_only_failed_is_no_quick_answer() -> None:
    refused = [Point(200, 1, 1, 0.4, 0.4, 0.4), Point(205, 3, 2, 80.0, 80.0, 80.0)]
    drawn = plots.latency([*samples(90, 90, 90), *refused], 3600, 3600, None)
    assert "median 90 ms, 95 of 100 within 90 ms; 3 failed" in drawn


def test_percentiles_are_of_all_answers_of_a_step() -> None:
    found = plots.gathered(samples(*range(1, 101)), 600, lambda point: point.p50_ms)
    assert found == [(300, plots.Spread(50, 95, 99))]


def test_a_plot_changes_once_in_a_step_and_not_at_every_look() -> None:
    points = samples(5, 6, 7)
    drawn = {plots.latency(points, 1801 + seconds, 3600, None) for seconds in range(0, 59, 5)}
    assert len(drawn) == 1
    assert plots.latency(points, 1861, 3600, None) not in drawn


def test_a_plot_of_nothing_is_drawn_as_well() -> None:
    assert "no answer is known" in plots.latency([], 3600, 3600, None)


def test_a_time_of_another_day_tells_the_day() -> None:
    now = datetime.now().astimezone()
    assert f">{now:%H:%M:%S}<" in parts.time_of(now.timestamp())
    before = now - timedelta(days=1)
    assert f"{before:%d}" in re.sub("<[^>]*>", "", parts.time_of(before.timestamp()))
    assert parts.ago(0, 59) == "less than a minute ago"
    assert [parts.ago(0, 60.0 * minutes) for minutes in (1, 119, 120, 2880)] == [
        "1 min ago",
        "119 min ago",
        "2 h ago",
        "2 d ago",
    ]


# How a guest is.


def guest(**more: object) -> Guest:
    words = {"kind": "lxc", "id": 101, "name": "web", "source": Image("debian"), "memory_mb": 1}
    return Guest(lxc(101), **{**words, "cores": 1, **more})  # type: ignore[arg-type]


def told(seen: Health, one: Guest, planned: str = "", *, changing: bool = False) -> tuple[str, str]:
    look = Look(
        desired=Desired(Path(), "s", guests={one.address: one}),
        guests=(seen,),
        answers={},
        doubted=frozenset(),
        planned={one.address: planned} if planned else {},
        watched=False,
        driver="sim",
        real=True,
        changing=frozenset({one.address} if changing else ()),
    )
    (row,) = guests.rows(look)
    return row.condition, row.why


def seen(state: GuestState | None, **more: Any) -> Health:
    found = None if state is None else SeenGuest(lxc(101), "web", state)
    return Health(lxc(101), "web", found, **more)


def test_what_a_run_changes_just_now_is_not_called_healthy() -> None:
    run = "`dashboard: restart` by ada"
    assert told(seen("running"), guest(), run, changing=True) == ("planned", run)
    assert told(seen("stopped"), guest(), run, changing=True) == ("planned", run)
    assert told(seen("running"), guest(), "maintenance: moving") == ("running", "")


def test_what_is_not_known_is_not_down() -> None:
    hidden = seen(None, hidden="no right to see it")
    assert told(hidden, guest()) == ("unknown", "no right to see it")
    assert told(seen("running", managed=False), guest())[0] == "unknown"


def test_a_guest_that_is_to_run_and_does_not_needs_attention() -> None:
    assert told(seen("stopped"), guest()) == ("stopped", "does not run")
    assert told(seen(None), guest()) == ("absent", "is not there yet")
    assert told(seen("running"), guest()) == ("running", "")


def test_what_is_well_but_out_of_its_proxies_needs_attention() -> None:
    (condition, why) = told(seen("running", left_out=True), guest())
    assert condition == "left-out"
    assert "its proxies may lead nothing to it" in why
    assert parts.word(condition) == "out of its proxies"
    assert told(seen("running", left_out=True), guest(), "an apply")[0] == "planned"


def test_a_template_at_rest_is_well_and_planned_time_is_no_fault() -> None:
    assert told(seen("stopped"), guest(is_template=True)) == ("resting", "")
    assert told(seen("stopped"), guest(), "maintenance") == ("planned", "maintenance")


# Sessions and waiting.


def test_a_session_ends_idle_and_at_last() -> None:
    clock = Clock()
    sessions = Sessions(10, 25, clock)
    name = sessions.open("a", "act", "x")
    clock.now += 9
    assert sessions.find(name)
    clock.now += 9
    assert sessions.find(name, use=False)
    clock.now += 2
    assert sessions.find(name) is None
    name = sessions.open("a", "act", "x")
    for _ in range(4):
        clock.now += 6
        assert sessions.find(name)
    clock.now += 2
    assert sessions.find(name) is None


def test_waiting_doubles_and_ends_with_success() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(5):
        assert throttle.wait_s("a") == 0
        throttle.failed("a")
    waits = []
    for _ in range(12):
        waits.append(throttle.wait_s("a"))
        clock.now += waits[-1]
        throttle.failed("a")
    assert waits[:4] == [1, 2, 4, 8]
    assert max(waits) == 300
    assert throttle.wait_s("b") == 0
    throttle.succeeded("a")
    assert throttle.wait_s("a") == 0


def test_many_addresses_together_have_to_wait_too() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for number in range(60):
        throttle.failed(f"10.0.0.{number}")
    assert throttle.wait_s("somebody else") == 60
    clock.now += 61
    assert throttle.wait_s("somebody else") == 0


# Keys.


def test_keys_that_others_may_read_are_not_used(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    keys.set_password("a good long password")
    assert keys.is_password("a good long password")
    assert not keys.is_password("another password")
    path = tmp_path / ".phoenix" / "serve.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with pytest.raises(PhoenixError, match="others than its owner"):
        _ = keys.kept


def test_a_token_is_its_owner_s_until_it_is_taken_back(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    token = keys.new_token("ci", "read")
    assert (found := Keys(tmp_path).token(token)) is not None
    assert (found.name, found.role) == ("ci", "read")
    with pytest.raises(UsageError, match="there is a token ci: nothing was changed"):
        keys.new_token("ci", "act")
    keys.forget_token("ci")
    assert keys.token(token) is None
    with pytest.raises(UsageError, match="no token ci"):
        keys.forget_token("ci")


def test_a_link_in_the_keys_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".phoenix").mkdir()
    (tmp_path / ".phoenix" / "serve.json").symlink_to("/etc/passwd")
    with pytest.raises(PhoenixError, match="keys"):
        _ = Keys(tmp_path).kept


# Names.


def test_the_dashboard_s_own_origins() -> None:
    assert "http://localhost:8420" in origins(listen("127.0.0.1:8420"), [], tls=False)
    named = origins(Listen("0.0.0.0", 443), ["Phoenix.Example.org"], tls=True)  # noqa: S104
    assert named == {"https://phoenix.example.org:443", "https://phoenix.example.org"}
    with pytest.raises(UsageError, match="--name 'bad name' is no host name"):
        origins(listen("127.0.0.1:8420"), ["bad name"], tls=False)
    with pytest.raises(UsageError, match="by which name"):
        origins(Listen("::", 8420), [], tls=True)


# Jobs.


async def test_a_job_tells_its_events_to_who_comes_late_and_its_end(tmp_path: Path) -> None:
    jobs = Jobs(Audit(tmp_path), Redactor())
    go = asyncio.Event()

    async def work(job: Job) -> Told:
        job.tell({"n": 1})
        await go.wait()
        job.tell({"n": 2})
        return {"ok": True}

    job = jobs.begin("apply", "all", CALLER, work)
    seen = []
    async for event in job.follow():
        seen.append(event["n"])
        go.set()
    assert (seen, job.state, job.result) == ([1, 2], "ok", {"ok": True})
    assert [event["n"] async for event in job.follow()] == [1, 2]


async def test_a_job_that_is_broken_off_or_fails_says_so(tmp_path: Path) -> None:
    hide = Redactor()
    hide.add("secret-word")
    jobs = Jobs(Audit(tmp_path), hide)

    async def never(job: Job) -> None:
        await asyncio.Event().wait()

    async def fails(job: Job) -> None:
        raise PhoenixError("it said secret-word", hint="mend it")

    broken, failed = jobs.begin("a", "", CALLER, never), jobs.begin("b", "", CALLER, fails)
    await asyncio.sleep(0)
    jobs.cancel(broken, CALLER)
    for job in (broken, failed):
        async for _ in job.follow():
            pass
    assert broken.state == "cancelled"
    assert failed.state == "failed"
    assert "secret-word" not in failed.error
    await jobs.close()


async def test_a_job_is_broken_off_once_and_ends_in_order(tmp_path: Path) -> None:
    jobs, ends = Jobs(Audit(tmp_path), Redactor()), list[str]()
    works, go = asyncio.Event(), asyncio.Event()

    async def work(job: Job) -> Told:
        works.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:  # as an apply, which ends its steps and tells of them
            await go.wait()
            ends.append("in order")
        return {"ok": False, "interrupted": True}

    job = jobs.begin("apply", "", CALLER, work)
    await works.wait()
    jobs.cancel(job, CALLER)
    await asyncio.sleep(0)
    with pytest.raises(Conflict, match="ends already"):
        jobs.cancel(job, CALLER)
    closing = asyncio.create_task(jobs.close())  # Ctrl-C of the dashboard
    await asyncio.sleep(0)
    go.set()
    await closing
    assert (ends, job.state) == (["in order"], "cancelled")
    assert "next apply" in job.hint
    with pytest.raises(Conflict, match="over"):
        jobs.cancel(job, CALLER)


async def test_a_job_that_is_broken_off_before_it_begins_is_over(tmp_path: Path) -> None:
    jobs = Jobs(Audit(tmp_path), Redactor())

    async def never(job: Job) -> None:
        raise AssertionError

    job = jobs.begin("snapshot", "", CALLER, never)
    jobs.cancel(job, CALLER)
    async with asyncio.timeout(5):
        async for _ in job.follow():
            pass
    assert job.state == "cancelled"
    assert (tmp_path / ".phoenix" / "audit.jsonl").read_text().count("cancelled") == 1
