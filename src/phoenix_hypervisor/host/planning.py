"""The decisions of all parts become one plan, in the same shape as a plan for guests. Pure."""

from collections.abc import Iterable, Sequence

from phoenix_hypervisor.host.part import Decided, Task
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Change, Step
from phoenix_hypervisor.model.plan import Plan

STEP = "make"


def make(stack: str, driver: str, decided: Sequence[Decided], more: Iterable[Change] = ()) -> Plan:
    """The plan. `more` are changes of guests that belong to it; they come last."""
    tasks = [task for each in decided for task in each.tasks]
    there = {task.address for task in tasks if not task.left_out}
    changes = [_change(task, there) for task in tasks]
    changes += more
    return Plan(
        stack=stack,
        driver=driver,
        changes=tuple(changes),
        refusals=tuple(one for each in decided for one in each.refusals),
        notes=tuple(one for each in decided for one in each.notes),
        estimate_s=sum(change.estimate_s for change in changes if change.steps),
    )


def step_of(address: Address) -> str:
    """The id of the one step of a host's change."""
    return f"{address}:{STEP}"


def _change(task: Task, there: set[Address]) -> Change:
    after = tuple(one for one in dict.fromkeys(task.after) if one in there)
    waits = tuple(step_of(one) for one in after)
    rest = dict.fromkeys(one for one in task.behind if one in there and one not in after)
    behind = tuple(step_of(one) for one in rest)
    step = Step(step_of(task.address), task.address, STEP, waits, task.estimate_s, behind)
    return Change(
        address=task.address,
        action=task.action,
        impact=task.impact,
        fields=task.fields,
        reason=task.reason,
        after=after,
        estimate_s=task.estimate_s,
        steps=() if task.left_out else (step,),
    )
