"""What `phoenix bench llm` has measured: judged, as a table and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from phoenix_hypervisor.verify.llm.figures import Figures, Spread

_WORDS = {"first_token_ms": "the first token", "total_ms": "a complete answer"}


@dataclass(frozen=True, slots=True)
class Objective:
    """What p95 of a measure (a field of `Figures`) may be at most, in ms; None: anything."""

    measure: str
    at_most_ms: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """An objective at one concurrency; `measured_ms` None: nothing was measured."""

    measure: str
    concurrency: int
    at_most_ms: float
    measured_ms: float | None

    @property
    def ok(self) -> bool:
        """Whether it is met."""
        return self.measured_ms is not None and self.measured_ms <= self.at_most_ms

    @property
    def told(self) -> str:
        """In words."""
        found = "unknown" if self.measured_ms is None else f"{self.measured_ms:.0f} ms"
        return (
            f"p95 of {_WORDS[self.measure]} is {found} with {self.concurrency} at once, "
            f"the objective is at most {self.at_most_ms:g} ms"
        )


@dataclass(frozen=True, slots=True)
class Result:
    """All of a measurement. `unfinished`: concurrencies whose time was over before the end."""

    where: str
    model: str
    kind: str
    prompt_tokens: int
    output_tokens: int
    levels: Sequence[Figures]
    unfinished: Sequence[int]
    verdicts: Sequence[Verdict]
    interrupted: bool

    @property
    def ok(self) -> bool:
        """Whether all was answered, and every objective met."""
        answered = all(level.answered and not level.errors for level in self.levels)
        return bool(self.levels) and answered and all(verdict.ok for verdict in self.verdicts)


def judged(levels: Sequence[Figures], objectives: Sequence[Objective]) -> list[Verdict]:
    """Each objective at each concurrency."""
    found = []
    for objective in objectives:
        for level in levels if objective.at_most_ms is not None else ():
            spread: Spread | None = getattr(level, objective.measure)
            measured = None if spread is None else spread.p95
            at_most = objective.at_most_ms or 0.0
            found.append(Verdict(objective.measure, level.concurrency, at_most, measured))
    return found


def as_json(result: Result) -> dict[str, Any]:
    """The document of `--json`; times in ms, rates per second, each with three percentiles."""
    return {
        "format": 1,
        "ok": result.ok,
        "interrupted": result.interrupted,
        "server": result.where,
        "model": result.model,
        "kind": result.kind,
        "prompt_tokens": result.prompt_tokens,
        "output_tokens": result.output_tokens,
        "levels": [_level(level, result) for level in result.levels],
        "objectives": [
            {
                "measure": verdict.measure,
                "concurrency": verdict.concurrency,
                "at_most_ms": verdict.at_most_ms,
                "p95_ms": _rounded(verdict.measured_ms),
                "ok": verdict.ok,
            }
            for verdict in result.verdicts
        ],
    }


def _level(level: Figures, result: Result) -> dict[str, Any]:
    shown = {word: _rounded(value) for word, value in asdict(level).items()}
    shown["tokens_counted_by"] = "chunks" if shown.pop("counted") else "server"
    shown["in_time"] = level.concurrency not in result.unfinished
    return shown


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {word: _rounded(inside) for word, inside in value.items()}
    return value


def table(result: Result) -> Table:
    """The same for people: a row for each concurrency."""
    shown = Table(box=None, pad_edge=False)
    streamed = any(level.first_token_ms for level in result.levels)
    columns = ["at once", "answers"]
    if streamed:
        columns += ["first token ms", "between ms"]
    columns += ["complete ms", "tokens/s each", "tokens/s all", "prompt", "answer"]
    for column in columns:
        shown.add_column(column, header_style="bold", justify="right")
    for level in result.levels:
        failed = f" [red]+{sum(level.errors.values())} failed[/]" if level.errors else ""
        cells = [str(level.concurrency), f"{level.answered}{failed}"]
        if streamed:
            cells += [_three(level.first_token_ms), _three(level.between_tokens_ms)]
        prompt = "-" if level.prompt_tokens is None else f"{level.prompt_tokens:.0f}"
        each = f"{level.tokens / level.answered:.0f}" if level.answered else "-"
        cells += [
            _three(level.total_ms),
            "-" if level.tokens_per_s is None else f"{level.tokens_per_s.p50:.1f}",
            f"{level.all_tokens_per_s:.1f}",
            prompt,
            each if result.kind == "chat" else "-",
        ]
        shown.add_row(*cells)
    shown.caption = "three numbers: p50 / p95 / p99"
    shown.caption_justify = "left"
    return shown


def _three(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    return " / ".join(_short(value) for value in (spread.p50, spread.p95, spread.p99))


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"  # noqa: PLR2004
