"""What must not be applied: a plan that can't be, or that destroys what nobody named."""

from collections.abc import Sequence

from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Impact
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.options import Options


def allowed(
    session: Session, plan: Plan, options: Options, words: Sequence[str]
) -> frozenset[Address]:
    """Guests that may lose data: those named, and with `prune` all that the plan deletes."""
    found = session.resolve(words)
    if options.prune:  # named by --prune itself
        found |= {c.address for c in plan.changes if c.action.value == "delete"}
    return found


def refuse(plan: Plan, allowed: frozenset[Address]) -> None:
    """Raises where the plan can't be applied, or would destroy what was not named."""
    if plan.refusals:
        raise PhoenixError(
            "the plan can't be applied:\n  " + "\n  ".join(plan.refusals),
            hint="nothing was changed",
        )
    unnamed = [
        change
        for change in plan.changes
        if change.impact is Impact.DESTRUCTIVE and change.address not in allowed
    ]
    if unnamed:
        lines = [f"{change.address}: {change.reason}" for change in unnamed]
        flags = " ".join(f"--allow-destructive {change.address}" for change in unnamed)
        raise PhoenixError(
            "these changes destroy data and were not named:\n  " + "\n  ".join(lines),
            hint=f"nothing was changed; if that is what you want: phoenix apply {flags}",
        )
