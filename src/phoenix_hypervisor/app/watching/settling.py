"""How long a guest may take to come up before it counts as unwell."""

from phoenix_hypervisor import features
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.engines import engines_of

_USUAL_DEADLINE_S = 60.0


def patience_s(guest: Guest, desired: Desired) -> float:
    """How long it may take to come up: as its policy says, or as a slow check of it does. A model
    server that is asked through this guest, and is another one's, needs no time here.
    """
    slow = [one for one in guest.checks if one.deadline_s > _USUAL_DEADLINE_S]
    if any(one.kind == "llm" for one in slow) and _leads_to_models(guest, desired):
        slow = [one for one in slow if one.kind != "llm"]
    return max([guest.heal.settle_s, *(one.deadline_s for one in slow)])


def _leads_to_models(guest: Guest, desired: Desired) -> bool:
    """Whether models run in guests that it depends on, and none in itself."""
    asks = {name: feature.engines for name, feature in features.available().items()}
    others = (desired.guests[one] for one in guest.dependencies if one in desired.guests)
    return not engines_of(guest, desired, asks) and any(
        engines_of(one, desired, asks) for one in others
    )
