"""The families of metrics, each made of what was seen. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, get_args

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from phoenix_hypervisor import __version__
from phoenix_hypervisor.app import gpus
from phoenix_hypervisor.app._metrics_seen import (
    APPLY_LIMITS_S,
    WINDOWS_S,
    Applies,
    Seen,
    Told,
    Took,
)
from phoenix_hypervisor.app._metrics_tally import LIMITS_S, Counts, Numbers
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.observed import GuestState
from phoenix_hypervisor.model.watching import Health
from phoenix_hypervisor.watch.slo import WINDOWS, Budget, burn_rate
from phoenix_hypervisor.watch.time_line import Totals

if TYPE_CHECKING:
    from phoenix_hypervisor.app.metrics import Watcher

_GUEST = ("guest", "name")
_CHECK = ("guest", "name", "check")
_MIB = 1024**2
_MS = 1000.0
_RESULTS = ("ok", "failed", "interrupted")
_HAPPENS = ("down", "up", "heal", "healed", "gave-up", "held", "alert", "resolved")
Sample = tuple[Sequence[str], float]


def of_build(desired: Desired) -> Iterator[Metric]:
    """Which phoenix, and of which stack."""
    labels = ("version", "stack")
    found: list[Sample] = [((__version__, desired.stack), 1)]
    yield _gauge("phoenix_build_info", "The version of phoenix, and the stack.", labels, found)


def of_guests(
    told: Told, statuses: Mapping[Address, GuestStatus], health: Mapping[Address, Health]
) -> Iterator[Metric]:
    """State, where the process knows it, and health; one sample of each kind is 1."""
    state = [
        ([*told.guest(one.address), kind], float(one.state == kind))
        for one in statuses.values()
        for kind in get_args(GuestState)
    ]
    labels = (*_GUEST, "state")
    yield _gauge("phoenix_guest_state", "What the hypervisor says of a guest.", labels, state)
    away = [(told.guest(one.address), float(bool(one.planned))) for one in statuses.values()]
    words = "Whether a guest may be away on purpose just now."
    yield _gauge("phoenix_guest_planned", words, _GUEST, away)
    healths = [
        ([*told.guest(address), kind], float(now == kind))
        for address, now in health.items()
        for kind in get_args(Health)
    ]
    yield _gauge("phoenix_guest_health", "How a guest is.", (*_GUEST, "health"), healths)


def of_checks(told: Told, seen: Seen) -> Iterator[Metric]:
    """The last answer of each check, and how all of them were."""
    latest = {key: one for key, one in seen.latest.items() if key in seen.holds}
    up = [
        ([*told.check(key), one.kind], float(one.health == "up"))
        for key, one in latest.items()
        if one.health != "unknown"
    ]
    yield _gauge("phoenix_check_up", "Whether a check passed last.", (*_CHECK, "kind"), up)
    at = [(told.check(key), one.at) for key, one in latest.items()]
    name = "phoenix_check_last_answer_timestamp_seconds"
    yield _gauge(name, "When a check was answered last, Unix time.", _CHECK, at)
    counts = {key: seen.counts.get(key, Counts()) for key in seen.holds}
    for name, words, value in (
        ("phoenix_check_answers", "Answers of a check.", "answers"),
        ("phoenix_check_failures", "Answers of a check that were a no.", "failed"),
        ("phoenix_check_slow", "Answers over the promised latency.", "slow"),
    ):
        found = [(told.check(key), getattr(one, value)) for key, one in counts.items()]
        yield _counter(name, words, _CHECK, found)
    latency = _histogram("phoenix_check_latency_seconds", "How long answers took.", _CHECK)
    for key, one in counts.items():
        buckets = _buckets(LIMITS_S, one.within, one.timed)
        latency.add_metric(told.check(key), buckets, one.took_s)
    yield latency


def of_objectives(told: Told, seen: Seen) -> Iterator[Metric]:
    """Time in each state, and what is left of promises."""
    times = [
        ([*told.guest(guest.address), state], getattr(counts, f"{state}_s"))
        for guest in told.guests
        for counts in (seen.counts.get((guest.address, ""), Counts()),)
        for state in ("up", "down", "planned")
    ]
    words = "Time that a guest was seen to be so."
    yield _counter("phoenix_guest_seconds", words, (*_GUEST, "state"), times)
    promised, latency, found = [], [], defaultdict[str, list[Sample]](list)
    for guest in told.guests:
        labels = told.guest(guest.address)
        if guest.slo is not None and guest.slo.latency_p95_ms is not None:
            latency.append((labels, guest.slo.latency_p95_ms / _MS))
        if guest.slo is None or guest.slo.availability is None:
            continue
        objective = guest.slo.availability / 100
        promised.append((labels, objective))
        for name, value, window in _kept(objective, guest.address, seen):
            found[name].append(([*labels, window], value))
    yield _gauge("phoenix_slo_objective_ratio", "Promised availability.", _GUEST, promised)
    words = "Promised 95th percentile of the time to an answer."
    yield _gauge("phoenix_slo_latency_objective_seconds", words, _GUEST, latency)
    for name, words in (
        ("phoenix_slo_availability_ratio", "Share of the known time that a guest was up."),
        ("phoenix_slo_known_ratio", "Share of a window of which something is known."),
        ("phoenix_slo_error_budget_remaining_ratio", "Share of the error budget that is left."),
        ("phoenix_slo_burn_rate", "How many times faster than allowed the budget is used up."),
    ):
        yield _gauge(name, words, (*_GUEST, "window"), found[name])


def _kept(objective: float, guest: Address, seen: Seen) -> Iterator[tuple[str, float, str]]:
    """Names of metrics, values and windows of one guest's promise."""
    for window, seconds in WINDOWS_S.items() if seen.windows else ():
        totals = seen.windows[window].get(guest, Totals())
        rate = burn_rate(objective, seconds, totals)
        if rate is not None:
            yield "phoenix_slo_burn_rate", rate, window
        if window not in WINDOWS:
            continue
        known = (totals.known_s + totals.planned_s) / seconds
        yield "phoenix_slo_known_ratio", min(1.0, known), window
        if totals.availability is not None:
            yield "phoenix_slo_availability_ratio", totals.availability, window
        left = Budget(objective, seconds, totals).left
        yield "phoenix_slo_error_budget_remaining_ratio", left, window


def of_llm(told: Told, seen: Seen) -> Iterator[Metric]:
    """How fast model servers answer the questions of their checks."""
    for kind, name, words in (
        ("first_token_ms", "phoenix_llm_first_token_seconds", "Time to the first token."),
        ("total_ms", "phoenix_llm_answer_seconds", "Time to the end of an answer."),
    ):
        family = _histogram(name, words, _CHECK)
        for key, one in seen.latest.items():
            if key in seen.holds and kind in one.numbers:
                numbers = seen.numbers.get((key, kind), Numbers())
                buckets = _buckets(LIMITS_S, numbers.within, numbers.count)
                family.add_metric(told.check(key), buckets, numbers.total)
        yield family
    rates = [
        (told.check(key), one.numbers["tokens_per_s"])
        for key, one in seen.latest.items()
        if key in seen.holds and "tokens_per_s" in one.numbers
    ]
    words = "Tokens of the last answer by its time."
    yield _gauge("phoenix_llm_tokens_per_second", words, _CHECK, rates)


def of_happenings(told: Told, seen: Seen) -> Iterator[Metric]:
    """What happened, and the steps of healing."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    steps: dict[tuple[str, str], int] = defaultdict(int)
    for (guest, what, step), count in seen.happened.items():
        sums[guest, what] += count
        if what == "heal" and step:
            steps[guest, step] += count
    names = ["", *(str(guest.address) for guest in told.guests)]
    found: list[Sample] = [
        ([*told.guest(Address(guest)), what], float(sums[guest, what]))
        for guest in names
        for what in _HAPPENS
    ]
    words = "How often it happened; guest is empty for the stack as a whole."
    yield _counter("phoenix_happenings", words, (*_GUEST, "what"), found)
    healed: list[Sample] = [
        ([*told.guest(Address(guest)), step], float(count))
        for (guest, step), count in steps.items()
        if guest in names
    ]
    yield _counter("phoenix_healing_steps", "Steps of healing.", (*_GUEST, "step"), healed)


def of_cards(told: Told) -> Iterator[Metric]:
    """The ledger of graphics cards, as the files have it."""
    cards = gpus.of(told.desired).cards
    labels = ("gpu", "model")
    whole: list[Sample] = [
        ((str(card.index), card.name), card.memory_mb * _MIB)
        for card in cards
        if card.memory_mb is not None
    ]
    yield _gauge("phoenix_gpu_memory_bytes", "Memory of a graphics card.", labels, whole)
    claimed: dict[tuple[str, ...], float] = defaultdict(float)
    for card in cards:
        for one in card.taken:
            if one.mb is not None:
                claimed[str(card.index), card.name, *told.guest(one.address)] += one.mb * _MIB
    words = "Memory of a card that a guest's software is to have."
    yield _gauge("phoenix_gpu_claimed_bytes", words, (*labels, *_GUEST), list(claimed.items()))
    shares: list[Sample] = [((str(card.index), card.name), card.share) for card in cards]
    yield _gauge("phoenix_gpu_claimed_ratio", "Claimed share of a card.", labels, shares)


def of_applies(applies: Applies) -> Iterator[Metric]:
    """How applies went."""
    took = _histogram(
        "phoenix_apply_duration_seconds", "How long it took to change the stack.", ("result",)
    )
    for result in _RESULTS:
        one = applies.ended.get(result, Took())
        buckets = _buckets(APPLY_LIMITS_S, one.within, one.runs)
        took.add_metric([result], buckets, one.total_s)
    yield took
    words = "Whether the stack is changed just now, by how many."
    yield _gauge("phoenix_apply_running", words, (), [((), applies.running)])
    last = applies.last
    if last is not None:
        words = "When the last change ended, Unix time; of one that was killed, when it began."
        name = "phoenix_apply_last_end_timestamp_seconds"
        at = last.began if last.ended is None else last.ended
        yield _gauge(name, words, ("result",), [((last.result,), at)])
    if last is not None and last.took_s is not None:
        words = "How long the last change took."
        name = "phoenix_apply_last_duration_seconds"
        yield _gauge(name, words, ("result",), [((last.result,), last.took_s)])
    words = "Whether the history of changes can be read."
    yield _gauge("phoenix_history_readable", words, (), [((), float(applies.readable))])


def of_watcher(watcher: "Watcher") -> Iterator[Metric]:
    """How watching itself does."""
    words = "How much later than planned checks were asked lately."
    late = Metric("phoenix_watch_lateness_seconds", words, "summary")
    for share, seconds in watcher.lateness:
        late.add_sample("phoenix_watch_lateness_seconds", {"quantile": f"{share:g}"}, seconds)
    yield late
    words = "Turns of checks that passed while the one before was not answered."
    yield _counter("phoenix_watch_left_out", words, (), [((), watcher.left_out)])
    words = "Checks that were asked."
    yield _counter("phoenix_watch_answers", words, (), [((), watcher.answered)])
    yield _gauge("phoenix_watch_checks", "Checks that are watched.", (), [((), watcher.checks)])
    words = "Whether measurements can be written."
    yield _gauge("phoenix_watch_writes", words, (), [((), float(watcher.writes))])


def of_itself(readable: bool, took_s: float) -> Iterator[Metric]:
    """How making these metrics did."""
    words = "Whether what was measured can be read."
    yield _gauge("phoenix_measurements_readable", words, (), [((), float(readable))])
    words = "How long it took to gather these metrics."
    yield _gauge("phoenix_metrics_gathering_seconds", words, (), [((), took_s)])


def _gauge(
    name: str, words: str, labels: Sequence[str], found: Sequence[Sample]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=labels)
    for values, value in found:
        family.add_metric(values, value)
    return family


def _counter(
    name: str, words: str, labels: Sequence[str], found: Sequence[Sample]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, words, labels=labels)
    for values, value in found:
        family.add_metric(values, value)
    return family


def _histogram(name: str, words: str, labels: Sequence[str]) -> HistogramMetricFamily:
    return HistogramMetricFamily(name, words, labels=labels)


def _buckets(
    limits: Sequence[float], within: Sequence[float], count: float
) -> list[tuple[str, float]]:
    """Cumulative counts by upper ends, with the last one that holds all."""
    named = [(str(limit), value) for limit, value in zip(limits, within, strict=True)]
    return [*named, ("+Inf", count)]
