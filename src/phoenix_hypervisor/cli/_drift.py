"""How `drift` is shown: as text that reads like a diff, and as JSON."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from phoenix_hypervisor.model.change import Action, Change
from phoenix_hypervisor.model.drift import Difference, FeatureDrift, GuestDrift
from phoenix_hypervisor.plan import as_json as plans
from phoenix_hypervisor.plan import render

if TYPE_CHECKING:
    from phoenix_hypervisor.app.drift import Drift
    from phoenix_hypervisor.history.reading import PastRun

_LONG = 100
_WHAT = {
    Action.CREATE: "[red]missing[/]",
    Action.UPDATE: "[yellow]differs[/]",
    Action.REPLACE: "[red]differs[/]",
    Action.START: "[yellow]not running[/]",
    Action.STOP: "[yellow]running[/]",
    Action.CONFIGURE: "[yellow]inside is old[/]",
}


def as_json(drift: "Drift", *, deep: bool) -> dict[str, Any]:
    """The document that `phoenix --json drift` prints."""
    return {
        "format": 1,
        "drift": drift.drifted,
        "deep": deep,
        **{
            key: value
            for key, value in plans.dump(drift.plan).items()
            if key in ("stack", "driver", "changes", "unmanaged", "kept", "refusals", "notes")
        },
        "guests": [_guest_json(guest) for guest in drift.guests],
        "last_run": _run_json(drift.runs[0]) if drift.runs else None,
    }


def _run_json(run: "PastRun") -> dict[str, Any]:
    return {
        "id": run.id,
        "began": _when(run).isoformat(timespec="seconds"),
        "who": run.who,
        "host": run.host,
        "command": run.command,
        "commit": run.commit,
        "result": run.result,
    }


def _when(run: "PastRun") -> datetime:
    return datetime.fromtimestamp(run.began, UTC)


def _guest_json(guest: GuestDrift) -> dict[str, Any]:
    return {**asdict(guest), "drift": guest.drifted, "asked": not guest.unasked}


def text(drift: "Drift", *, deep: bool) -> str:
    """The same for people, with Rich's markup."""
    return "\n".join(_lines(drift, deep=deep))


def _lines(drift: "Drift", *, deep: bool) -> Iterator[str]:
    plan = drift.plan
    head = f"[bold]Drift[/] of the stack [bold]{escape(plan.stack)}[/] on {plan.driver}"
    where = "as far as guests can be asked" if deep else "as the target shows it"
    if drift.drifted or plan.refusals:
        yield f"{head}:"
    else:
        yield f"{head}: [green]none[/], {where}."
    for change in plan.changes:
        yield from _change(change)
    if plan.kept:
        yield f"  [yellow]no longer in the files[/]: {escape(', '.join(plan.kept))}"
    people = {run.id: run.who for run in drift.runs}
    for guest in drift.guests:
        yield from _guest(guest, people)
    if plan.unmanaged:
        yield f"[dim]Not managed here, left alone: {escape(', '.join(plan.unmanaged))}[/]"
    for note in plan.notes:
        yield f"[yellow]note:[/] {escape(note)}"
    for refusal in plan.refusals:
        yield f"[bold red]refused:[/] {escape(refusal)}"
    if drift.drifted:
        yield from _mending(drift)
        yield from _last_run(drift)


def _last_run(drift: "Drift") -> Iterator[str]:
    """What Phoenix did last: what differs since then was changed in the files, or by others."""
    if drift.runs:
        run = drift.runs[0]
        commit = f", commit {run.commit[:12]}" if run.commit else ""
        who = f"{escape(run.who)} on {escape(run.host)}"
        yield (
            f"[dim]The last run that is known here: {_when(run):%Y-%m-%d %H:%M:%S} UTC by {who}"
            f" ({run.id}{commit}): {run.result}[/]"
        )


def _change(change: Change) -> Iterator[str]:
    what = _WHAT.get(change.action, change.action.value)
    name = f" ({escape(change.name)})" if change.name else ""
    yield f"  [bold]{escape(change.address)}[/]{name}: {what} [dim]· {escape(change.reason)}[/]"
    if change.action in (Action.UPDATE, Action.REPLACE):
        for field in change.fields:
            was, wanted = (
                escape(render.shown_value(each, _LONG)) for each in (field.before, field.after)
            )
            yield f"      {escape(field.path)} is {was}, the files say {wanted}"


def _guest(guest: GuestDrift, people: Mapping[str, str]) -> Iterator[str]:
    head = f"  [bold]{escape(guest.address)}[/] ({escape(guest.name)}) inside: "
    if guest.unasked:
        colour = "red" if guest.broken else "dim"
        yield f"{head}[{colour}]not asked, {escape(guest.unasked)}[/]"
        return
    count = sum(len(feature.differences) for feature in guest.features)
    if count:
        yield f"{head}[yellow]{count} {'difference' if count == 1 else 'differences'}[/]"
    elif guest.drifted:
        yield f"{head}[yellow]old[/], though nothing in it differs"
    elif guest.failed:
        yield f"{head}[red]could not be asked[/]"
    else:
        yield f"{head}[green]as the files say[/]"
    for note in guest.notes:
        yield f"    [yellow]note:[/] {escape(note)}"
    for feature in guest.features:
        yield from _feature(feature, people)


def _feature(feature: FeatureDrift, people: Mapping[str, str]) -> Iterator[str]:
    if not (feature.drifted or feature.unknown or not feature.asked):
        return
    yield f"    [bold]{escape(feature.name)}[/] [dim]· {escape(_age(feature, people))}[/]"
    for difference in feature.differences:
        if not difference.follows:
            yield from _difference(difference)
    then = [_short(one) for one in feature.differences if one.follows]
    if then:
        yield f"      [dim]then: {escape('; '.join(dict.fromkeys(then)))}[/]"
    if feature.unknown:
        colour = "red" if feature.failed else "yellow"
        yield f"      [{colour}]not known:[/] {escape(feature.unknown)}"


def _age(feature: FeatureDrift, people: Mapping[str, str]) -> str:
    when = f" {feature.at.replace('T', ' ').removesuffix('+00:00')} UTC" if feature.at else ""
    who = f" ({people[feature.run]})" if feature.run in people else ""
    by = f" by the run {feature.run}{who}" if feature.run else ""
    if feature.current is None:
        return "never applied here"
    if not feature.asked:
        state = "the same" if feature.current else "other"
        return (
            f"a script can't be asked; it ran{when}{by} with {state} content, arguments "
            "and environment"
        )
    if feature.current:
        return f"applied{when}{by}; changed in the guest since"
    return f"old: applied{when}{by} with other options, files or code"


def _difference(one: Difference) -> Iterator[str]:
    head = f"      {one.kind} [bold]{escape(one.what)}[/]"
    if one.before and one.after:
        yield f"{head}: {escape(one.before)} → {escape(one.after)}"
    elif one.kind == "command":
        yield head
        for line in one.after.splitlines():
            yield f"        [dim]$ {escape(line)}[/]"
    else:
        told = one.after or one.before
        yield f"{head}: {escape(told)}" if told else head
    yield from (f"        {line}" for line in render.diff(one.diff))


def _short(one: Difference) -> str:
    return one.what if one.kind == "command" and not one.after else f"{one.what} {one.after}"


def _mending(drift: "Drift") -> Iterator[str]:
    """What would mend it: an apply does not run features whose fingerprint is right."""
    hidden = [
        guest.address
        for guest in drift.guests
        if any(feature.current and feature.differences for feature in guest.features)
    ]
    yield ""
    if hidden:
        words = " ".join(f"--reconfigure {address}" for address in hidden)
        yield f"Mend it: `phoenix apply {words}`, which runs these guests' features again."
    elif drift.plan.changes:
        yield "Mend it: `phoenix apply`; `phoenix plan` shows what that does."
    if drift.plan.kept:
        yield "`phoenix apply --prune` deletes what the files no longer name."
