"""The shape of a saved plan: whoever applies one must not have to doubt any of its words."""

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, Change, FieldChange, Impact, Step
from phoenix_hypervisor.model.plan import Plan

Place = Annotated[str, StringConstraints(pattern=r"^[a-z]+/\S+$")]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Field(_Shape):
    path: str
    before: Any
    after: Any


class _Step(_Shape):
    id: str
    name: str
    after: tuple[str, ...]
    estimate_s: Seconds


class _Change(_Shape):
    address: Place
    name: str
    action: Action
    impact: Impact
    fields: tuple[_Field, ...]
    reason: str
    after: tuple[Place, ...]
    estimate_s: Seconds
    steps: tuple[_Step, ...] = Field(min_length=1)


class _Document(_Shape):
    stack: str
    driver: str
    changes: tuple[_Change, ...]
    unmanaged: tuple[Place, ...]
    refusals: tuple[str, ...]
    notes: tuple[str, ...]
    kept: tuple[Place, ...]
    estimate_s: Seconds
    basis: dict[Annotated[str, StringConstraints(pattern=r"^(files|live) \S+$")], str]


def read(document: object) -> Plan:
    """The plan of a document. Raises `ValueError` with what is wrong, in one line."""
    try:
        found = _Document.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place or 'the document'}: {first['msg']}") from None
    plan = Plan(
        stack=found.stack,
        driver=found.driver,
        changes=tuple(map(_change, found.changes)),
        unmanaged=tuple(map(Address, found.unmanaged)),
        refusals=found.refusals,
        notes=found.notes,
        kept=tuple(map(Address, found.kept)),
        estimate_s=found.estimate_s,
        basis=found.basis,
    )
    _walkable(plan.changes)
    return plan


def _change(one: _Change) -> Change:
    address = Address(one.address)
    return Change(
        address=address,
        name=one.name,
        action=one.action,
        impact=one.impact,
        fields=tuple(FieldChange(f.path, f.before, f.after) for f in one.fields),
        reason=one.reason,
        after=tuple(map(Address, one.after)),
        estimate_s=one.estimate_s,
        steps=tuple(Step(s.id, address, s.name, s.after, s.estimate_s) for s in one.steps),
    )


def _walkable(changes: Sequence[Change]) -> None:
    """Raises `ValueError` for a graph that would never end, or that leads to no step."""
    steps = [step for change in changes for step in change.steps]
    graph = {step.id: step.after for step in steps}
    if len(graph) < len(steps):
        raise ValueError("two steps have the same id")
    if missing := {before for after in graph.values() for before in after} - set(graph):
        raise ValueError(f"there is no step {min(missing)}")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise ValueError(f"steps wait for each other: {', '.join(error.args[1])}") from None
