"""What a plan decides about one guest, pool or bridge."""

from dataclasses import dataclass, field

from phoenix_hypervisor.model.change import Action, FieldChange, Impact


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one guest: `steps` are names, in order. No action: nothing.

    `turn`: it is a replica that may serve, so the others must, too, while it is changed; those
    with a lower one come first. None: it does not, or is no replica.
    """

    action: Action | None = None
    steps: tuple[str, ...] = ()
    impact: Impact = Impact.LIVE
    fields: tuple[FieldChange, ...] = ()
    reasons: tuple[str, ...] = ()
    refusals: tuple[str, ...] = field(default=())
    turn: int | None = None
