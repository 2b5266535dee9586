"""Language models as a person wants to see them: what is measured of each check `llm`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from phoenix_hypervisor.app.watching.questions import Question, questions
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.engines import engines_of
from phoenix_hypervisor.model.watching import Answer
from phoenix_hypervisor.verify.checks.llm import Llm
from phoenix_hypervisor.watch.store import Point, Reader
from phoenix_hypervisor.web.look import engines

WHOLE, FIRST, SPEED = "total_ms", "first_token_ms", "tokens_per_s"
"""What a check `llm` measures of an answer."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One check `llm`: its last answer (None: none yet), those of a window, and its objectives.

    `fresh`: whether the last answer still tells how it is now.
    """

    question: Question
    name: str
    answer: Answer | None
    points: Sequence[Point]
    fresh: bool
    total_ms: float
    first_token_ms: float | None

    @property
    def state(self) -> str:
        """How the model is now; not known where nobody asked lately."""
        return self.answer.health if self.answer and self.fresh else "unknown"


@dataclass(frozen=True, slots=True)
class Server:
    """A model server that can be talked to: its guest, the feature that runs it, and a model."""

    guest: str
    name: str
    feature: str
    model: str | None


def seen(desired: Desired, reader: Reader | None, start: float, now: float) -> list[Seen]:
    """All checks `llm` of the files, with what was measured of them since `start`."""
    latest = {(one.guest, one.check): one for one in reader.latest()} if reader else {}
    found = []
    for question in questions(desired, desired.watch.interval_s).values():
        check, answer = question.check, latest.get(question.key)
        if not isinstance(check, Llm):
            continue
        points = reader.plot(*question.key, start, now) if reader and answer else []
        fresh = answer is not None and now - answer.at <= question.hold_s
        name = desired.guests[question.guest].name
        found.append(
            Seen(question, name, answer, points, fresh, check.total_p95_ms, check.first_token_ms)
        )
    return found


def servers(desired: Desired, *, chat: bool = False) -> Iterator[Server]:
    """All model servers of the files with each of their models; with `chat` those for chats."""
    known = engines()
    for guest in desired.guests.values():
        if not guest.runs:
            continue
        for engine in engines_of(guest, desired, known):
            if not engine.models:
                yield Server(guest.address, guest.name, engine.feature, None)
            for model in engine.models:
                if not chat or model.kind == "chat":
                    yield Server(guest.address, guest.name, engine.feature, model.name)
