"""The Incus driver: real system containers on this machine, over Incus's REST API.

The embedded default: the first try, the rehearsal before production, and the end-to-end tests.
"""

from collections.abc import Callable
from pathlib import Path

from phoenix_hypervisor.drivers.incus.driver import IncusDriver
from phoenix_hypervisor.model.desired import Target


def connect(
    target: Target,
    stack: str,
    *,
    folder: Path,
    environ: dict[str, str],
    reveal: Callable[[str], str] | None = None,
) -> IncusDriver:
    """A driver for the Incus daemon of this machine (or the one behind `endpoint`).

    It needs no secrets.
    """
    del reveal
    return IncusDriver(target, stack, folder=folder, environ=environ)
