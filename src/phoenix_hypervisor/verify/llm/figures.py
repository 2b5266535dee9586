"""Percentiles and rates of measured answers."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from phoenix_hypervisor.verify.llm.reading import Answer


def percentile(values: Sequence[float], percent: float) -> float:
    """The percentile, with straight lines between the values, as NumPy has it by default.

    Raises `ValueError` where there are none.
    """
    if not values:
        raise ValueError("there are no values")
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@dataclass(frozen=True, slots=True)
class Spread:
    """Three percentiles of a measure, in its own unit."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Self | None:
        """Of those that are there; None where none is."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        return cls(*(percentile(known, percent) for percent in (50, 95, 99)))


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured at one concurrency. Times are milliseconds, rates are per second.

    `between_tokens_ms`: from the first token to the last, by the number of steps between them.
    `tokens_per_s` is of one request, from its begin to its end; `all_tokens_per_s` of all together.
    """

    concurrency: int
    asked: int
    answered: int
    elapsed_s: float
    tokens: int
    prompt_tokens: float | None
    counted: bool
    first_token_ms: Spread | None
    between_tokens_ms: Spread | None
    total_ms: Spread | None
    tokens_per_s: Spread | None
    all_tokens_per_s: float
    requests_per_s: float
    errors: dict[str, int]

    @classmethod
    def of(
        cls, concurrency: int, answers: Sequence[Answer], errors: Sequence[str], elapsed_s: float
    ) -> Self:
        """The figures of these answers, which came within so many seconds."""
        tokens = sum(one.tokens for one in answers)
        prompts = [one.prompt_tokens for one in answers if one.prompt_tokens is not None]
        rates = [one.tokens / one.total_s for one in answers if one.tokens and one.total_s > 0]
        return cls(
            concurrency=concurrency,
            asked=len(answers) + len(errors),
            answered=len(answers),
            elapsed_s=elapsed_s,
            tokens=tokens,
            prompt_tokens=sum(prompts) / len(prompts) if prompts else None,
            counted=any(one.counted == "chunks" for one in answers),
            first_token_ms=_ms(one.first_s for one in answers),
            between_tokens_ms=_ms(map(between_s, answers)),
            total_ms=_ms(one.total_s for one in answers),
            tokens_per_s=Spread.of(rates),
            all_tokens_per_s=tokens / elapsed_s if elapsed_s > 0 else 0.0,
            requests_per_s=len(answers) / elapsed_s if elapsed_s > 0 else 0.0,
            errors=dict(Counter(errors).most_common()),
        )


def between_s(answer: Answer) -> float | None:
    """Seconds from one token to the next; None where fewer than two were seen to come."""
    first, last = answer.first_s, answer.last_s
    if first is None or last is None or answer.tokens < 2 or last <= first:  # noqa: PLR2004
        return None
    return (last - first) / (answer.tokens - 1)


def _ms(seconds: Iterable[float | None]) -> Spread | None:
    return Spread.of(None if one is None else one * 1000 for one in seconds)
