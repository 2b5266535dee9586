"""How a stack is watched, from the words of its files; times were computed by hand."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from phoenix_hypervisor.config.desire.watch import moment
from phoenix_hypervisor.config.load import Vocabulary, load
from phoenix_hypervisor.config.words.watching import weekly
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.check import Slo
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.model.watch import AlertTarget, Once, Watch, Weekly

GOOD = Path(__file__).parent / "good" / "watch"


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.fixture
def desired(vocabulary: Vocabulary) -> Desired:
    found = load(GOOD, vocabulary).desired
    assert found is not None
    return found


def test_how_often_and_the_sign_of_life(desired: Desired) -> None:
    watch = desired.watch
    assert (watch.interval_s, watch.heartbeat_every_s) == (2, 30)
    assert watch.heartbeat == Secret(name="HEARTBEAT_URL")


def test_each_word_of_a_promise_is_the_guests_own_else_that_of_all(desired: Desired) -> None:
    assert desired.guests[lxc(101)].slo == Slo(99.99, 2000)
    assert desired.guests[lxc(102)].slo == Slo(99.9, 2000)


def test_maintenance_by_the_clock_of_the_host(desired: Desired) -> None:
    patches, nights, party, ends_at_once = desired.watch.maintenance
    assert patches.when == Weekly((6,), 2, 0, 60, "Europe/Berlin")
    assert (patches.guests, patches.reason) == (None, "patches")
    assert nights.when == Weekly((0, 2, 5, 6), 22, 30, 180, "Europe/Berlin")
    assert nights.guests == ("lxc/101", "lxc/102")
    assert party.when == Once(at("2026-12-24T21:00Z"), at("2026-12-25T01:00Z"))
    assert ends_at_once.when == Once(at("2026-12-24T21:00Z"), at("2026-12-24T21:00:01Z"))


def test_who_is_told(desired: Desired) -> None:
    alerts = desired.watch.alerts
    assert (alerts.after_s, alerts.unknown_s, alerts.group_s) == (60, 600, 30)
    assert alerts.remind_s == 12 * 3600
    assert alerts.targets == (
        AlertTarget("ops", Secret(name="OPS_URL"), "page"),
        AlertTarget("mail", Secret(literal="mailto://mail.example.org/?to=ops@example.org")),
        AlertTarget("hook", Secret(literal="jsons://hooks.example.org/alert")),
    )


def test_without_a_word_of_it(tmp_path: Path, vocabulary: Vocabulary) -> None:
    (tmp_path / "phoenix_hypervisor_config.json").write_text("{}")
    found = load(tmp_path, vocabulary).desired
    assert found is not None
    assert found.watch == Watch()


def test_without_a_time_zone_it_is_utc(tmp_path: Path, vocabulary: Vocabulary) -> None:
    words: dict[str, Any] = {
        "watch": {
            "maintenance": [
                {"from": "2026-07-01T00:00", "until": "2026-07-01T01:00"},
                {"weekly": "mon 00:00", "minutes": 1},
            ]
        }
    }
    (tmp_path / "phoenix_hypervisor_config.json").write_text(json.dumps(words))
    found = load(tmp_path, vocabulary).desired
    assert found is not None
    once, each_week = found.watch.maintenance
    assert once.when == Once(at("2026-07-01T00:00Z"), at("2026-07-01T01:00Z"))
    assert each_week.when == Weekly((0,), 0, 0, 1, "UTC")


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon..fri 05:07", (0, 1, 2, 3, 4)),
        ("fri..tue 05:07", (0, 1, 4, 5, 6)),
        ("sun,wed..thu,sun 05:07", (2, 3, 6)),
        ("mon..sun 05:07", tuple(range(7))),
        ("tue..tue 05:07", (1,)),
    ],
)
def test_days_of_the_week(text: str, days: tuple[int, ...]) -> None:
    assert weekly(text) == (days, 5, 7)


@pytest.mark.parametrize(
    ("text", "begins", "ends"),
    [
        ("2026-07-01T12:00", "2026-07-01T10:00Z", "2026-07-01T10:00Z"),
        ("2026-07-01T12:00:30-03:30", "2026-07-01T15:30:30Z", "2026-07-01T15:30:30Z"),
        # Twice 02:30: a window from the first to the second one.
        ("2026-10-25T02:30", "2026-10-25T00:30Z", "2026-10-25T01:30Z"),
        # No 02:30: 03:30 is meant.
        ("2026-03-29T02:30", "2026-03-29T01:30Z", "2026-03-29T01:30Z"),
    ],
)
def test_moments(text: str, begins: str, ends: str) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert moment(text, berlin) == at(begins)
    assert moment(text, berlin, last=True) == at(ends)
