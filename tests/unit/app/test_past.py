"""Runs of a session go into the history, however they end, and no secret with them."""

import asyncio
import os
from pathlib import Path

import pytest
from tests.unit.history.runs import keep
from tests.unit.plan.worlds import clone, desired, plain, template

from phoenix_hypervisor.app.drift import look
from phoenix_hypervisor.app.past import Past
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.config.secrets import Secrets
from phoenix_hypervisor.drivers.sim import Faults, MemoryStore, SimDriver, Timing
from phoenix_hypervisor.history import database, reading
from phoenix_hypervisor.history.reading import PastRun
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.errors import Denied
from phoenix_hypervisor.model.event import Event, Report
from phoenix_hypervisor.plan.options import Options

CANARY = "c4n4ry-'$(x)"


class Scene:
    def __init__(self, folder: Path, wanted: Desired) -> None:
        self.folder = folder
        self.faults = Faults()
        self.timing = Timing(seconds={"create": 0.2, "clone": 0.2, "start": 0.1})
        driver = SimDriver("lab", MemoryStore(), self.faults, self.timing)
        self.session = Session(wanted, driver, Secrets(folder, {"CANARY": CANARY}), ())
        self.session.secrets.lookup("CANARY")

    async def apply(self, *, command: str = "phoenix apply") -> Report:
        plan, observed = await self.session.plan(Options())
        past = Past(self.session)
        events: list[Event] = []
        report = await past.apply(command, past.estimated(plan), observed, events.append)
        assert past.trouble == ""
        assert len(self.last.events) == len(events)
        return report

    @property
    def last(self) -> PastRun:
        return reading.run(self.folder, "last")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    base = template(900, features=())
    wanted = desired(base, clone(101, base, features=(), checks=()), plain(102), folder=tmp_path)
    return Scene(tmp_path, wanted)


async def test_a_good_run(scene: Scene) -> None:
    report = await scene.apply()
    assert (scene.last.result, scene.last.report) == ("ok", report.as_json())
    assert (scene.last.id, scene.last.target) == (scene.session.run_id, "sim")
    assert {change["address"] for change in scene.last.plan["changes"]} >= {lxc(101), lxc(900)}


async def test_a_failed_step(scene: Scene) -> None:
    why = Denied(f"may not use {CANARY}", missing="VM.PowerMgmt", hint="ask for it")
    scene.faults.fail("start", lxc(102), why)
    assert not (await scene.apply()).ok
    last = scene.last
    assert last.result == "failed"
    assert last.report is not None
    (failure,) = last.report["failed"]
    assert (failure["address"], failure["step"]) == (lxc(102), "start")
    assert failure["message"] == "may not use [secret]"
    assert (lxc(102), "failed") in [(e["address"], e["event"]) for e in last.events]


async def test_no_secret_is_kept(scene: Scene) -> None:
    scene.faults.fail("start", lxc(102), Denied(f"may not use {CANARY}", hint=CANARY))
    await scene.apply(command=f"phoenix apply --target {CANARY}")
    assert scene.last.command == "phoenix apply --target [secret]"
    for path in database.path(scene.folder).parent.iterdir():
        assert b"c4n4ry" not in path.read_bytes(), path


async def test_an_interrupted_run(scene: Scene) -> None:
    task = asyncio.create_task(scene.apply())
    await asyncio.sleep(0.3)
    task.cancel()
    report = await task
    assert report.interrupted
    assert scene.last.result == "interrupted"
    assert scene.last.report is not None
    assert scene.last.report["half_done"]


async def test_a_bug(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> Report:
        raise KeyError(CANARY)

    monkeypatch.setattr(Session, "apply", broken)
    with pytest.raises(KeyError):
        await scene.apply()
    assert (scene.last.result, scene.last.error) == ("failed", "an unexpected KeyError")


async def test_a_stack_is_held_by_a_user_that_the_machine_does_not_know(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 424242)
    async with scene.session.hold("phoenix apply"):
        assert list(scene.session.broken_off) == []


async def test_the_error_that_ends_a_run_is_kept_without_secrets(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object, **__: object) -> Report:
        raise Denied(f"may not use {CANARY}")

    monkeypatch.setattr(Session, "apply", refused)
    with pytest.raises(Denied):
        await scene.apply()
    assert (scene.last.result, scene.last.error) == ("failed", "may not use [secret]")


async def test_drift_tells_of_the_runs_on_its_own_target_alone(scene: Scene) -> None:
    await scene.apply()
    keep(scene.folder, "elsewhere", target="incus")
    keep(scene.folder, "of-others", stack="theirs")
    found = await look(scene.session, (), deep=False, tell=lambda *_: None)
    assert [run.id for run in found.runs] == [scene.session.run_id]


async def test_estimates_follow_what_was_measured(scene: Scene) -> None:
    await scene.apply()
    fresh = Scene(scene.folder, scene.session.desired)
    plan, _ = await fresh.session.plan(Options())
    before = {s.id: s.estimate_s for c in plan.changes for s in c.steps}
    after = {
        s.id: s.estimate_s for c in Past(fresh.session).estimated(plan).changes for s in c.steps
    }
    assert before.keys() == after.keys()
    measured = [one for one in before if after[one] != before[one]]
    assert f"{lxc(102)}:create" in measured
    assert abs(after[f"{lxc(102)}:create"] - 0.2) < 0.15
