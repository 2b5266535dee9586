"""How a guest is while it is watched."""

from dataclasses import dataclass

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.observed import GuestState
from phoenix_hypervisor.model.watching import Answer, GuestChanged, Health


@dataclass(frozen=True, slots=True)
class GuestStatus:
    """One guest, as the last answers of its checks and the hypervisor tell it.

    `since` is when its health last changed (Unix time); `why` says what is wrong, in a few words,
    and is empty when it is up. `change` is the last beginning or end of its running that the
    hypervisor told while it was watched; None where it told of none, or tells no such thing.
    `planned` says why it may be away on purpose just now, where it may. `made`: it is there, or
    was; not so for one that stands in the files only. `paused`: it is stopped in that it stands
    still.
    """

    address: Address
    name: str
    state: GuestState
    health: Health
    since: float
    answers: tuple[Answer, ...] = ()
    why: str = ""
    change: GuestChanged | None = None
    planned: str = ""
    made: bool = True
    paused: bool = False
