"""What Prometheus is told: read back by its own parser, and compared with what was kept."""

import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import parser
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser
from tests.unit.features.guests import desired as wanted
from tests.unit.features.guests import guest
from tests.unit.history.runs import keep

from phoenix_hypervisor.app import _metrics_families as families
from phoenix_hypervisor.app._metrics_seen import Applied, Applies, Seen, Told
from phoenix_hypervisor.app.metrics import Metrics, Watcher
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.features._vllm_options import VllmOptions
from phoenix_hypervisor.history import database as history
from phoenix_hypervisor.history import origin
from phoenix_hypervisor.history.reading import PastRun
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.check import Slo
from phoenix_hypervisor.model.desired import Desired, FeatureUse, Gpu, Guest, Host
from phoenix_hypervisor.model.watching import Answer, Happening
from phoenix_hypervisor.verify.checks.llm import Llm
from phoenix_hypervisor.verify.checks.tcp import Tcp
from phoenix_hypervisor.watch import database
from phoenix_hypervisor.watch.store import WHOLE, Store
from phoenix_hypervisor.watch.time_line import State, Stretch

WEB, LLM = Address("lxc/1"), Address("lxc/2")
NOON = 1_790_000_000 // 86400 * 86400 + 43200
TCP, ASK = Tcp(port=80, name="port"), Llm(port=8080, name="asks")


class Clock:
    now = float(NOON)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def stack(*guests: Guest, host: Host | None = None) -> Desired:
    slo = Slo(99.0, 2000.0)
    mine = guests or (
        guest(1, "web", checks=(TCP,), slo=slo),
        guest(2, "llm", checks=(ASK,)),
    )
    return wanted(*mine, host=host)


def samples(families: Iterable[Metric]) -> dict[str, dict[tuple[str, ...], float]]:
    """By name of a sample, then by the values of its labels in the order of their names."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in families:
        for one in family.samples:
            labels = tuple(value for _, value in sorted(one.labels.items()))
            assert labels not in found.setdefault(one.name, {}), one
            found[one.name][labels] = one.value
    return found


def ask(
    metrics: Metrics, desired: Desired, watcher: Watcher | None = None
) -> Mapping[str, Mapping[tuple[str, ...], float]]:
    text = metrics.exposition(desired, "", watcher).body.decode()
    return samples(parser.text_string_to_metric_families(text))


def every_name() -> set[str]:
    """All names of samples that there can be."""
    told = Told(stack(), str)
    watcher = Watcher(lateness=((0.99, 0.0),))
    run = PastRun("r", 0, 1, "", "", "", "", "", "", None, None, {}, "ok", "")
    found = [
        *families.of_build(stack()),
        *families.of_guests(told, {}, {}),
        *families.of_checks(told, Seen()),
        *families.of_objectives(told, Seen()),
        *families.of_llm(told, Seen()),
        *families.of_happenings(told, Seen()),
        *families.of_cards(told),
        *families.of_applies(Applies(last=run)),
        *families.of_watcher(watcher),
        *families.of_itself(readable=True, took_s=0),
    ]
    ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    return {f"{one.name}{end}" for one in found for end in ends.get(one.type, ("",))}


def answer(at: float, latency_ms: float | None, health: str = "up", **more: object) -> Answer:
    return Answer(WEB, "port", "tcp", at, health, latency_ms=latency_ms, **more)  # type: ignore[arg-type]


def test_nothing_was_ever_watched(tmp_path: Path, clock: Clock) -> None:
    found = ask(Metrics(tmp_path, clock=clock), stack())
    assert found["phoenix_build_info"]
    assert found["phoenix_measurements_readable"] == {(): 1}
    assert found["phoenix_guest_health"]["lxc/1", "unknown", "web"] == 1
    assert "phoenix_check_up" not in found
    assert found["phoenix_check_answers_total"]["port", "lxc/1", "web"] == 0
    assert found["phoenix_slo_objective_ratio"] == {("lxc/1", "web"): 0.99}
    assert "phoenix_slo_burn_rate" not in found


def test_counters_begin_with_the_process_and_never_fall(tmp_path: Path, clock: Clock) -> None:
    store = Store.create(tmp_path)
    store.write([answer(NOON - 30, 10), answer(NOON - 90, 10)], [])
    metrics = Metrics(tmp_path, clock=clock)
    key = ("port", "lxc/1", "web")
    assert ask(metrics, stack())["phoenix_check_answers_total"][key] == 0
    store.write([answer(NOON + 1, 30, slow=True), answer(NOON + 2, None, "down")], [])
    before = 0.0
    for step in range(1, 40):
        clock.now = NOON + step * 60
        store.write([answer(clock.now, 1500)], [])
        store.thin(clock.now)
        found = ask(metrics, stack())
        told = found["phoenix_check_answers_total"][key]
        assert told == 2 + step > before
        before = told
    assert found["phoenix_check_failures_total"][key] == 1
    assert found["phoenix_check_slow_total"][key] == 1
    buckets = found["phoenix_check_latency_seconds_bucket"]
    within = {key[-1]: value for key, value in buckets.items() if key[1:3] == ("lxc/1", "0.05")}
    assert within == {"web": 1}
    assert buckets["port", "lxc/1", "+Inf", "web"] == 40
    assert found["phoenix_check_latency_seconds_count"][key] == 40
    took = found["phoenix_check_latency_seconds_sum"][key]
    assert took == pytest.approx(39 * 1.5 + 0.03, rel=0.05)
    (tmp_path / ".phoenix/watch.sqlite3").unlink()
    assert ask(metrics, stack())["phoenix_check_answers_total"][key] == 0


def test_answers_and_health(tmp_path: Path, clock: Clock) -> None:
    store = Store.create(tmp_path)
    store.write([answer(NOON, 5), Answer(LLM, "asks", "llm", NOON - 3600, "down")], [])
    metrics = Metrics(tmp_path, clock=clock)
    found = ask(metrics, stack())
    assert found["phoenix_check_up"] == {
        ("port", "lxc/1", "tcp", "web"): 1,
        ("asks", "lxc/2", "llm", "llm"): 0,
    }
    health = found["phoenix_guest_health"]
    assert [key for key, value in health.items() if value == 1] == [
        ("lxc/1", "up", "web"),
        ("lxc/2", "unknown", "llm"),  # an hour old
    ]
    assert sum(health.values()) == 2
    assert "phoenix_guest_state" not in found
    status = GuestStatus(LLM, "llm", "stopped", "down", NOON)
    away = GuestStatus(WEB, "web", "running", "up", NOON, planned="a window")
    watcher = Watcher((status, away), ((0.99, 0.25),), left_out=3, answered=7, checks=2)
    found = ask(metrics, stack(), watcher)
    assert found["phoenix_guest_health"]["lxc/2", "down", "llm"] == 1
    assert found["phoenix_guest_state"]["lxc/2", "llm", "stopped"] == 1
    assert found["phoenix_guest_state"]["lxc/2", "llm", "running"] == 0
    assert found["phoenix_guest_planned"] == {("lxc/1", "web"): 1, ("lxc/2", "llm"): 0}
    assert found["phoenix_watch_lateness_seconds"] == {("0.99",): 0.25}
    assert found["phoenix_watch_left_out_total"] == {(): 3}


def test_promises(tmp_path: Path, clock: Clock) -> None:
    store = Store.create(tmp_path)
    stretches = [
        ((WEB, WHOLE), Stretch(NOON - 3600, NOON - 36, State.UP)),
        ((WEB, WHOLE), Stretch(NOON - 36, NOON, State.DOWN)),
    ]
    metrics = Metrics(tmp_path, clock=clock)
    ask(metrics, stack())
    store.write([], stretches)
    clock.now = NOON + 40  # windows are added up again after 36 s; this one begins a minute later
    found = ask(metrics, stack())
    hour = ("lxc/1", "web", "1h")
    assert found["phoenix_slo_availability_ratio"][hour] == pytest.approx(1 - 36 / 3540)
    assert found["phoenix_slo_burn_rate"][hour] == pytest.approx(36 / 3600 / 0.01)
    five_minutes = found["phoenix_slo_burn_rate"]["lxc/1", "web", "5m"]
    assert five_minutes == pytest.approx(36 / 300 / 0.01)
    assert found["phoenix_slo_error_budget_remaining_ratio"][hour] == pytest.approx(0)
    assert found["phoenix_slo_known_ratio"][hour] == pytest.approx(3540 / 3600)
    assert found["phoenix_slo_latency_objective_seconds"] == {("lxc/1", "web"): 2}
    assert found["phoenix_guest_seconds_total"]["lxc/1", "web", "down"] == 36


def test_model_servers(tmp_path: Path, clock: Clock) -> None:
    store = Store.create(tmp_path)
    metrics = Metrics(tmp_path, clock=clock)

    def asked(at: float, first_ms: float) -> Answer:
        numbers = {"first_token_ms": first_ms, "total_ms": 900.0, "tokens_per_s": 50.0}
        return Answer(LLM, "asks", "llm", at, "up", latency_ms=900, numbers=numbers)

    store.write([asked(NOON + 1, 80), asked(NOON + 61, 400)], [])
    clock.now = NOON + 61
    ask(metrics, stack())
    store.write([asked(NOON + 121, 1200)], [])
    clock.now = NOON + 122
    found = ask(metrics, stack())
    buckets = found["phoenix_llm_first_token_seconds_bucket"]
    counts = {key[2]: value for key, value in buckets.items()}
    assert (counts["0.05"], counts["0.1"], counts["0.5"]) == (0, 1, 2)
    assert (counts["1.0"], counts["2.0"], counts["+Inf"]) == (2, 3, 3)
    assert found["phoenix_llm_first_token_seconds_sum"]["asks", "lxc/2", "llm"] == 1.68
    assert found["phoenix_llm_answer_seconds_count"]["asks", "lxc/2", "llm"] == 3
    assert found["phoenix_llm_tokens_per_second"]["asks", "lxc/2", "llm"] == 50


def test_happenings_also_those_written_late(tmp_path: Path, clock: Clock) -> None:
    store = Store.create(tmp_path)
    metrics = Metrics(tmp_path, clock=clock)
    store.write([], [], [Happening(NOON - 5, "heal", WEB, "before", "service")])
    heals = [Happening(NOON + n, "heal", WEB, f"{n}", "service") for n in (5, 6)]
    store.write([], [], [heals[1], Happening(NOON + 7, "alert", "", "all")])
    ask(metrics, stack())
    store.write([], [], [heals[0]])
    found = ask(metrics, stack())
    assert found["phoenix_healing_steps_total"] == {("lxc/1", "web", "service"): 2}
    assert found["phoenix_happenings_total"]["lxc/1", "web", "heal"] == 2
    assert found["phoenix_happenings_total"]["", "", "alert"] == 1
    assert found["phoenix_happenings_total"]["lxc/2", "llm", "gave-up"] == 0


def test_cards(tmp_path: Path, clock: Clock) -> None:
    words = {"model": "a/b", "gpu_memory_utilization": 0.5}
    use = FeatureUse("vllm", VllmOptions.model_validate(words))
    host = Host(gpus=(Gpu(0, "RTX", 16384),))
    found = ask(
        Metrics(tmp_path, clock=clock), stack(guest(3, "v", gpus=(0,), features=(use,)), host=host)
    )
    assert found["phoenix_gpu_memory_bytes"] == {("0", "RTX"): 16 * 1024**3}
    assert found["phoenix_gpu_claimed_bytes"] == {("0", "lxc/3", "RTX", "v"): 8 * 1024**3}
    assert found["phoenix_gpu_claimed_ratio"] == {("0", "RTX"): 0.5}


def test_applies(tmp_path: Path, clock: Clock) -> None:
    metrics = Metrics(tmp_path, clock=clock)
    with history.create(tmp_path) as db:
        for number, (began, ended, result) in enumerate(
            [(-90, -50, "ok"), (10, 30, "failed"), (40, 42, "ok")]
        ):
            db.execute(
                "INSERT INTO run (id, began, ended, who, host, process, command, target, stack,"
                " version, summary, result) VALUES (?, ?, ?, 'me', 'h', 'p', 'apply', 'sim', 's',"
                " '1', '{}', ?)",
                (f"run{number}", NOON + began, NOON + ended, result),
            )
    found = ask(metrics, stack())
    assert found["phoenix_apply_duration_seconds_count"] == {
        ("ok",): 1,
        ("failed",): 1,
        ("interrupted",): 0,
    }
    assert found["phoenix_apply_duration_seconds_sum"]["failed",] == 20
    assert found["phoenix_apply_duration_seconds_bucket"]["5.0", "ok"] == 1
    assert found["phoenix_apply_last_duration_seconds"] == {("ok",): 2}
    assert found["phoenix_apply_last_end_timestamp_seconds"] == {("ok",): NOON + 42}


def test_of_runs_that_were_counted_only_sums_are_kept(tmp_path: Path, clock: Clock) -> None:
    applied = Applied(tmp_path, 0)
    found = applied.look()
    for number in range(130):
        keep(tmp_path, f"run{number}", result="ok" if number % 2 else "failed")
        if number % 50 == 0:
            found = applied.look()
    assert applied.look() == applied.look()
    found = applied.look()
    assert {result: took.runs for result, took in found.ended.items()} == {"ok": 65, "failed": 65}
    assert len(applied._counted) == 100


def test_an_apply_that_was_killed_is_told(tmp_path: Path, clock: Clock) -> None:
    with history.create(tmp_path) as db:
        for number, process in enumerate([f"{os.getpid()} before", origin.process()]):
            db.execute(
                "INSERT INTO run (id, began, who, host, process, command, target, stack, version,"
                " summary) VALUES (?, ?, 'me', ?, ?, 'apply', 'sim', 's', '1', '{}')",
                (f"run{number}", NOON + number, platform.node(), process),
            )
    found = ask(Metrics(tmp_path, clock=clock), stack())
    assert found["phoenix_apply_last_end_timestamp_seconds"] == {("killed",): NOON}
    assert "phoenix_apply_last_duration_seconds" not in found
    assert found["phoenix_apply_running"] == {(): 1}


def test_files_that_cannot_be_read_are_told(tmp_path: Path, clock: Clock) -> None:
    Store.create(tmp_path).close()
    database.path(tmp_path).write_bytes(b"no database" * 1000)
    history.path(tmp_path).write_bytes(b"no database" * 1000)
    found = ask(Metrics(tmp_path, clock=clock), stack())
    assert found["phoenix_measurements_readable"] == {(): 0}
    assert found["phoenix_history_readable"] == {(): 0}
    assert found["phoenix_guest_health"]["lxc/1", "unknown", "web"] == 1


def test_names_without_secrets_and_all_that_a_label_may_hold(tmp_path: Path, clock: Clock) -> None:
    odd = replace(guest(1, 'we"b\\\n'), checks=(Tcp(port=80, name="key hunter2"),))
    Store.create(tmp_path).write([Answer(WEB, "key hunter2", "tcp", NOON, "up")], [])
    metrics = Metrics(tmp_path, lambda text: text.replace("hunter2", "[secret]"), clock)
    found = ask(metrics, stack(odd))
    assert found["phoenix_check_up"] == {("key [secret]", "lxc/1", "tcp", 'we"b\\\n'): 1}
    assert b"hunter2" not in metrics.exposition(stack(odd)).body


def test_open_metrics_where_it_is_asked_for(tmp_path: Path, clock: Clock) -> None:
    Store.create(tmp_path).write([answer(NOON, 5)], [])
    metrics = Metrics(tmp_path, clock=clock)
    asked = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"
    told = metrics.exposition(stack(), asked)
    assert told.content_type.startswith("application/openmetrics-text; version=1.0.0")
    text = told.body.decode()
    assert text.endswith("# EOF\n")
    families = openmetrics_parser.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    assert samples(families)["phoenix_check_up"] == {("port", "lxc/1", "tcp", "web"): 1}
    assert metrics.exposition(stack()).content_type.startswith("text/plain; version=")
