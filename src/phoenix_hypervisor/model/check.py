"""The contract of a check: a small question with a yes or no, asked from outside or inside."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from phoenix_hypervisor.model.writable import writable

OUTPUT_LIMIT = 128 * 1024
"""Bytes of an output that a check looks at; more would only fill the memory."""


@dataclass(frozen=True, slots=True)
class Slo:
    """What a guest promises: availability in percent, and the 95th percentile of latency."""

    availability: float | None = None
    latency_p95_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One answer. `latency_ms` is None where nothing answered.

    `numbers` is more that was measured: of a check `llm` `first_token_ms`, `total_ms` and
    `tokens_per_s`, also where an objective was missed. `late`: it is a no only since the answer,
    which is right, came later than its objective allows.
    """

    ok: bool
    message: str
    latency_ms: float | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    late: bool = False

    def __post_init__(self) -> None:
        """Its message may hold what somebody else's server said."""
        object.__setattr__(self, "message", writable(self.message))


@dataclass(frozen=True, slots=True)
class Said:
    """What a command answered: its exit status and its two outputs as text."""

    status: int
    out: str
    err: str


class Place(Protocol):
    """Where a check is asked: one guest, seen from outside and from inside."""

    @property
    def address(self) -> str:
        """The guest's IP address (v4 first). Raises `CheckFailed` where it has none."""

    async def inside(
        self, script: str, timeout_s: float, stdin: bytes = b"", *, keep: int = OUTPUT_LIMIT
    ) -> Said:
        """Runs a POSIX shell script as root in the guest.

        Of each output `keep` bytes are kept: half of them from its beginning, half from its end.
        """

    @property
    def lookup(self) -> Callable[[str], str]:
        """Gives a named secret's value or raises `SecretMissing`."""


class Check(BaseModel, ABC):
    """One check of a guest. A subclass is one kind; its module is found by its name.

    All of a guest's checks are asked again until each passes or its `deadline_s` is over.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)

    kind: ClassVar[str]
    usual_every_s: ClassVar[float | None] = None
    """How often a kind is asked while watching that costs too much for every few seconds."""

    name: str = Field("", description="Shown in reports; made from the kind where it is missing.")
    source: Literal["outside", "inside"] = Field(
        "outside", alias="from", description="Where the question is asked from."
    )
    timeout_s: float = Field(5.0, gt=0, le=600, description="Time for one try, in seconds.")
    deadline_s: float = Field(
        60.0, gt=0, le=7200, description="How long apply tries until it must pass, in seconds."
    )
    interval_s: float = Field(1.0, gt=0, le=600, description="Pause between tries, in seconds.")
    every_s: float | None = Field(
        None,
        ge=0.5,
        le=86400,
        description="How often `phoenix watch` asks, in seconds. By default `watch.interval_s` of "
        "the hypervisor file, else 5; a check `llm` each 60.",
    )

    @property
    def title(self) -> str:
        """The name to show."""
        return self.name or self.describe()

    @abstractmethod
    def describe(self) -> str:
        """A short name made from the options, such as `http :80/health`."""

    def url(self, address: str) -> str | None:
        """Where a person can look at what is asked; None where there is nothing to see."""
        return None

    def with_objective(self, latency_p95_ms: float) -> "Check":
        """With what the guest promises in `slo.latency_p95_ms`; only some kinds look at it."""
        return self

    def brief(self) -> "Check":
        """At its least cost, for guests that an apply did not touch; most kinds cost little."""
        return self

    def watched(self) -> "Check":
        """As it is asked while watching, again and again; most kinds are asked as they are."""
        return self

    @abstractmethod
    async def ask(self, place: Place) -> Outcome:
        """Asks once. A no is an `Outcome`, never an exception."""
