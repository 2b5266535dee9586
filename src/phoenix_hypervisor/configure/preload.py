"""Imported once by the fork server, so that no worker has to: pyinfra takes a third of a second.

What pyinfra finds out again and again, though it is always the same, is kept for all workers.
"""

import gc
from functools import cache
from typing import Any


def _load() -> None:
    from pyinfra.api import arguments, connectors, inventory
    from pyinfra.operations import apt, files, git, pip, postgres, server, systemd  # noqa: F401

    from phoenix_hypervisor.configure import worker  # noqa: F401

    listing: Any = connectors
    listing.get_all_connectors = cache(listing.get_all_connectors)  # of all installed packages
    listing.get_all_connectors()
    asking: Any = inventory
    asking.get_all_connectors = listing.get_all_connectors
    reading: Any = arguments
    reading.all_global_arguments = cache(reading.all_global_arguments)


gc.disable()  # nothing of it is garbage
_load()
gc.freeze()  # nor is it ever, in a worker: its memory stays shared
gc.enable()
