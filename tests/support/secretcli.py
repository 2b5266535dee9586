"""What the tests of `phoenix secrets` share: how a command ended, and a folder to try it on."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PHOENIX = Path(sys.executable).with_name("phoenix")
VALUE = "hunter2-hunter2"
NETWORK = {"name": "eth0", "bridge": "br0", "ip": "10.9.8.7/24", "gw": "10.9.8.1"}


def guest(ident: str, **words: Any) -> dict[str, Any]:
    return {
        "name": f"guest{ident}",
        "template": "debian-13-standard",
        "memory_mb": 256,
        "cores": 1,
        "storage_pool": "pool",
        "storage_size_gb": 2,
        "network_config": NETWORK | {"ip": f"10.9.8.{ident}/24"},
        **words,
    }


class Said:
    """How a command ended, and what it said."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Phoenix = Callable[..., Said]
