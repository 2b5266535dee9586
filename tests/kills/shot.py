"""One apply that is broken off at a moment: by the clock, or at an event that it tells."""

import json
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.kills import processes
from tests.kills.world import LIMIT_S, PHOENIX, World, environ

# Whether a guest's inside is busy is told by `progress` of configure, which comes in numbers.
EVENTS = (
    ("create", "started"), ("create", "progress"), ("create", "finished"), ("start", "started"),
    ("start", "finished"), ("configure", "started"), ("configure", "progress"),
    ("configure", "finished"), ("snapshot", "started"), ("snapshot", "finished"),
    ("check", "started"), ("update", "started"), ("stop", "started"),
)  # fmt: skip
ANY = ("", "")


@dataclass(frozen=True)
class Moment:
    """When: so many seconds after the start, or after the `count`th event of this step and kind
    (`ANY`: of whatever step).
    """

    after_s: float
    event: tuple[str, str] | None = None
    count: int = 1


@dataclass
class Struck:
    """How it went. `at_s` is None where the apply was over before the moment came."""

    status: int = 0
    at_s: float | None = None
    last: str = ""
    report: dict[str, Any] = field(default_factory=dict)
    output: str = ""
    planned: bool = False
    left_s: float = 0.0
    """How long it took to leave, once it was struck."""
    hung: bool = False


def draw(dice: random.Random, duration_s: float) -> Moment:
    """By the clock over the whole duration, or since the first step began, or after an event."""
    chance = dice.random()
    if chance < 0.15:
        return Moment(dice.uniform(0.05, duration_s))
    if chance < 0.5:
        return Moment(dice.uniform(0.0, duration_s), ANY)
    return Moment(dice.choice((0.0, 0.0, 0.02, 0.1)), dice.choice(EVENTS), dice.randint(1, 4))


def strike(world: World, mark: str, kind: str, moment: Moment, pause_s: float) -> Struck:
    """Starts an apply and breaks it off. `pause_s`: how long a loss lasts."""
    began = time.monotonic()
    process = subprocess.Popen(
        [str(PHOENIX), "--json", "apply", "--yes"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environ(world, mark),
        start_new_session=True,
    )
    ear = _Ear(process, moment)
    due = ear.wait(began)
    struck = Struck()
    if due and process.poll() is None and _DO[kind](world, process, pause_s):
        struck.at_s = time.monotonic() - began
        struck.last = ear.last
    struck_at = time.monotonic()
    try:
        struck.status = process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        struck.status, struck.hung = process.wait(), True
    struck.left_s = time.monotonic() - struck_at
    ear.join()
    struck.output, struck.report, struck.planned = ear.text, ear.report, bool(ear.last)
    return struck


class _Ear:
    """Listens to the events, in a thread, and knows when the moment has come."""

    def __init__(self, process: subprocess.Popen[str], moment: Moment) -> None:
        self._process, self._moment = process, moment
        self._count = 0
        self._over = False
        self._now = threading.Event()
        self.last = ""
        self.report: dict[str, Any] = {}
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def wait(self, began: float) -> bool:
        """Whether the moment came before the end."""
        if self._moment.event is not None:
            self._now.wait(LIMIT_S)
            began = time.monotonic()
        end = began + self._moment.after_s
        while time.monotonic() < end and not self._over:
            time.sleep(0.005)
        return not self._over

    def join(self) -> None:
        """Waits until all was heard; what somebody else holds open is not waited for."""
        self._thread.join(5.0)

    @property
    def text(self) -> str:
        return "".join(self._lines)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)
            self._take(line)
        self._over = True
        self._now.set()

    def _take(self, line: str) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            return
        if not isinstance(event, dict) or "event" not in event:
            return
        if event["event"] == "report":
            self.report = event
            return
        self.last = f"{event['address']} {event['step']} {event['event']}"
        if self._moment.event in {ANY, (event["step"], event["event"])}:
            self._count += 1
            if self._count == self._moment.count:
                self._now.set()


def _send(number: signal.Signals) -> Callable[..., bool]:
    return lambda world, process, pause_s: processes.end(process.pid, number)


def _twice(world: World, process: subprocess.Popen[str], pause_s: float) -> bool:
    sent = processes.end(process.pid, signal.SIGINT)
    time.sleep(0.1)
    processes.end(process.pid, signal.SIGINT)
    return sent


def _worker(world: World, process: subprocess.Popen[str], pause_s: float) -> bool:
    there = processes.workers(process.pid)
    return bool(there) and processes.end(there[0])


def _fork_server(world: World, process: subprocess.Popen[str], pause_s: float) -> bool:
    there = processes.fork_server(process.pid)
    return there is not None and processes.end(there)


def _loss(world: World, process: subprocess.Popen[str], pause_s: float) -> bool:
    with world.lost():
        time.sleep(pause_s)
    return True


_DO: dict[str, Callable[..., bool]] = {
    "kill": _send(signal.SIGKILL),
    "int": _send(signal.SIGINT),
    "term": _send(signal.SIGTERM),
    "int twice": _twice,
    "worker": _worker,
    "fork server": _fork_server,
    "loss": _loss,
}
