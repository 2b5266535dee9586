"""What pages say of a plan, a run and promises, without a browser."""

from typing import Any

from phoenix_hypervisor.app.objectives import PROMISED, Kept, Objective
from phoenix_hypervisor.history.reading import PastRun
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.change import Action, Change, FieldChange, Impact, Step
from phoenix_hypervisor.model.check import Slo
from phoenix_hypervisor.model.desired import Json
from phoenix_hypervisor.watch.slo import Budget
from phoenix_hypervisor.watch.time_line import Totals
from phoenix_hypervisor.web import parts
from phoenix_hypervisor.web.pages import history, overview, plan

DAYS_30_S = 30 * 86400.0


def promise(totals: Totals) -> Objective:
    budget = Budget(0.999, DAYS_30_S, totals)
    kept = Kept(DAYS_30_S, totals, budget, 0, 0, None)
    return Objective(lxc(101), "web", Slo(99.9), {PROMISED: kept}, None, None, 300.0)


def test_what_was_not_watched_was_not_kept() -> None:
    kept = promise(Totals(up_s=DAYS_30_S))
    broken = promise(Totals(up_s=0.9 * DAYS_30_S, down_s=0.1 * DAYS_30_S))
    unknown = promise(Totals(up_s=3600.0))
    told = overview._kept([kept, broken, unknown, unknown])
    assert "1 of 4" in told
    assert "last 30 days, 1 broken, 2 not known yet" in told
    assert '1 of 1</strong><span class="dim">last 30 days</span>' in overview._kept([kept])


def change(action: Action, impact: Impact, *steps: str) -> Change:
    at = lxc(101)
    made = tuple(Step(f"{at}:{step}", at, step) for step in steps)
    return Change(at, action, name="web", impact=impact, steps=made)


def test_a_plan_says_where_services_may_restart() -> None:
    words = "live; its services may restart"
    assert words in plan._change(change(Action.CONFIGURE, Impact.LIVE, "configure"))
    assert words not in plan._change(change(Action.UPDATE, Impact.LIVE, "update"))
    assert words not in plan._change(change(Action.CREATE, Impact.LIVE, "create", "configure"))


def test_a_plan_tells_what_a_new_guest_will_be_as_the_command_does() -> None:
    rule: dict[str, Json] = {"action": "ACCEPT", "direction": "in", "proto": "tcp", "ports": [80]}
    fields = (
        FieldChange("cores", None, 2),
        FieldChange("network.0.address", None, "10.0.0.5/24"),
        FieldChange("features", None, ["nginx"]),
        FieldChange("firewall", None, {"rules": [rule]}),
    )
    made = Change(lxc(101), Action.CREATE, name="web", fields=fields)
    told = plan._change(made)
    assert "<p>2 cores, 10.0.0.5/24, nginx</p>" in told
    assert "<li>ACCEPT in tcp 80</li>" in told
    assert "<details><summary>All of it</summary><dl>" in told


def run(events: int, report: dict[str, Any]) -> PastRun:
    told = [
        {"elapsed_s": n, "address": "x", "step": f"step{n}", "event": "progress", "message": ""}
        for n in range(events)
    ]
    words = ("abcdef", 0.0, 9.0, "ada", "here", "phoenix apply", "sim", "s", "1", None, None)
    return PastRun(*words, {}, "failed", "", None, told, report)


def test_a_long_run_is_folded() -> None:
    told = history._whole(run(60, {"left_out": ["lxc/101 is out"]}), 50)
    assert told.count("<td>step") == 50
    assert 'href="/history?run=abcdef&amp;more=1">all 60 events' in told
    assert "step59" in told
    assert "left out: lxc/101 is out" in told
    assert "more=1" not in history._whole(run(50, {}), 50)
    assert history._whole(run(60, {}), 1000).count("<td>step") == 60


def test_things_are_counted_as_one_says_it() -> None:
    assert [parts.counted(n, "core") for n in (0, 1, 2)] == ["0 cores", "1 core", "2 cores"]


def test_the_latest_runs_and_a_way_to_all() -> None:
    runs = [run(0, {})] * 51
    assert history._listed(runs, 50).count("<tr>") == 51  # one is of the heads
    assert 'href="/history?more=1"' in history._listed(runs, 50)
    assert "more=1" not in history._listed(runs[:50], 50)
    assert "more=1" not in history._listed(runs, 1000)
