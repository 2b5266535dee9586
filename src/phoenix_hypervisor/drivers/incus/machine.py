"""The machine of Incus's daemon: this one, since its socket is a local one.

Incus has an answer of its own (`/1.0/resources`), which looks at every card, disk and board of the
machine, one request after the other: where one look hangs, all that come after it do.
"""

import os
from pathlib import Path

_MIB = 1024**2


def cores() -> int:
    """Processors that are switched on."""
    return os.sysconf("SC_NPROCESSORS_ONLN")


def memory_mb() -> int:
    """Memory that the kernel has, MiB."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _MIB


def used_memory_mb(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Memory that is taken, without caches, MiB; None where it is not told. Source: proc(5)."""
    told = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    try:
        total, available = (int(told[key].split()[0]) for key in ("MemTotal", "MemAvailable"))
    except (KeyError, ValueError):
        return None
    return (total - available) // 1024
