"""The word `heal` of a guest: what is done by itself when it is down."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from phoenix_hypervisor.config.words.base import Words, wrong
from phoenix_hypervisor.config.words.values import SnapshotName, choice
from phoenix_hypervisor.model.heal import RUNGS, HealPolicy, Rung

_USUAL = HealPolicy()

Step = Annotated[Literal["service", "restart", "rollback", "recreate"], choice(*RUNGS)]


def _ordered(steps: list[Rung]) -> list[Rung]:
    if len(set(steps)) < len(steps):
        raise wrong("a step is named twice", "each helps once, then comes the next one")
    if steps != sorted(steps, key=RUNGS.index):
        hint = f"write {', '.join(sorted(steps, key=RUNGS.index))}"
        raise wrong("the steps go from the least to the most", hint)
    return steps


class Heal(Words):
    """What `phoenix watch` does by itself for a guest that is down."""

    steps: Annotated[list[Step], AfterValidator(_ordered)] = Field(
        default_factory=lambda: list(_USUAL.steps),
        description="What may be done, from the least to the most: `service` (begins its services "
        "again), `restart` (the guest; also starts one that stopped by itself), `rollback` (back "
        "to a snapshot: what it holds since then is lost), `recreate` (made anew from the files: "
        "all that it holds is lost).",
    )
    per_hour: int = Field(
        _USUAL.per_hour, ge=1, le=360, description="No more steps than this in an hour."
    )
    settle_s: float = Field(
        _USUAL.settle_s,
        ge=1,
        le=3600,
        description="Seconds that a step has to show its effect. A guest with a check whose "
        "`deadline_s` is over a minute, as of model servers, has that long.",
    )
    back_off_s: float = Field(
        _USUAL.back_off_s,
        ge=1,
        le=3600,
        description="Seconds before all steps are tried again; doubled each time.",
    )
    stable_s: float = Field(
        _USUAL.stable_s,
        ge=1,
        le=86400,
        description="Seconds of being up after which all is forgotten.",
    )
    flaps: int = Field(
        _USUAL.flaps,
        ge=2,
        le=100,
        description="After going down so many times in a row, each before it was stable, it is "
        "given up: that needs a person.",
    )
    snapshot: SnapshotName | None = Field(
        None,
        description="The snapshot that `rollback` goes back to; by default "
        "`template_snapshot_name`.",
    )


def _heal(value: object) -> object:
    """True is all as usual, False is nothing."""
    if value is True:
        return {}
    return {"steps": []} if value is False else value


HealWord = Annotated[Heal | None, BeforeValidator(_heal, json_schema_input_type=bool | Heal | None)]
