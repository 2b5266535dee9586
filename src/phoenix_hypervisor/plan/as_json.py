"""A plan as JSON: for programs that read it, and to be saved and applied later."""

from collections.abc import Sequence
from typing import Any

from phoenix_hypervisor import __version__
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, Change, FieldChange, Impact, Step
from phoenix_hypervisor.model.errors import PlanStale, UsageError
from phoenix_hypervisor.model.plan import Plan

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
    try:
        return Plan(
            stack=document["stack"],
            driver=document["driver"],
            changes=tuple(_load_change(one) for one in document["changes"]),
            unmanaged=tuple(Address(one) for one in document["unmanaged"]),
            refusals=tuple(document["refusals"]),
            notes=tuple(document["notes"]),
            kept=tuple(Address(one) for one in document["kept"]),
            estimate_s=float(document["estimate_s"]),
            basis=dict(document["basis"]),
        )
    except (KeyError, TypeError, ValueError) as error:
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


def _moved(saved: Plan, now: Plan) -> Sequence[str]:
    if (saved.stack, saved.driver) != (now.stack, now.driver):
        return [f"the target ({saved.stack} on {saved.driver}: now {now.stack} on {now.driver})"]
    keys = sorted({*saved.basis, *now.basis})
    differing = [key for key in keys if saved.basis.get(key) != now.basis.get(key)]
    sides = {"files": "what the files say", "live": "what is really there"}
    return [f"{key.split()[1]} ({sides[key.split()[0]]})" for key in differing]


def _change(change: Change) -> dict[str, Any]:
    return {
        "address": change.address,
        "name": change.name,
        "action": change.action.value,
        "impact": change.impact.value,
        "fields": [{"path": f.path, "before": f.before, "after": f.after} for f in change.fields],
        "reason": change.reason,
        "after": list(change.after),
        "estimate_s": round(change.estimate_s, 1),
        "steps": [
            {"id": s.id, "name": s.name, "after": list(s.after), "estimate_s": s.estimate_s}
            for s in change.steps
        ],
    }


def _load_change(one: Any) -> Change:
    address = Address(one["address"])
    return Change(
        address=address,
        name=one["name"],
        action=Action(one["action"]),
        impact=Impact(one["impact"]),
        fields=tuple(FieldChange(f["path"], f["before"], f["after"]) for f in one["fields"]),
        reason=one["reason"],
        after=tuple(Address(a) for a in one["after"]),
        estimate_s=float(one["estimate_s"]),
        steps=tuple(
            Step(s["id"], address, s["name"], tuple(s["after"]), s["estimate_s"])
            for s in one["steps"]
        ),
    )
