"""What people see: nothing that a guest says commands their terminal, and nothing is squeezed."""

import io
import json
from typing import Any

import pytest
from rich.console import Console

from phoenix_hypervisor.app import Health, told
from phoenix_hypervisor.app.naming import pick
from phoenix_hypervisor.cli import _carry_out, _health, _progress
from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.cli._progress import _Board, _Left, progress
from phoenix_hypervisor.cli._text import cell, json_safe, plain
from phoenix_hypervisor.model.address import Address, lxc, vm
from phoenix_hypervisor.model.change import Action, Change, Step
from phoenix_hypervisor.model.check import Outcome
from phoenix_hypervisor.model.errors import Denied, UsageError
from phoenix_hypervisor.model.event import Event, Report
from phoenix_hypervisor.model.observed import SeenGuest
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.forecast import Forecast
from phoenix_hypervisor.plan.schedule import Hands
from phoenix_hypervisor.verify.checks.tcp import Tcp

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b1m\rgone\x00\x7f"
NAMES = ["lxc/103", "lxc/101"]
PLAN = Plan(
    "shop",
    "sim",
    tuple(
        Change(Address(a), Action.CREATE, name="web", steps=(Step(f"{a}:x", Address(a), "x"),) * 4)
        for a in NAMES
    ),
)

HANDS = Hands(slots=4, clones_per_source=1, sources={})
FORECAST = Forecast(PLAN, HANDS)


def controls(text: str) -> list[str]:
    return [c for c in text if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160]


def context(width: int = 80) -> Context:
    made = Context()
    made.out = Console(file=io.StringIO(), highlight=False, soft_wrap=True, width=width)
    made.err = Console(file=io.StringIO(), highlight=False, soft_wrap=True, width=width)
    return made


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_control_characters_are_taken_out_and_text_stays() -> None:
    assert plain("a\tb\nc é 日本 \u2028") == "a\tb\nc é 日本 \u2028"
    assert plain(EVIL) == "]0;owned[2J1mgone"
    assert cell("[red]two\nlines\x1b") == r"\[red]two lines"
    text = json_safe(json.dumps(EVIL, ensure_ascii=False))
    assert controls(text) == []
    assert json.loads(text) == EVIL


def test_no_message_of_a_guest_reaches_the_terminal_raw() -> None:
    to = context()
    to.print(EVIL)
    to.fail(Denied(EVIL, missing="a privilege", hint=EVIL))
    with progress(to, PLAN, FORECAST) as emit:
        emit(Event("failed", lxc(101), "create", "check", 1.0, EVIL))
    assert controls(shown(to.out) + shown(to.err)) == []
    assert "missing: a privilege" in shown(to.err)


@pytest.mark.parametrize("width", [80, 110])
def test_a_long_message_squeezes_no_other_column(width: int) -> None:
    board, to = _Board(PLAN, _Left(FORECAST)), context(width)
    board.take(Event("progress", lxc(101), "create", "configure", 1.0, f"{EVIL}\n{'long ' * 99}"))
    board.take(Event("failed", lxc(109), "create", "verify", 1.0, "not of the plan"))
    to.out.print(board)
    lines = shown(to.out).splitlines()
    assert [line.split()[1] for line in lines[:3]] == [*NAMES, "lxc/109"]
    assert "lxc/101 web 0/4 configure ]0;owned" in lines[1]
    assert lines[1].rstrip().endswith("…")
    assert all(len(line) <= width for line in lines)
    assert controls("".join(lines)) == []


def test_a_guest_that_cannot_be_seen_is_neither_absent_nor_healthy() -> None:
    hidden = Health(lxc(101), "web", None, hidden="no privilege")
    listed: Any = told.health([hidden, Health(lxc(102), "db", None)], real=True)
    assert [(g["state"], g["healthy"]) for g in listed["guests"]] == [
        ("unknown", None),
        ("absent", None),
    ]
    assert [g["left_out"] for g in listed["guests"]] == [False, False]
    to = context()
    to.out.print(_health.shown([hidden], with_checks=True))
    assert "no privilege" in shown(to.out)


def test_a_failing_check_does_not_spread_the_guests_apart() -> None:
    check = Tcp(name="tcp 8080 of a service whose name is long", port=8080)
    outcome = Outcome(ok=False, message="status 502 " + "instead of 200 " * 5, latency_ms=12.0)
    ill = Health(lxc(101), "web", SeenGuest(lxc(101), "web", "running"), ((check, outcome),))
    to = context()
    to.out.print(_health.shown([ill], with_checks=False))
    lines = shown(to.out).splitlines()
    assert lines[1].split() == ["lxc/101", "web", "running", "not", "healthy", "0/1"]
    assert len(lines[1]) < 60  # what the check says stands below, and makes no column wide
    assert "✗" in lines[4]


def test_a_replica_that_is_out_of_its_proxies_is_not_just_healthy() -> None:
    out = Health(lxc(101), "web-1", None, left_out=True)
    listed: Any = told.health([out], real=True)
    assert listed["guests"][0]["left_out"] is True
    to = context()
    to.out.print(_health.shown([out], with_checks=False))
    assert "left out" in shown(to.out)


def test_an_apply_ends_with_who_is_left_out() -> None:
    to = context()
    report = Report(ok=False, summary={}, left_out=("lxc/101 (web-1) is out of its proxies",))
    _carry_out._tell(to, report, {}, checked=False, real=True)
    lines = shown(to.err).splitlines()
    assert lines[0] == "left out: lxc/101 (web-1) is out of its proxies"
    assert lines[1].startswith("not finished")
    assert report.as_json()["left_out"] == list(report.left_out)


def test_an_id_goes_before_a_name_and_ours_before_others() -> None:
    ours = [(lxc(101), "web"), (lxc(102), "101"), (vm(105), "db"), (lxc(107), "db")]
    others = [(lxc(900), "web"), (lxc(901), "x")]
    assert pick("101", ours, others) == "lxc/101"
    assert pick("vm/105", ours, others) == "vm/105"
    assert pick("105", ours, others) == "vm/105"
    assert pick("web", ours, others) == "lxc/101"
    assert pick("x", ours, others) == "lxc/901"
    for word, said in (("db", "lxc/107, vm/105"), ("nobody", "there is no guest")):
        with pytest.raises(UsageError, match=said):
            pick(word, ours, others)


def long_plan() -> Plan:
    step = Step("lxc/101:configure", lxc(101), "configure", estimate_s=150.0)
    return Plan("shop", "sim", (Change(lxc(101), Action.CONFIGURE, steps=(step,)),))


def test_the_time_that_is_left_is_shown() -> None:
    plan = long_plan()
    board, to = _Board(plan, _Left(Forecast(plan, HANDS))), context()
    to.out.print(board)
    assert shown(to.out).splitlines()[-1].strip() == "0 s, about 2 min left"


def test_nothing_is_left_once_all_is_over() -> None:
    plan = long_plan()
    board, to = _Board(plan, _Left(Forecast(plan, HANDS))), context()
    for kind in ("started", "finished"):
        board.take(Event(kind, lxc(101), "configure", "configure", 1.0))
    to.out.print(board)
    assert "left" not in shown(to.out)


def test_plain_progress_tells_the_time_left_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_progress, "_PLAIN_LEFT_PAUSE_S", 0.0)
    plan, to = long_plan(), context()
    with progress(to, plan, Forecast(plan, HANDS)) as emit:
        emit(Event("started", lxc(101), "configure", "configure", 0.0))
    told = shown(to.out) + capsys.readouterr().out
    assert told.strip().endswith("lxc/101 configure started (about 2 min left)")


def test_plain_progress_tells_what_is_waited_for_from_the_start(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan, to = long_plan(), context()
    with progress(to, plan, Forecast(plan, HANDS)) as emit:
        emit(Event("started", lxc(101), "verify", "check", 0.0))
        emit(Event("progress", lxc(101), "verify", "check", 0.1, "waiting for it: refused"))
        emit(Event("progress", lxc(101), "verify", "check", 0.2, "too soon after the last one"))
    told = shown(to.out) + capsys.readouterr().out
    assert "check progress: waiting for it: refused" in told
    assert "too soon" not in told
