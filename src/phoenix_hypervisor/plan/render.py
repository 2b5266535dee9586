"""A plan as text for people. Rich markup; colours carry no meaning that words don't."""

import json
from collections.abc import Iterator, Mapping, Sequence

from rich.markup import escape

from phoenix_hypervisor.model.address import Address, is_guest
from phoenix_hypervisor.model.change import Action, Change, FieldChange, Impact
from phoenix_hypervisor.model.desired import Json
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.ledger import show

_COLOURS = {
    Action.CREATE: "green",
    Action.UPDATE: "yellow",
    Action.REPLACE: "red",
    Action.DELETE: "red",
    Action.START: "green",
    Action.STOP: "yellow",
    Action.CONFIGURE: "cyan",
    Action.ADOPT: "cyan",
    Action.SNAPSHOT: "cyan",
    Action.ROLLBACK: "red",
}
_IMPACTS = {
    Impact.LIVE: "live",
    Impact.RESTART: "[yellow]restarts it[/]",
    Impact.DESTRUCTIVE: "[bold red]destroys data[/]",
}
_TO_DO = {
    Action.CREATE: "to create",
    Action.UPDATE: "to update",
    Action.REPLACE: "to replace",
    Action.DELETE: "to delete",
    Action.START: "to start",
    Action.STOP: "to stop",
    Action.CONFIGURE: "to configure",
    Action.ADOPT: "to adopt",
    Action.SNAPSHOT: "with a snapshot to take or delete",
    Action.ROLLBACK: "to roll back",
}
_NEW = {
    "source": "from {}",
    "cores": "{} cores",
    "memory_mb": "{} MiB",
    "disk_gb": "{} GiB",
    "pool": "on {}",
}
_LONG = 60
_JSON = json.JSONEncoder(ensure_ascii=False)
_SIGNS = {"+": "green", "-": "red", "@": "cyan"}
_MOST_LINES = 120
_LONGEST_LINE = 400
_ONE = 0.95
"""So many seconds round to one."""


def text(plan: Plan) -> str:
    """The whole plan."""
    return "\n".join(_lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    stack = f"the stack [bold]{_literal(plan.stack)}[/] on {plan.driver}"
    head = f"[bold]Plan[/] for {stack}"
    if plan.host:
        head = f"[bold]Plan[/] for the host [bold]{_literal(host(plan))}[/], by {stack}"
    if not plan.changes and plan.refusals:
        yield f"{head}: [red]it can't be made[/]; what is refused stands below."
    elif not plan.changes:
        yield f"{head}: [green]no changes[/]. The world is as the files say."
    else:
        yield f"{head}:"
        yield ""
        for change in plan.changes:
            yield from _change(change)
        counts = ", ".join(f"{n} {_TO_DO[Action(a)]}" for a, n in plan.summary.items())
        yield ""
        yield f"[bold]{counts}[/]; {about(plan.estimate_s)}."
    if plan.gpus:
        yield ""
        yield from map(_literal, show.lines(plan.gpus))
    if plan.kept:
        yield ""
        yield f"No longer in the files, kept without --prune: {_listed(plan.kept)}"
    if plan.unmanaged:
        yield f"[dim]Not managed here, left alone: {_listed(plan.unmanaged)}[/]"
    for note in plan.notes:
        yield f"[yellow]note:[/] {_literal(note)}"
    for refusal in plan.refusals:
        yield f"[bold red]refused:[/] {_literal(refusal)}"


def seconds(amount: float) -> str:
    """A duration as people say it: `0.2 s`, `8 s`, `3 min`."""
    if amount < _ONE:
        return f"{max(amount, 0.1):.1f} s"
    if amount < 100:  # noqa: PLR2004 - below that, seconds read better
        return f"{round(amount)} s"
    return f"{round(amount / 60)} min"


def about(amount: float) -> str:
    """A duration that is only guessed: `about 8 s`, `less than 1 s`."""
    return "less than 1 s" if amount < _ONE else f"about {seconds(amount)}"


def host(plan: Plan) -> str:
    """The host of a plan, as people tell machines from each other."""
    return f"{plan.host} (this machine)" if plan.here else plan.host


def diff(whole: str) -> Iterator[str]:
    """A diff's lines as markup: long ones and many are cut, and it says so."""
    lines = whole.splitlines()
    for line in lines[:_MOST_LINES]:
        shown = line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} …"
        colour = _SIGNS.get(line[:1])
        yield f"[{colour}]{escape(shown)}[/]" if colour else escape(shown)
    if rest := lines[_MOST_LINES:]:
        go, come = (sum(line.startswith(sign) for line in rest) for sign in "-+")
        yield f"… {len(rest)} more lines ({go} go, {come} come); --json shows them all"


def may_restart_services(change: Change) -> bool:
    """Whether a guest goes on while its inside is made anew, which may begin services again."""
    served = _configures(change) and change.action in (Action.UPDATE, Action.CONFIGURE)
    return served and change.impact is Impact.LIVE


def _configures(change: Change) -> bool:
    return any(step.name == "configure" for step in change.steps)


def _change(change: Change) -> Iterator[str]:
    colour = _COLOURS[change.action]
    name = f" ({_literal(change.name)})" if change.name else ""
    inside = change.action is Action.UPDATE and _configures(change)
    cost = _IMPACTS[change.impact]
    if may_restart_services(change):
        cost = "live; its services may restart"
    yield (
        f"  [{colour}]{change.action.symbol} {change.action.value}{' + configure' * inside}[/] "
        f"[bold]{_literal(change.address)}[/]{name}  "
        f"{cost} [dim]· {about(change.estimate_s)} "
        f"· {_literal(change.reason)}[/]"
    )
    if change.action in (Action.UPDATE, Action.REPLACE) or not is_guest(change.address):
        for field in change.fields:
            yield f"      {_literal(field.told or _field(field))}"
            yield from (f"        {line}" for line in diff(field.diff))
    elif change.action is Action.CREATE and change.fields:
        yield f"      {_literal(new(change.fields))}"
    if change.action is not Action.DELETE:
        yield from (f"        {_literal(rule)}" for rule in rules(change.fields))
    if change.after:
        yield f"      [dim]after {_listed(change.after)}[/]"


def _literal(text: str) -> str:
    """The text as markup. Rich's `escape` is slow, and hardly any text needs it."""
    return escape(text) if "[" in text or text.endswith("\\") else text


def new(fields: Sequence[FieldChange]) -> str:
    """What a guest will be, in one line."""
    by_path = {field.path: field.after for field in fields}
    told = [
        word.format(shown_value(by_path[path]))
        for path, word in _NEW.items()
        if by_path.get(path) is not None
    ]
    told = ["1 core" if one == "1 cores" else one for one in told]
    cards = [
        f.after for f in fields if f.path.startswith("network.") and f.path.endswith(".address")
    ]
    told += [shown_value(address) for address in cards]
    features = by_path.get("features")
    if isinstance(features, list):
        told.append(" + ".join(str(each) for each in features))
    return ", ".join(told).replace("GiB, on", "GiB on")


def rules(fields: Sequence[FieldChange]) -> Iterator[str]:
    """The rules of a new firewall, each as people say it."""
    for field in fields:
        if field.path != "firewall" or not isinstance(field.after, dict):
            continue
        found = field.after.get("rules")
        if isinstance(found, list):
            yield from (_rule(rule) for rule in found if isinstance(rule, dict))


def _rule(rule: Mapping[str, Json]) -> str:
    ports = rule.get("ports")
    told = [
        f"{rule['action']} {rule['direction']}",
        str(rule.get("proto") or ""),
        ", ".join(map(str, ports)) if isinstance(ports, list) else "",
        f"from {rule['source']}" if rule.get("source") else "",
        f"to {rule['dest']}" if rule.get("dest") else "",
        f"({rule['comment']})" if rule.get("comment") else "",
    ]
    return " ".join(one for one in told if one)


def _listed(names: Sequence[Address]) -> str:
    return _literal(", ".join(names))


def _field(field: FieldChange) -> str:
    return f"{field.path}: {shown_value(field.before)} → {shown_value(field.after)}"


def shown_value(value: Json, longest: int = _LONG) -> str:
    """A field's value as people read it, cut after so many characters."""
    if value is None:
        return "nothing"
    shown = value if isinstance(value, str) else _JSON.encode(value)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
