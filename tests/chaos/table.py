"""A run as lines and tables for people. Pure."""

from collections.abc import Callable, Iterable, Sequence
from statistics import median

from tests.chaos.measure import GUEST_KINDS, Goal, Outcome, Run, left_of_an_hour


def line(number: int, one: Outcome, limit_s: float) -> str:
    """One fault, as it happens."""
    said = one.care
    steps = ", ".join(f"{step} +{at:.1f}" for step, at, _ in said.steps) or "none"
    words = [
        f"{number:>3} {one.kind:<14} {one.target.name:<8} {one.target.unit:<27.27}",
        f"recovery {one.recovery_s:5.1f} s, {one.lost:3} lost;",
        f"down {_at(said.detected_s)}, steps {steps}, healed {_at(said.healed_s)}",
    ]
    if one.room_s is not None:
        words.append(f", room {_at(one.room_s)}")
    if not one.recovered(limit_s):
        words.append(f" NOT RECOVERED: {'; '.join(one.ill) or 'too late'}")
    return " ".join(words)


def details(one: Outcome) -> list[str]:
    """Why the watcher did what it did."""
    said = one.care
    return [
        *(f"      {step} +{at:.1f}: {why}" for step, at, why in said.steps),
        *(f"      beside it: {each}" for each in said.others),
        *(f"      left alone: {each}" for each in said.left),
        *(f"      GAVE UP: {each}" for each in said.gave_up),
    ]


def tables(run: Run, goals: Sequence[Goal]) -> str:
    """All of them, in Markdown."""
    return "\n\n".join([_of_kinds(run), _of_endpoints(run), _of_goals(goals)])


def _of_kinds(run: Run) -> str:
    rows = [_row(kind, outcomes) for kind, outcomes in run.by_kind().items()]
    if guests := run.of(*GUEST_KINDS):
        rows.append(_row(" and ".join(GUEST_KINDS), guests))
    if run.outcomes:
        rows.append(_row("all", run.outcomes))
    return _table(
        (
            "fault",
            "times",
            "questions lost",
            "back after, median",
            "worst",
            "seen, median",
            "first step, median",
            "one an hour leaves",
        ),
        rows,
    )


def _row(what: str, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    return (
        what,
        str(len(outcomes)),
        str(sum(one.lost for one in outcomes)),
        f"{median(one.recovery_s for one in outcomes):.1f} s",
        f"{max(one.recovery_s for one in outcomes):.1f} s",
        _middle(outcomes, lambda one: one.care.detected_s),
        _middle(outcomes, lambda one: one.care.started_s),
        f"{left_of_an_hour(outcomes):.3%}",
    )


def _middle(outcomes: Iterable[Outcome], told: Callable[[Outcome], float | None]) -> str:
    times = [time for one in outcomes if (time := told(one)) is not None]
    return f"{median(times):.1f} s" if times else ""


def _of_endpoints(run: Run) -> str:
    return _table(
        ("asked ten times a second", "questions", "lost", "answered", "slowest answer"),
        [
            (
                each.title,
                f"{each.asked:,}",
                str(each.lost),
                f"{each.availability:.2%}",
                f"{each.slowest_s:.2f} s",
            )
            for each in run.kept
        ],
    )


def _of_goals(goals: Iterable[Goal]) -> str:
    met = {True: "reached", False: "**missed**", None: "not measured"}
    rows = [(goal.what, goal.found, goal.wanted, met[goal.met]) for goal in goals]
    return _table(("goal", "found", "wanted", ""), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(each)} |" for each in lines)


def _at(time: float | None) -> str:
    return "-" if time is None else f"+{time:.1f}"
