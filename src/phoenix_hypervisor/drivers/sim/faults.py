"""Faults that a test orders from the simulated node, in the test's own process."""

from dataclasses import dataclass
from typing import Literal

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.errors import PhoenixError

When = Literal["before", "halfway", "after"]


@dataclass(slots=True)
class Fault:
    """One order: which call fails, with what error, at what moment, how many times."""

    method: str
    address: Address | None
    error: PhoenixError
    when: When
    times: int


class Faults:
    """The orders that are still open.

    faults.fail("create", "lxc/101", Retryable("the node is busy"), times=2)
    faults.fail("start", "lxc/101", UnknownOutcome("no answer"), when="after")
    faults.fail("create", "lxc/102", Unreachable("the node went away"), when="halfway")
    """

    def __init__(self) -> None:
        self._open: list[Fault] = []

    def fail(
        self,
        method: str,
        address: str | None,
        error: PhoenixError,
        *,
        when: When = "before",
        times: int = 1,
    ) -> None:
        """Lets the next `times` calls of `method` for `address` (None: any) fail with `error`.

        `before` leaves the node as it was; `halfway` leaves something half done, as a broken
        connection would; `after` does it all and then reports the error.
        """
        where = None if address is None else Address(address)
        self._open.append(Fault(method, where, error, when, times))

    def take(self, method: str, address: Address | None) -> Fault | None:
        """The fault for this call, if one was ordered; it counts as used."""
        for fault in self._open:
            if fault.method == method and fault.address in (None, address):
                fault.times -= 1
                if not fault.times:
                    self._open.remove(fault)
                return fault
        return None

    @property
    def left(self) -> int:
        """How many ordered failures have not happened yet."""
        return sum(fault.times for fault in self._open)
