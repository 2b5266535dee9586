"""A plan as JSON: for programs that read it, and to be saved and applied later."""

from collections.abc import Sequence
from typing import Any

from phoenix_hypervisor import __version__
from phoenix_hypervisor.model.change import Change, FieldChange
from phoenix_hypervisor.model.errors import PlanStale, UsageError
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.ledger import show

_FORMAT = 1


def dump(plan: Plan) -> dict[str, Any]:
    """The document that `phoenix --json plan` prints and `--out` saves."""
    return {
        "format": _FORMAT,
        "version": __version__,
        "stack": plan.stack,
        "driver": plan.driver,
        "changes": [_change(change) for change in plan.changes],
        "unmanaged": list(plan.unmanaged),
        "summary": plan.summary,
        "refusals": list(plan.refusals),
        "notes": list(plan.notes),
        "kept": list(plan.kept),
        "estimate_s": round(plan.estimate_s, 1),
        "basis": dict(plan.basis),
        "gpus": show.as_json(plan.gpus),
        **({"host": plan.host, "here": plan.here} if plan.host else {}),
    }


def load(document: Any) -> Plan:
    """A saved plan. Raises `UsageError` for something that is none, or of another version."""
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise UsageError("this is no saved plan", hint="make one with `phoenix plan --out FILE`")
    if document.get("version") != __version__:
        raise UsageError(
            f"this plan was saved by phoenix {document.get('version')}, and this is {__version__}",
            hint="make it again with `phoenix plan --out FILE`",
        )
    from phoenix_hypervisor.plan import saved

    try:
        return saved.read(document)
    except ValueError as error:
        raise UsageError(
            f"the saved plan is damaged: {error}",
            hint="make it again with `phoenix plan --out FILE`",
        ) from error


def refuse_if_moved(saved: Plan, now: Plan) -> None:
    """Raises `PlanStale` where what the saved plan was made from is no longer so."""
    moved = _moved(saved, now)
    if moved:
        raise PlanStale(
            "the saved plan no longer fits; since it was made, these have moved: "
            + ", ".join(moved),
            moved,
            hint="look at a new plan: `phoenix plan`",
        )


def refuse_if_edited(saved: Plan, now: Plan) -> None:
    """Raises `UsageError` where the plan does something else than the one that is made now.

    For two plans of the same world with the same options: they only differ if one was edited.
    """
    if edited := _differing(saved, now):
        raise UsageError(
            f"the saved plan is not as it was made: {', '.join(edited)}",
            hint="make it again with `phoenix plan --out FILE`",
        )


def _differing(saved: Plan, now: Plan) -> list[str]:
    """Addresses that the two do something else to, whatever they say about it."""
    both = [{change.address: _doing(change) for change in plan.changes} for plan in (saved, now)]
    return sorted(a for a in {**both[0], **both[1]} if both[0].get(a) != both[1].get(a))


def _doing(change: Change) -> tuple[object, ...]:
    steps = [(step.id, step.name, step.after) for step in change.steps]
    return (change.action, change.impact, change.fields, steps)


def _moved(saved: Plan, now: Plan) -> Sequence[str]:
    if (saved.stack, saved.driver) != (now.stack, now.driver):
        return [f"the target ({saved.stack} on {saved.driver}: now {now.stack} on {now.driver})"]
    keys = sorted({*saved.basis, *now.basis})
    differing = [key for key in keys if saved.basis.get(key) != now.basis.get(key)]
    sides = {"files": "what the files say", "live": "what is really there"}
    return [f"{address} ({sides[side]})" for side, address in map(str.split, differing)]


def _change(change: Change) -> dict[str, Any]:
    return {
        "address": change.address,
        "name": change.name,
        "action": change.action.value,
        "impact": change.impact.value,
        "fields": [_field(field) for field in change.fields],
        "reason": change.reason,
        "after": list(change.after),
        "estimate_s": round(change.estimate_s, 1),
        "steps": [
            {"id": s.id, "name": s.name, "after": list(s.after), "estimate_s": s.estimate_s}
            | ({"behind": list(s.behind)} if s.behind else {})
            for s in change.steps
        ],
    }


def _field(field: FieldChange) -> dict[str, Any]:
    told = {"path": field.path, "before": field.before, "after": field.after}
    return told | ({"diff": field.diff} if field.diff else {})
