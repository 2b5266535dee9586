"""`phoenix`, with simulated guests that have an inside, which is a shell of this machine.

Its dashboard waits for a request a second only.
"""

from collections.abc import Sequence

from phoenix_hypervisor.cli.main import main
from phoenix_hypervisor.drivers.sim import SimDriver
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.web import patience


async def _way_in(_: SimDriver, __: Address) -> Sequence[str]:
    return ["sh"]


if __name__ == "__main__":
    SimDriver.has_inside = True
    SimDriver.way_in = _way_in  # type: ignore[assignment, method-assign]  # this is what the program is for
    patience._HEAD_S = 1.0
    main()
