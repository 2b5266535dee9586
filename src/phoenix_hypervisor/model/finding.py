"""What `phoenix doctor` finds: one thing that was looked at, and the command that mends it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from phoenix_hypervisor.model.desired import Desired

Severity = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `mend` is the command, empty where nothing is wrong.

    `needed` False: without it some things are not to be had, but the rest works.
    """

    what: str
    ok: bool
    said: str
    mend: str = ""
    needed: bool = True

    @property
    def severity(self) -> Severity:
        """`error` where it must be mended before anything works."""
        if self.ok:
            return "ok"
        return "error" if self.needed else "warning"


@runtime_checkable
class Examines(Protocol):
    """What a driver may offer beside `model.driver.Driver`: a look at the target's own health."""

    async def examine(self, desired: Desired) -> Sequence[Finding]:
        """What the target lacks for this folder's guests. Changes nothing.

        Raises nothing for a part that can't be looked at: that is a finding too.
        """
