"""How plan, apply and validate grow with the number of guests, on the simulated node."""

import json
from collections.abc import Iterator
from pathlib import Path

from tests.bench.clock import Row, cpu_ms, run, times
from tests.e2e.stack import LXC, PHOENIX

_SIZES = (10, 100, 500)
_CHAIN = 10
"""Every tenth guest starts a new chain of dependencies."""


def rows(folder: Path) -> Iterator[Row]:
    """Each command where nothing is to be done, for each number of guests."""
    first: dict[str, float] = {}
    for size in _SIZES:
        place = folder / str(size)
        place.mkdir()
        (place / LXC).write_text(json.dumps({"lxc_configs": _guests(size)}))
        environ = {"PHOENIX_SIM_STATE": str(place / "state.json")}
        argv = [str(PHOENIX), "--dir", str(place), "--on", "sim"]
        run([*argv, "apply", "--yes", "--parallel", "32"], environ)
        for words in (["validate"], ["plan", "--detailed-exitcode"], ["apply", "--yes"]):
            took = cpu_ms([*argv, *words], environ)
            name = words[0]
            compared = times(took, first[name]) + f" {_SIZES[0]} guests" if name in first else ""
            first.setdefault(name, took)
            yield Row(f"`phoenix {name}`, {size} guests", took, compared)


def _guests(size: int) -> dict[str, object]:
    return {
        str(1000 + n): {
            "name": f"guest{n}",
            "template": "debian-13-standard",
            "cores": 1,
            "memory_mb": 256,
            "storage_pool": "pool",
            "storage_size_gb": 2,
            "network_config": {
                "bridge": "br0",
                "ip": f"10.9.{n // 200}.{n % 200 + 10}/16",
                "gw": "10.9.0.1",
            },
            "features": ["base_setup"],
            "dependencies": [str(1000 + n - 1)] if n % _CHAIN else [],
        }
        for n in range(size)
    }
