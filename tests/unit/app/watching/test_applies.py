"""Guests that a run changes just now are away on purpose, and others are not."""

import time
from pathlib import Path
from typing import Any

import pytest
from tests.unit.history.runs import begun, keep

from phoenix_hypervisor.app.watching.applies import Applies
from phoenix_hypervisor.history.reading import unended
from phoenix_hypervisor.history.recorder import Recorder
from phoenix_hypervisor.model.address import lxc

PLAN: dict[str, Any] = {"changes": [{"address": "lxc/101"}, {"odd": True}]}


def begins(
    folder: Path, ident: str, command: str = "phoenix apply", plan: dict[str, Any] = PLAN
) -> Recorder:
    recorder = Recorder(folder, begun(ident, command=command, plan=lambda: plan))
    end = time.monotonic() + 10
    while not any(run.id == ident for run in unended(folder, 50)):
        assert time.monotonic() < end
        time.sleep(0.01)
    return recorder


def test_a_long_run_counts_however_many_short_ones_follow(tmp_path: Path) -> None:
    found = Applies(tmp_path)
    assert found.now() == {}
    recorder = begins(tmp_path, "long")
    for number in range(8):
        keep(tmp_path, f"short{number}")
    assert list(found.now()) == [lxc(101)]
    assert found.now()[lxc(101)].startswith("`phoenix apply` by ")
    recorder.end("ok")
    assert found.now() == {}


def test_only_what_stops_a_guest_makes_it_doubtful(tmp_path: Path) -> None:
    changes = [
        {"address": "lxc/101", "impact": "live"},
        {"address": "lxc/102", "impact": "restart"},
    ]
    recorder = begins(tmp_path, "long", plan={"changes": changes})
    found = Applies(tmp_path).look()
    assert list(found.why) == [lxc(101), lxc(102)]
    assert found.stops == {lxc(102)}
    recorder.end("ok")


def test_the_healer_s_own_runs_are_none(tmp_path: Path) -> None:
    recorder = begins(tmp_path, "heals", "phoenix watch: apply --target lxc/101")
    assert Applies(tmp_path).now() == {}
    recorder.end("ok")


def test_one_whose_end_could_not_be_written_is_not_planned_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = begins(tmp_path, "served", "phoenix serve: apply")
    assert Applies(tmp_path).now()
    later = time.time() + 13 * 3600
    monkeypatch.setattr("phoenix_hypervisor.app.watching.applies.time.time", lambda: later)
    assert Applies(tmp_path).now() == {}
    recorder.end("ok")
