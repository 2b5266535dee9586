"""One look at the stack: the guests as they are seen, with what their checks said last."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from phoenix_hypervisor import features
from phoenix_hypervisor.app import Health, gpus
from phoenix_hypervisor.app.health import unasked
from phoenix_hypervisor.app.watching.questions import Question, names
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.check import Outcome
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.engines import FindEngines
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.watching import Answer, What
from phoenix_hypervisor.plan.ledger import Ledger
from phoenix_hypervisor.watch.store import Key, Reader

_VERDICTS: tuple[What, ...] = ("down", "up", "planned", "unknown")
Answers = Mapping[Key, Answer]


@dataclass(frozen=True, slots=True)
class Measured:
    """What `phoenix watch` knows now: the answers that still stand, by check.

    `doubted` are guests with a check that failed, which it has not yet found to be down: it asks
    again first.
    """

    answers: Answers = field(default_factory=dict)
    doubted: frozenset[Address] = frozenset()

    @property
    def watched(self) -> bool:
        """Whether somebody watches."""
        return bool(self.answers)


@dataclass(frozen=True, slots=True)
class Look:
    """One look. `planned` says of guests why they may be away on purpose now, and `changing` are
    those of them that a run stops just now, or will; `real` is False on the simulated node;
    `doubted` are answers that watching has yet to confirm.
    """

    desired: Desired
    guests: tuple[Health, ...]
    answers: Answers
    doubted: frozenset[Key]
    planned: Mapping[Address, str]
    watched: bool
    driver: str
    real: bool
    changing: frozenset[Address] = frozenset()

    @property
    def gpus(self) -> Ledger:
        """Who is to have which graphics card, and how much of it."""
        return gpus.of(self.desired)


def engines() -> Mapping[str, FindEngines]:
    """What tells the model servers of each feature."""
    return {name: one.engines for name, one in features.available().items()}


def measured(reader: Reader | None, questions: Mapping[Key, Question], now: float) -> Measured:
    """What watching knows; `now` is Unix time."""
    if reader is None:
        return Measured()
    fresh = {}
    for one in reader.latest():
        asked = questions.get((one.guest, one.check))
        if asked is not None and now - one.at <= asked.hold_s:
            fresh[asked.key] = one
    failing = {one.guest for one in fresh.values() if one.health == "down"}
    return Measured(fresh, frozenset(one for one in failing if _verdict(reader, one) != "down"))


def newer(first: Answers, second: Answers) -> Answers:
    """Both together; of a check that both know the newer answer."""
    return {
        key: max((one[key] for one in (first, second) if key in one), key=lambda it: it.at)
        for key in (*first, *(key for key in second if key not in first))
    }


def healths(desired: Desired, observed: Observed, answers: Answers) -> tuple[Health, ...]:
    """Each guest of the files, with the outcomes of its checks as commands tell them."""
    found = []
    for address, guest in desired.guests.items():
        health = unasked(desired, observed, address)
        if health.managed and health.state == "running":
            told = (
                (check, _outcome(answers[address, name]))
                for name, check in names(guest).items()
                if (address, name) in answers and answers[address, name].health != "unknown"
            )
            health = replace(health, answers=tuple(told))
        found.append(health)
    return tuple(found)


def running(guests: Iterable[Health]) -> frozenset[Address]:
    """Those that can be asked something."""
    return frozenset(one.address for one in guests if one.managed and one.state == "running")


def _outcome(answer: Answer) -> Outcome:
    return Outcome(answer.health == "up", answer.message, answer.latency_ms, answer.numbers)


def _verdict(reader: Reader, guest: Address) -> str:
    last = reader.happenings(guest=guest, what=_VERDICTS, limit=1)
    return last[0].what if last else ""
