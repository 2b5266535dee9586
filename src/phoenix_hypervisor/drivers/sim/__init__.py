"""The simulated node: keeps guests in memory or in a file and makes nothing real.

For tests, for plans at scale, and for rehearsal where no container can run. It never pretends:
it has no inside, and what it says tells that nothing real was made.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from phoenix_hypervisor.drivers.sim.driver import SimDriver
from phoenix_hypervisor.drivers.sim.faults import Faults
from phoenix_hypervisor.drivers.sim.store import FileStore, MemoryStore, Store
from phoenix_hypervisor.drivers.sim.timing import VARIABLE as SECONDS_VARIABLE
from phoenix_hypervisor.drivers.sim.timing import Timing
from phoenix_hypervisor.model.desired import Target

STATE_VARIABLE = "PHOENIX_SIM_STATE"

__all__ = ["Faults", "FileStore", "MemoryStore", "SimDriver", "Store", "Timing", "connect"]


def connect(
    target: Target,
    stack: str,
    *,
    environ: Mapping[str, str],
    folder: Path,
    reveal: Callable[[str], str] | None = None,
    store: Store | None = None,
    faults: Faults | None = None,
    timing: Timing | None = None,
) -> SimDriver:
    """A driver over the node of `PHOENIX_SIM_STATE`, or over a new empty one in memory.

    `PHOENIX_SIM_SECONDS` says how long its steps take. `store` (a node that several drivers see),
    `faults` and `timing` are for tests and rehearsals. Raises `UsageError`.
    """
    del target, reveal  # there is nothing to connect to
    if store is None:
        path = environ.get(STATE_VARIABLE)
        store = FileStore((folder / path).resolve(), environ) if path else MemoryStore()
    timing = timing or Timing.read(environ.get(SECONDS_VARIABLE, ""))
    return SimDriver(stack, store, faults or Faults(), timing)
