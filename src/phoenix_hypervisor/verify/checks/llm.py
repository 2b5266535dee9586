"""`llm`: a model server answers a real question, and in time."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field, model_validator

from phoenix_hypervisor.model.check import Check, Place
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.model.serving import ModelKind
from phoenix_hypervisor.verify.answered import No, Yes, answered, first_line
from phoenix_hypervisor.verify.web import WebCheck

if TYPE_CHECKING:
    from phoenix_hypervisor.verify.llm.exchange import Way
    from phoenix_hypervisor.verify.llm.load import Load
    from phoenix_hypervisor.verify.llm.question import Question, Server
    from phoenix_hypervisor.verify.llm.reading import Answer

_PROMPT = "Tell in about a hundred words what a phoenix is."
_WARM_UP_TOKENS = 8
_BRIEF_TOKENS = 4
_INSIDE_AT_ONCE = 4
_MS = 1000.0


class Llm(WebCheck):
    """Asks over OpenAI's API, and measures how long the answers take."""

    kind: ClassVar[str] = "llm"
    usual_every_s: ClassVar[float | None] = 60.0

    timeout_s: float = Field(
        120.0, gt=0, le=600, description="Time for one try with all its questions, in seconds."
    )
    deadline_s: float = Field(
        300.0, gt=0, le=7200, description="How long apply tries until it must pass, in seconds."
    )
    interval_s: float = Field(2.0, gt=0, le=600, description="Pause between tries, in seconds.")

    path: str = Field("/v1", pattern=r"^/[!-~]*$", description="Where the API begins.")
    api_key: Secret | None = Field(None, description="The key that the server asks for.")
    model: str | None = Field(
        None, min_length=1, description="The model's name; by default the server's first."
    )
    serves: ModelKind = Field(
        "chat", alias="kind", description="What is asked for: an answer, an embedding, a ranking."
    )
    prompt: str = Field(_PROMPT, min_length=1, description="The question, or the text to embed.")
    max_tokens: int = Field(64, ge=1, le=8192, description="Tokens of an answer, at most.")
    contains: str | None = Field(None, min_length=1, description="Text that each answer holds.")
    dimensions: int | None = Field(None, ge=1, description="How long an embedding must be.")
    concurrency: list[Annotated[int, Field(ge=1, le=64)]] = Field(
        [1, 4],
        min_length=1,
        max_length=8,
        description="Questions at once; each number is measured by itself. Inside at most 4.",
    )
    samples: int = Field(
        2, ge=1, le=100, description="Questions that each of those at once asks after another."
    )
    warm_up: bool = Field(True, description="Ask a short question first, which doesn't count.")
    first_token_ms: float | None = Field(
        None, gt=0, description="Objective: 95 of 100 first tokens come within it."
    )
    total_p95_ms: float = Field(
        2000.0,
        gt=0,
        description="Objective: 95 of 100 answers are complete within it. By default the guest's "
        "`slo.latency_p95_ms`, else 2000.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.source == "inside" and max(self.concurrency) > _INSIDE_AT_ONCE:
            raise ValueError(f"from inside at most {_INSIDE_AT_ONCE} questions are asked at once")
        if self.contains is not None and self.serves != "chat":
            raise ValueError("`contains` is for answers of a chat")
        if self.first_token_ms is not None and self.serves != "chat":
            raise ValueError("`first_token_ms` is for answers of a chat")
        if self.dimensions is not None and self.serves != "embedding":
            raise ValueError("`dimensions` is for embeddings")
        return self

    def describe(self) -> str:
        """`llm :8080/v1 smollm2`."""
        parts = ["llm", f"{self.host or ''}:{self._port}{self.path}", self.model or ""]
        return " ".join(part for part in parts if part)

    def with_objective(self, latency_p95_ms: float) -> Check:
        """With the guest's own objective, where the files say none for this check."""
        if "total_p95_ms" in self.model_fields_set:
            return self
        return self.model_copy(update={"total_p95_ms": latency_p95_ms})

    def brief(self) -> Check:
        """One answer of a few tokens: that it answers is enough, nothing is measured."""
        tokens = self.max_tokens if self.contains else min(self.max_tokens, _BRIEF_TOKENS)
        return self.model_copy(
            update={"concurrency": [1], "samples": 1, "max_tokens": tokens, "warm_up": False}
        )

    def watched(self) -> Check:
        """One whole answer: its times are measured, and the server has the rest for others."""
        return self.model_copy(update={"concurrency": [1], "samples": 1, "warm_up": False})

    @answered("phoenix_hypervisor.verify.llm.client")
    async def ask(self, place: Place) -> Yes:
        """Warms up, then asks at each concurrency, and compares with the objectives."""
        from phoenix_hypervisor.verify.llm.client import Client
        from phoenix_hypervisor.verify.llm.load import Load
        from phoenix_hypervisor.verify.llm.question import Question

        client = Client(self._way(place), self._server(place))
        model = self.model or (await client.models())[0]
        exact = self.contains is None  # else it may end where it is complete
        question = Question(self.serves, model, self.prompt, self.max_tokens, exact=exact)
        if self.warm_up:
            await client.ask(_shorter(question))
        loads = []
        for concurrency in self.concurrency:
            load = Load(concurrency)
            requests = concurrency * self.samples
            await load.run(lambda _: client.ask(question), requests, self.timeout_s)
            loads.append(load)
            self._judge(load)
        latency_ms = max(_p95_ms(load) for load in loads)
        return Yes(self._told(loads), latency_ms, _numbers(loads[0]))

    def _server(self, place: Place) -> "Server":
        from phoenix_hypervisor.verify.llm.question import Server

        near = "127.0.0.1" if self.source == "inside" else None
        return Server(
            address=self.address or near or place.address,
            port=self._port,
            tls=self.scheme == "https",
            verify_tls=self.verify_tls,
            host=self.host,
            path=self.path,
            api_key=self.api_key.reveal(place.lookup) if self.api_key else None,
        )

    def _way(self, place: Place) -> "Way":
        if self.source == "inside":
            from phoenix_hypervisor.verify.llm.inside import Inside

            return Inside(place, self.timeout_s)
        from phoenix_hypervisor.verify.llm.outside import Outside

        return Outside()

    def _judge(self, load: "Load") -> None:
        """Raises `No` for an error, a wrong answer, or an objective that isn't met."""
        if load.errors:
            raise No(load.errors[0])
        if not load.in_time or not load.answers:
            raise TimeoutError
        for answer in load.answers:
            self._judge_content(answer)
        figures = load.figures()
        measured = [("a complete answer", figures.total_ms, self.total_p95_ms)]
        measured += [("the first token", figures.first_token_ms, self.first_token_ms or 0.0)]
        for what, spread, objective in measured:
            if objective and spread is not None and spread.p95 > objective:
                raise No(
                    f"p95 of {what} is {_s(spread.p95)} with {load.concurrency} at once, "
                    f"the objective is at most {_s(objective)} ({_shown(load.answers[-1])})",
                    late=True,
                    latency_ms=_p95_ms(load),
                    numbers=_numbers(load),
                )

    def _judge_content(self, answer: "Answer") -> None:
        if self.contains is not None and self.contains not in answer.text:
            begin = first_line(answer.text)
            raise No(f"{self.contains!r} is not in the answer, which begins {begin!r}")
        if self.dimensions is not None and answer.dimensions != self.dimensions:
            raise No(f"expected {self.dimensions} dimensions, got {answer.dimensions}")

    def _told(self, loads: "list[Load]") -> str:
        """`47 tokens in 0.9 s, first after 0.12 s; p95 of 1 at once 0.95 s, objective 2 s`."""
        each = [f"of {load.concurrency} at once {_s(_p95_ms(load))}" for load in loads]
        told = f"{_shown(loads[0].answers[-1])}; p95 {', '.join(each)}, objective "
        return told + _s(self.total_p95_ms)


def _shorter(question: "Question") -> "Question":
    return replace(question, max_tokens=min(question.max_tokens, _WARM_UP_TOKENS))


def _shown(answer: "Answer") -> str:
    took = f"in {_s(answer.total_s * _MS)}"
    if answer.dimensions:
        return f"{answer.dimensions} dimensions {took}"
    if answer.ranked:
        return f"{answer.ranked} documents ranked {took}"
    first = "" if answer.first_s is None else f", first after {_s(answer.first_s * _MS)}"
    return f"{answer.tokens} token{'s' * (answer.tokens != 1)} {took}{first}"


def _p95_ms(load: "Load") -> float:
    spread = load.figures().total_ms
    return spread.p95 if spread else 0.0


def _numbers(load: "Load") -> dict[str, float]:
    """What was measured, to be kept: the 95th percentiles of times, the median of the rate."""
    figures = load.figures()
    first, whole, rate = figures.first_token_ms, figures.total_ms, figures.tokens_per_s
    found = {
        "first_token_ms": first.p95 if first else None,
        "total_ms": whole.p95 if whole else None,
        "tokens_per_s": rate.p50 if rate else None,
    }
    return {name: round(value, 2) for name, value in found.items() if value is not None}


def _s(milliseconds: float) -> str:
    """Seconds with two digits that count: `0.12 s`, `2 s`, `12 s`."""
    seconds = milliseconds / _MS
    return f"{seconds:.0f} s" if seconds >= 10 else f"{float(f'{seconds:.2g}'):g} s"  # noqa: PLR2004
